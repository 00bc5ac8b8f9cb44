//! Terms and lags of the node's Raft groups, from the driver's survey.

use std::time::Duration;

use trilog_cluster::survey::{Lag, Survey};

use super::families::{Families, Samples};

/// What the driver says of itself, whether or not it has time for a survey.
pub(super) fn tell_driver(silence: Duration, families: &mut Families) {
    families.gauge(
        "trilog_driver_silence_seconds",
        "How long ago the driver began its last round; below 0.1 unless the disk or the machine is overloaded.",
        silence.as_secs_f64(),
    );
}

/// Everything of the survey but consumer groups.
pub(super) fn tell(survey: &Survey, families: &mut Families) {
    let mut terms = Samples::default();
    terms.add_count(&[("group", "controller")], survey.controller_term);
    terms.add_count(&[("group", "highest")], survey.highest_term);
    families.gauges(
        "trilog_raft_term",
        "The Raft term of the controller, and the highest of all groups.",
        terms,
    );

    families.count(
        "trilog_controller_active",
        "1 if this node leads the controller.",
        usize::from(survey.leads_controller),
    );

    let mut groups = Samples::default();
    groups.add(&[("state", "awake")], survey.groups_awake as f64);
    groups.add(&[("state", "asleep")], (survey.groups - survey.groups_awake) as f64);
    families.gauges(
        "trilog_raft_groups",
        "Raft groups with a replica on this node; idle ones sleep.",
        groups,
    );
    families.count(
        "trilog_raft_groups_led",
        "Raft groups that this node serves as leader.",
        survey.groups_led,
    );

    families.count(
        "trilog_raft_groups_rejoining",
        "Raft groups that this node has yet to get back, having lost its disk; it has no vote in them.",
        survey.groups_rejoining,
    );

    lag(
        "trilog_raft_commit_lag_entries",
        "Entries in this node's logs that it does not know to be committed: of all groups, and of the worst.",
        survey.commit_lag,
        families,
    );
    lag(
        "trilog_raft_apply_lag_entries",
        "Entries known to be committed and not applied: of all groups, and of the worst.",
        survey.apply_lag,
        families,
    );
    lag(
        "trilog_raft_replication_lag_entries",
        "Committed entries that the slowest follower of a group led here lacks: of all groups, and of the worst.",
        survey.replication_lag,
        families,
    );
    families.count(
        "trilog_unsynced_bytes",
        "Bytes written to the store and not yet synced.",
        survey.unsynced_bytes,
    );
}

fn lag(name: &str, help: &str, lag: Lag, families: &mut Families) {
    let mut samples = Samples::default();
    samples.add_count(&[("of", "all")], lag.total);
    samples.add_count(&[("of", "worst")], lag.most);
    families.gauges(name, help, samples);
}
