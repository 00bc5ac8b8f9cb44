//! Histories for the tests of the rules: short scenes, told one after the other. All records are of one topic, all members of
//! one group.

use super::{Rule, check};
use crate::history::{Deed, Entry, History, MemberView, Micros, Outcome, Place, Seen, Sending};

/// A history in the making. Each step begins after the one before it has ended.
#[derive(Debug, Clone, Default)]
pub(super) struct Scene {
    history: History,
    since: Option<Micros>,
}

/// The rules broken in a scene, in the order in which they are checked, each once.
pub(super) fn rules(scene: &Scene) -> Vec<Rule> {
    let mut rules = check(&scene.history).iter().map(|violation| violation.rule).collect::<Vec<_>>();
    rules.dedup();
    rules
}

fn place(partition: i32) -> Place {
    Place::new("topic", partition)
}

fn group() -> String {
    "group".to_owned()
}

impl Scene {
    fn step(mut self, client: &str, deed: Deed) -> Self {
        let now = self.history.entries.last().map_or(0, |entry| entry.ended + 1);
        let invoked = self.since.take().unwrap_or(now);
        self.history.entries.push(Entry { client: client.to_owned(), invoked, ended: now + 1, deed });
        self
    }

    /// The next step began at this moment already.
    pub(super) fn since(mut self, invoked: Micros) -> Self {
        self.since = Some(invoked);
        self
    }

    /// The next step begins no earlier than at this moment.
    pub(super) fn at(mut self, moment: Micros) -> Self {
        self.since = Some(moment);
        let deed = Deed::Fault { what: "time goes by".to_owned() };
        self.history.entries.push(Entry { client: "clock".to_owned(), invoked: moment, ended: moment, deed });
        self
    }

    /// A node of three forgets what it did not sync, or everything.
    pub(super) fn forgets(self, node: i32, everything: bool) -> Self {
        self.step("nemesis", Deed::Forgets { node, nodes: 3, everything })
    }

    /// What has been told.
    pub(super) fn into_history(self) -> History {
        self.history
    }

    /// The producer of a scene is idempotent.
    pub(super) fn produces(self) -> Self {
        self.step("producer", Deed::Produces)
    }

    pub(super) fn settled(self, sent: u64) -> Self {
        self.step("producer", Deed::Settled { sent })
    }

    pub(super) fn sent(self, partition: i32, value: u64, sending: Sending) -> Self {
        self.step("producer", Deed::Send { place: place(partition), value, sending })
    }

    pub(super) fn acked(self, partition: i32, offset: i64, value: u64) -> Self {
        self.sent(partition, value, Sending::Acknowledged { offset: Some(offset) })
    }

    pub(super) fn unknown(self, partition: i32, value: u64) -> Self {
        self.sent(partition, value, Sending::Unknown)
    }

    pub(super) fn read(self, client: &str, partition: i32, records: &[(i64, u64)]) -> Self {
        self.step(client, Deed::Read { place: place(partition), records: seen(records) })
    }

    pub(super) fn end(self, partition: i32, offset: i64) -> Self {
        self.step("reader", Deed::End { place: place(partition), offset })
    }

    /// Partition 0 in the end, by the values from its first record on.
    pub(super) fn log(self, values: &[u64]) -> Self {
        let records = (0..).zip(values.iter().copied()).collect::<Vec<_>>();
        self.log_at(&records)
    }

    pub(super) fn log_at(self, records: &[(i64, u64)]) -> Self {
        self.log_of(0, records)
    }

    pub(super) fn log_of(self, partition: i32, records: &[(i64, u64)]) -> Self {
        self.step("reader", Deed::Final { place: place(partition), records: seen(records) })
    }

    pub(super) fn assigned(self, client: &str, partitions: &[i32]) -> Self {
        let places = partitions.iter().copied().map(place).collect();
        self.step(client, Deed::Assigned { group: group(), places })
    }

    pub(super) fn revoked(self, client: &str, partitions: &[i32]) -> Self {
        let places = partitions.iter().copied().map(place).collect();
        self.step(client, Deed::Revoked { group: group(), places })
    }

    pub(super) fn went_back(self, client: &str, partition: i32, offset: i64) -> Self {
        self.step(client, Deed::WentBack { group: group(), place: place(partition), offset })
    }

    pub(super) fn commit(self, client: &str, offsets: &[(i32, i64)], outcome: Outcome) -> Self {
        self.step(client, Deed::Commit { group: group(), offsets: placed(offsets), outcome })
    }

    pub(super) fn committed(self, client: &str, offsets: &[(i32, i64)]) -> Self {
        self.commit(client, offsets, Outcome::Acknowledged)
    }

    pub(super) fn fetched(self, offsets: &[(i32, i64)]) -> Self {
        self.step("observer", Deed::Committed { group: group(), offsets: placed(offsets) })
    }

    pub(super) fn members(self, members: &[(&str, Option<i32>, &[i32])]) -> Self {
        let members = members.iter().map(|(id, epoch, owns)| MemberView {
            id: (*id).to_owned(),
            epoch: *epoch,
            owns: owns.iter().copied().map(place).collect(),
        });
        let members = members.collect();
        self.step("observer", Deed::Members { group: group(), members })
    }

    pub(super) fn gave_up(self, why: &str) -> Self {
        self.step("producer", Deed::GaveUp { why: why.to_owned() })
    }
}

fn seen(records: &[(i64, u64)]) -> Vec<Seen> {
    records.iter().map(|&(offset, value)| Seen { offset, value }).collect()
}

fn placed(offsets: &[(i32, i64)]) -> Vec<(Place, i64)> {
    offsets.iter().map(|&(partition, offset)| (place(partition), offset)).collect()
}
