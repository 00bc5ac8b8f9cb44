use super::*;
use crate::consumer::group::Callback;

const TOPIC: Uuid = Uuid::from_u128(7);
const OTHER: Uuid = Uuid::from_u128(8);

struct Stage {
    member: ModernMember,
    now: Duration,
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn wanted(names: &[&str]) -> Wanted {
    Wanted { names: names.iter().map(|name| Arc::from(*name)).collect(), pattern: None }
}

fn places(partitions: &[i32]) -> BTreeSet<TopicPartition> {
    partitions.iter().map(|&partition| TopicPartition::new("t", partition)).collect()
}

fn by_id(id: Uuid, partitions: &[i32]) -> PartitionsById {
    let partitions: BTreeSet<_> = partitions.iter().copied().collect();
    if partitions.is_empty() { PartitionsById::new() } else { [(id, partitions)].into() }
}

impl Stage {
    fn new(instance: Option<&str>) -> Self {
        let options = ModernOptions {
            member_id: "m".into(),
            instance: instance.map(str::to_owned),
            rack: None,
            assignor: None,
            max_poll_interval: secs(300),
            retry_backoff: Duration::from_millis(100),
        };
        let now = secs(1000);
        let mut member = ModernMember::new(options, now);
        member.topics_named([(TOPIC, Arc::from("t"))], now);
        Self { member, now }
    }

    fn only(&mut self) -> Action {
        self.member.next_action(self.now).expect("something is due")
    }

    fn nothing(&mut self) {
        assert_eq!(self.member.next_action(self.now), None);
        let deadline = self.member.deadline();
        assert!(deadline.is_none_or(|deadline| deadline > self.now), "{deadline:?} has passed in vain");
    }

    fn beats(&mut self) -> HeartbeatRequest {
        match self.only() {
            Action::Send(request) => request,
            other => panic!("{other:?} is no heartbeat"),
        }
    }

    fn answered(&mut self, epoch: i32, assignment: Option<PartitionsById>) {
        let answer = HeartbeatAnswer { member_id: "m".into(), epoch, interval: secs(5), assignment };
        self.member.heartbeat_answered(Ok(answer), self.now);
    }

    fn calls(&mut self, expected: Callback) {
        assert_eq!(self.only(), Action::Call(expected));
    }

    fn done(&mut self) {
        self.member.callback_done(self.now);
    }

    /// A member in epoch 1 that has these partitions, as the coordinator knows.
    fn consuming(instance: Option<&str>, partitions: &[i32]) -> Self {
        let mut stage = Self::new(instance);
        stage.member.subscribe(wanted(&["t"]), stage.now);
        assert_eq!(stage.only(), Action::FindCoordinator);
        stage.nothing();
        stage.member.coordinator_found();
        let joins = stage.beats();
        assert_eq!(
            (joins.epoch, joins.wanted, joins.owned),
            (0, Some(wanted(&["t"])), Some(by_id(TOPIC, &[])))
        );
        stage.answered(1, Some(by_id(TOPIC, partitions)));
        stage.calls(Callback::Assign(places(partitions)));
        stage.done();
        assert_eq!(stage.beats().owned, Some(by_id(TOPIC, partitions)));
        stage.answered(1, None);
        stage.nothing();
        stage
    }

    fn next_beat(&mut self) -> HeartbeatRequest {
        self.now = self.member.deadline().unwrap();
        self.beats()
    }
}

#[test]
fn a_heartbeat_tells_only_what_has_changed() {
    let mut stage = Stage::consuming(None, &[0]);
    assert_eq!(stage.member.deadline(), Some(stage.now + secs(5)));
    let beat = stage.next_beat();
    assert_eq!((beat.epoch, beat.wanted, beat.owned, beat.rebalance_timeout), (1, None, None, None));
    stage.answered(1, None);
    stage.member.subscribe(wanted(&["t", "u"]), stage.now);
    let beat = stage.beats();
    assert_eq!((beat.wanted, beat.owned), (Some(wanted(&["t", "u"])), None));
}

#[test]
fn what_is_given_up_is_revoked_before_the_coordinator_learns_of_it() {
    let mut stage = Stage::consuming(None, &[0, 1]);
    stage.next_beat();
    stage.answered(2, Some(by_id(TOPIC, &[1, 2])));
    stage.calls(Callback::Revoke(places(&[0])));
    assert_eq!(stage.member.owned(), &places(&[0, 1]), "offsets can be committed");
    // The callback takes its time, and heartbeats go on. They still say what the member has.
    let beat = stage.next_beat();
    assert_eq!((beat.epoch, beat.owned), (2, None));
    stage.answered(2, None);
    stage.done();
    stage.calls(Callback::Assign(places(&[2])));
    stage.done();
    assert_eq!(stage.beats().owned, Some(by_id(TOPIC, &[1, 2])));
}

#[test]
fn an_unknown_topic_waits_for_its_name_and_nothing_else_does() {
    let mut stage = Stage::consuming(None, &[0]);
    stage.next_beat();
    let mut target = by_id(TOPIC, &[0, 1]);
    target.extend(by_id(OTHER, &[5]));
    stage.answered(2, Some(target));
    stage.calls(Callback::Assign(places(&[1])));
    stage.done();
    assert_eq!(stage.only(), Action::NameTopics([OTHER].into()));
    stage.member.topics_named([], stage.now);
    stage.beats();
    stage.answered(2, None);
    stage.nothing();
    stage.now = stage.member.deadline().unwrap();
    assert_eq!(stage.only(), Action::NameTopics([OTHER].into()));
    stage.member.topics_named([(OTHER, Arc::from("u"))], stage.now);
    stage.calls(Callback::Assign([TopicPartition::new("u", 5)].into()));
}

#[test]
fn a_fenced_member_loses_everything_and_joins_again() {
    for code in [ErrorCode::FENCED_MEMBER_EPOCH, ErrorCode::UNKNOWN_MEMBER_ID] {
        let mut stage = Stage::consuming(None, &[0]);
        stage.next_beat();
        stage.member.heartbeat_answered(Err(code), stage.now);
        assert_eq!(stage.member.identity(), None);
        stage.calls(Callback::Lose(places(&[0])));
        stage.nothing();
        stage.done();
        let joins = stage.next_beat();
        assert_eq!((joins.epoch, joins.member_id.as_str(), joins.owned), (0, "m", Some(by_id(TOPIC, &[]))));
    }
}

#[test]
fn an_assignment_that_came_before_the_fence_is_void() {
    let mut stage = Stage::consuming(None, &[0]);
    stage.next_beat();
    stage.answered(2, Some(by_id(TOPIC, &[])));
    stage.calls(Callback::Revoke(places(&[0])));
    stage.next_beat();
    stage.member.heartbeat_answered(Err(ErrorCode::FENCED_MEMBER_EPOCH), stage.now);
    stage.nothing();
    stage.done();
    assert!(stage.member.owned().is_empty());
    assert_eq!(stage.next_beat().epoch, 0);
}

#[test]
fn a_heartbeat_without_an_answer_is_followed_by_a_full_one() {
    let mut stage = Stage::consuming(None, &[0]);
    stage.next_beat();
    stage.member.heartbeat_failed(stage.now);
    stage.nothing();
    stage.now = stage.member.deadline().unwrap();
    assert_eq!(stage.only(), Action::FindCoordinator);
    stage.member.coordinator_found();
    let beat = stage.beats();
    assert_eq!((beat.epoch, beat.wanted, beat.owned), (1, Some(wanted(&["t"])), Some(by_id(TOPIC, &[0]))));
}

#[test]
fn leaving_revokes_first_and_then_says_so() {
    for (instance, epoch) in [(None, -1), (Some("i"), -2)] {
        let mut stage = Stage::consuming(instance, &[0]);
        stage.member.leave();
        stage.calls(Callback::Revoke(places(&[0])));
        stage.nothing();
        stage.done();
        assert_eq!(stage.beats().epoch, epoch);
        assert!(stage.member.has_left());
        stage.nothing();
    }
}

#[test]
fn an_application_that_does_not_poll_costs_the_membership_until_it_does() {
    let mut stage = Stage::consuming(None, &[0]);
    stage.now += secs(300);
    assert_eq!(stage.beats().epoch, -1);
    stage.nothing();
    assert_eq!(stage.member.deadline(), None);
    stage.now += secs(60);
    assert!(stage.member.polled(stage.now));
    stage.calls(Callback::Lose(places(&[0])));
    stage.done();
    assert_eq!(stage.beats().epoch, 0);
}

#[test]
fn what_nobody_can_mend_ends_the_membership() {
    let mut stage = Stage::consuming(None, &[0]);
    stage.next_beat();
    stage.member.heartbeat_answered(Err(ErrorCode::UNSUPPORTED_ASSIGNOR), stage.now);
    stage.calls(Callback::Lose(places(&[0])));
    stage.done();
    assert_eq!(stage.only(), Action::Fail(MemberFailure(ErrorCode::UNSUPPORTED_ASSIGNOR)));
    stage.nothing();
}

#[test]
fn an_old_epoch_of_a_commit_is_put_right_by_a_heartbeat() {
    let mut stage = Stage::consuming(None, &[0]);
    stage.member.commit_refused(0, ErrorCode::FENCED_MEMBER_EPOCH, stage.now);
    stage.nothing();
    stage.member.commit_refused(1, ErrorCode::STALE_MEMBER_EPOCH, stage.now);
    assert_eq!(stage.beats().epoch, 1);
}

#[test]
fn offsets_can_be_committed_while_the_member_leaves() {
    let mut stage = Stage::consuming(None, &[0]);
    stage.member.leave();
    stage.calls(Callback::Revoke(places(&[0])));
    assert_eq!(stage.member.identity().map(|identity| identity.generation), Some(1));
    // The callback takes its time: heartbeats go on, and bring the epoch that a commit needs.
    let beat = stage.next_beat();
    assert_eq!((beat.epoch, beat.owned), (1, None));
    stage.answered(2, Some(by_id(TOPIC, &[0, 1])));
    stage.nothing();
    assert_eq!(stage.member.identity().map(|identity| identity.generation), Some(2));
    stage.member.commit_refused(2, ErrorCode::STALE_MEMBER_EPOCH, stage.now);
    assert_eq!(stage.beats().epoch, 2);
    stage.done();
    assert_eq!(stage.beats().epoch, -1);
    assert_eq!(stage.member.identity(), None);
    assert!(stage.member.has_left());
}

#[test]
fn a_member_that_is_fenced_while_it_leaves_has_lost_its_partitions() {
    let mut stage = Stage::consuming(None, &[0]);
    stage.member.leave();
    stage.calls(Callback::Revoke(places(&[0])));
    stage.next_beat();
    stage.member.heartbeat_answered(Err(ErrorCode::FENCED_MEMBER_EPOCH), stage.now);
    assert_eq!(stage.member.identity(), None);
    stage.nothing();
    stage.done();
    assert_eq!(stage.beats().epoch, -1);
    assert!(stage.member.has_left());
}

#[test]
fn a_topic_that_was_made_again_is_told_by_its_new_id() {
    // Whichever of the ids is the greater one.
    for id in [Uuid::from_u128(1), OTHER] {
        let mut stage = Stage::consuming(None, &[0]);
        stage.next_beat();
        stage.answered(2, Some(by_id(id, &[0])));
        stage.calls(Callback::Revoke(places(&[0])));
        stage.done();
        stage.calls(Callback::Assign(BTreeSet::new()));
        stage.done();
        assert_eq!(stage.only(), Action::NameTopics([id].into()));
        stage.member.topics_named([(id, Arc::from("t"))], stage.now);
        stage.calls(Callback::Assign(places(&[0])));
        stage.done();
        assert_eq!(stage.beats().owned, Some(by_id(id, &[0])));
    }
}

#[test]
fn a_member_finds_its_coordinator_to_tell_it_that_it_leaves() {
    for has_some in [true, false] {
        let mut stage = Stage::consuming(None, &[0]);
        stage.next_beat();
        if !has_some {
            stage.answered(2, Some(by_id(TOPIC, &[])));
            stage.calls(Callback::Revoke(places(&[0])));
            stage.done();
            stage.calls(Callback::Assign(places(&[])));
            stage.done();
            stage.beats();
        }
        stage.member.heartbeat_failed(stage.now);
        stage.member.leave();
        if has_some {
            stage.calls(Callback::Revoke(places(&[0])));
            stage.done();
        }
        assert_eq!(stage.only(), Action::FindCoordinator);
        stage.nothing();
        stage.member.coordinator_missing(stage.now);
        stage.nothing();
        assert!(!stage.member.has_left());
        stage.now = stage.member.deadline().unwrap();
        assert_eq!(stage.only(), Action::FindCoordinator);
        stage.member.coordinator_found();
        assert_eq!(stage.beats().epoch, -1);
        assert!(stage.member.has_left());
    }
}
