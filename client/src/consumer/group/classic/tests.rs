use super::*;
use crate::consumer::group::Callback;

/// A member with the coordinator at its other end, played by the test.
struct Stage {
    member: ClassicMember,
    now: Duration,
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn topics(names: &[&str]) -> BTreeSet<Arc<str>> {
    names.iter().map(|name| Arc::from(*name)).collect()
}

fn places(partitions: &[i32]) -> BTreeSet<TopicPartition> {
    partitions.iter().map(|&partition| TopicPartition::new("t", partition)).collect()
}

fn assignment(partitions: &[i32]) -> Vec<u8> {
    encode_assignment(&[("t".to_owned(), partitions.to_vec())], 1)
}

impl Stage {
    fn new(assignor: Assignor, instance: Option<&str>) -> Self {
        let options = ClassicOptions {
            instance: instance.map(str::to_owned),
            assignors: vec![assignor],
            ..ClassicOptions::default()
        };
        let now = secs(1000);
        Self { member: ClassicMember::new(options, now), now }
    }

    /// The only action that is due.
    fn only(&mut self) -> Action {
        self.member.next_action(self.now).expect("something is due")
    }

    fn nothing(&mut self) {
        assert_eq!(self.member.next_action(self.now), None);
        let deadline = self.member.deadline();
        assert!(deadline.is_none_or(|deadline| deadline > self.now), "{deadline:?} has passed in vain");
    }

    fn calls(&mut self, expected: Callback) {
        assert_eq!(self.only(), Action::Call(expected));
    }

    fn done(&mut self) {
        self.member.callback_done();
    }

    fn sends_join(&mut self) -> (String, Subscription) {
        match self.only() {
            Action::Send(Request::Join { member_id, protocols }) => {
                (member_id, Subscription::parse(&protocols[0].1).unwrap())
            }
            other => panic!("{other:?} is no JoinGroup"),
        }
    }

    /// A follower is let into a generation with these partitions.
    fn rebalanced(&mut self, generation: i32, partitions: &[i32]) {
        self.sends_join();
        self.let_in(generation, partitions);
    }

    /// The JoinGroup of a follower is answered, and the SyncGroup after it.
    fn let_in(&mut self, generation: i32, partitions: &[i32]) {
        let assignor = self.member.options.assignors[0];
        let joined = Joined {
            generation,
            member_id: "m".into(),
            assignor,
            leads: false,
            skip_assignment: false,
            members: Vec::new(),
        };
        let sync = self.member.joined(Ok(joined), self.now).unwrap();
        let expected =
            Request::Sync { generation, member_id: "m".into(), assignor, assignments: BTreeMap::new() };
        assert_eq!(sync, Action::Send(expected));
        self.nothing();
        self.member.synced(Ok(&assignment(partitions)), self.now);
    }

    /// The JoinGroup of the leader, which is the only member of `t`, is answered: it has partitions to count.
    fn is_to_count(&mut self, generation: i32) {
        let metadata = Subscription { topics: vec!["t".to_owned()], ..Subscription::default() };
        let joined = Joined {
            generation,
            member_id: "m".into(),
            assignor: Assignor::CooperativeSticky,
            leads: true,
            skip_assignment: false,
            members: vec![("m".into(), None, metadata.encode(1, None))],
        };
        let action = self.member.joined(Ok(joined), self.now);
        assert_eq!(action, Some(Action::Count(topics(&["t"]))));
    }

    /// The JoinGroup of the leader is answered, and the SyncGroup after it.
    fn leads(&mut self, generation: i32, partitions: i32) {
        self.is_to_count(generation);
        let counted = Topics::from([(Arc::from("t"), partitions)]);
        let Some(Action::Send(Request::Sync { assignments, .. })) = self.member.topics_counted(counted)
        else {
            panic!("the leader sends the assignments");
        };
        self.member.synced(Ok(&assignments["m"]), self.now);
        assert!(matches!(self.only(), Action::Call(Callback::Assign(_))));
        self.done();
    }

    /// A member of generation 1 that has been assigned these partitions.
    fn consuming(assignor: Assignor, instance: Option<&str>, partitions: &[i32]) -> Self {
        let mut stage = Self::new(assignor, instance);
        stage.member.subscribe(topics(&["t"]), stage.now);
        assert_eq!(stage.only(), Action::FindCoordinator);
        stage.nothing();
        stage.member.coordinator_found();
        stage.rebalanced(1, partitions);
        stage.calls(Callback::Assign(places(partitions)));
        stage.done();
        stage.nothing();
        stage
    }

    fn beats(&mut self) -> i32 {
        match self.only() {
            Action::Send(Request::Heartbeat { generation, .. }) => generation,
            other => panic!("{other:?} is no heartbeat"),
        }
    }

    fn told_to_rebalance(&mut self) {
        self.now = self.member.deadline().unwrap();
        let generation = self.beats();
        self.member.heartbeat_answered(generation, Err(ErrorCode::REBALANCE_IN_PROGRESS), self.now);
    }
}

#[test]
fn a_member_without_a_subscription_does_nothing() {
    let mut stage = Stage::new(Assignor::Range, None);
    stage.nothing();
    assert_eq!(stage.member.deadline(), None);
    assert!(stage.member.has_left());
}

#[test]
fn a_member_joins_under_the_id_that_it_is_given() {
    let mut stage = Stage::new(Assignor::Range, None);
    stage.member.subscribe(topics(&["t"]), stage.now);
    assert_eq!(stage.only(), Action::FindCoordinator);
    stage.member.coordinator_found();
    assert_eq!(stage.sends_join().0, "");
    stage.nothing();
    stage.member.member_id_given("m".into(), stage.now);
    assert_eq!(stage.sends_join().0, "m");
}

#[test]
fn heartbeats_keep_the_membership_one_at_a_time() {
    let mut stage = Stage::consuming(Assignor::Range, None, &[0]);
    assert_eq!(stage.member.deadline(), Some(stage.now + secs(3)));
    stage.now += secs(3);
    assert_eq!(stage.beats(), 1);
    stage.nothing();
    stage.member.heartbeat_answered(1, Ok(()), stage.now);
    stage.nothing();
    assert_eq!(stage.member.deadline(), Some(stage.now + secs(3)));
    let identity = Identity { member_id: "m".into(), generation: 1, instance: None };
    assert_eq!(stage.member.identity(), Some(identity));
}

#[test]
fn an_eager_member_gives_everything_up_before_it_joins() {
    let mut stage = Stage::consuming(Assignor::Sticky, None, &[0, 1]);
    stage.told_to_rebalance();
    stage.calls(Callback::Revoke(places(&[0, 1])));
    assert_eq!(stage.member.owned(), &places(&[0, 1]), "offsets can be committed");
    // The callback takes its time: heartbeats go on, and nothing is joined.
    stage.now += secs(3);
    assert_eq!(stage.beats(), 1);
    stage.member.heartbeat_answered(1, Err(ErrorCode::REBALANCE_IN_PROGRESS), stage.now);
    stage.nothing();
    stage.done();
    assert!(stage.member.owned().is_empty());
    stage.rebalanced(2, &[1, 2]);
    stage.calls(Callback::Assign(places(&[1, 2])));
    stage.done();
    assert_eq!(stage.member.owned(), &places(&[1, 2]));
}

#[test]
fn a_cooperative_member_keeps_what_it_keeps_and_joins_twice() {
    let mut stage = Stage::consuming(Assignor::CooperativeSticky, None, &[0, 1]);
    stage.told_to_rebalance();
    // It joins with what it has, and the leader takes one away.
    let member = stage.member.next_action(stage.now).unwrap();
    let Action::Send(Request::Join { protocols, .. }) = member else { panic!("{member:?}") };
    let subscription = Subscription::parse(&protocols[0].1).unwrap();
    assert_eq!(subscription.owned, [("t".to_owned(), vec![0, 1])]);
    assert_eq!(subscription.generation, Some(1));
    let joined = Joined {
        generation: 2,
        member_id: "m".into(),
        assignor: Assignor::CooperativeSticky,
        leads: false,
        skip_assignment: false,
        members: Vec::new(),
    };
    stage.member.joined(Ok(joined), stage.now).unwrap();
    stage.member.synced(Ok(&assignment(&[0])), stage.now);
    stage.calls(Callback::Revoke(places(&[1])));
    stage.done();
    assert_eq!(stage.member.owned(), &places(&[0]));
    stage.calls(Callback::Assign(places(&[])));
    stage.done();
    // What was given up goes to its next owner in a rebalance of its own.
    stage.rebalanced(3, &[0]);
    stage.calls(Callback::Assign(places(&[])));
    stage.done();
    stage.nothing();
}

#[test]
fn the_leader_assigns_by_the_numbers_of_partitions() {
    let mut stage = Stage::new(Assignor::Range, None);
    stage.member.subscribe(topics(&["t"]), stage.now);
    stage.only();
    stage.member.coordinator_found();
    stage.sends_join();
    let metadata = |topic: &str| {
        Subscription { topics: vec![topic.to_owned()], ..Subscription::default() }.encode(1, None)
    };
    let joined = Joined {
        generation: 1,
        member_id: "m".into(),
        assignor: Assignor::Range,
        leads: true,
        skip_assignment: false,
        members: vec![("m".into(), None, metadata("t")), ("n".into(), None, metadata("t"))],
    };
    let action = stage.member.joined(Ok(joined), stage.now);
    assert_eq!(action, Some(Action::Count(topics(&["t"]))));
    let counted = Topics::from([(Arc::from("t"), 3)]);
    let Some(Action::Send(Request::Sync { assignments, .. })) = stage.member.topics_counted(counted.clone())
    else {
        panic!("the leader sends the assignments");
    };
    let read =
        |member: &str| trilog_protocol::consumer_protocol::parse_assignment(&assignments[member]).unwrap();
    assert_eq!(read("m"), [("t".to_owned(), vec![0, 1])]);
    assert_eq!(read("n"), [("t".to_owned(), vec![2])]);
    stage.member.synced(Ok(&assignments["m"]), stage.now);
    stage.calls(Callback::Assign(places(&[0, 1])));
    stage.done();

    stage.member.topics_changed(&counted);
    stage.nothing();
    stage.member.topics_changed(&Topics::from([(Arc::from("t"), 4)]));
    stage.calls(Callback::Revoke(places(&[0, 1])));
}

#[test]
fn a_member_of_no_topics_joins_if_an_expression_may_match_some_later() {
    let mut stage = Stage::new(Assignor::Range, None);
    stage.member.subscribe(topics(&[]), stage.now);
    stage.nothing();
    stage.member.topics_matched(topics(&[]), stage.now);
    assert_eq!(stage.only(), Action::FindCoordinator);
    stage.member.coordinator_found();
    assert_eq!(stage.sends_join().1.topics, Vec::<String>::new());
}

#[test]
fn a_member_joins_once_for_what_changed_before() {
    let mut stage = Stage::new(Assignor::CooperativeSticky, None);
    stage.member.subscribe(topics(&["t"]), stage.now);
    stage.member.subscribe(topics(&["t", "u"]), stage.now);
    stage.only();
    stage.member.coordinator_found();
    assert_eq!(stage.sends_join().1.topics, ["t", "u"]);
    stage.let_in(1, &[0]);
    stage.calls(Callback::Assign(places(&[0])));
    stage.done();
    stage.nothing();
    // What changes while it joins comes too late for that.
    stage.told_to_rebalance();
    stage.sends_join();
    stage.member.subscribe(topics(&["t"]), stage.now);
    stage.let_in(2, &[0]);
    stage.calls(Callback::Assign(places(&[])));
    stage.done();
    assert_eq!(stage.sends_join().1.topics, ["t"]);
}

#[test]
fn a_leader_counts_anew_and_does_not_join_twice() {
    let mut stage = Stage::new(Assignor::CooperativeSticky, None);
    stage.member.subscribe(topics(&["t"]), stage.now);
    stage.only();
    stage.member.coordinator_found();
    stage.sends_join();
    stage.leads(1, 3);
    stage.told_to_rebalance();
    stage.sends_join();
    // It has assigned by three, and will by four.
    stage.member.topics_changed(&[(Arc::from("t"), 4)].into());
    stage.leads(2, 4);
    stage.nothing();
}

#[test]
fn a_leader_that_is_given_up_while_it_counts_joins_again() {
    let mut stage = Stage::consuming(Assignor::CooperativeSticky, None, &[]);
    stage.told_to_rebalance();
    stage.sends_join();
    stage.is_to_count(2);
    stage.now = stage.member.deadline().unwrap();
    assert_eq!(stage.beats(), 2);
    stage.member.heartbeat_answered(2, Err(ErrorCode::UNKNOWN_MEMBER_ID), stage.now);
    assert_eq!(stage.member.topics_counted(Topics::from([(Arc::from("t"), 3)])), None);
    assert_eq!(stage.sends_join().0, "");
}

#[test]
fn a_leader_that_leaves_while_it_counts_says_so() {
    let mut stage = Stage::consuming(Assignor::CooperativeSticky, None, &[]);
    stage.told_to_rebalance();
    stage.sends_join();
    stage.is_to_count(2);
    stage.member.leave();
    assert_eq!(stage.member.topics_counted(Topics::from([(Arc::from("t"), 3)])), None);
    assert_eq!(stage.only(), Action::Send(Request::Leave { member_id: "m".into() }));
    assert!(stage.member.has_left());
}

#[test]
fn a_member_that_the_coordinator_gave_up_has_lost_its_partitions() {
    for code in [ErrorCode::UNKNOWN_MEMBER_ID, ErrorCode::ILLEGAL_GENERATION] {
        let mut stage = Stage::consuming(Assignor::CooperativeSticky, None, &[0]);
        stage.now += secs(3);
        stage.beats();
        stage.member.heartbeat_answered(1, Err(code), stage.now);
        assert_eq!(stage.member.identity(), None, "a commit would be refused");
        stage.calls(Callback::Lose(places(&[0])));
        stage.done();
        let (member_id, subscription) = stage.sends_join();
        assert_eq!(member_id, if code == ErrorCode::UNKNOWN_MEMBER_ID { "" } else { "m" });
        assert!(subscription.owned.is_empty());
    }
}

#[test]
fn silence_for_a_whole_session_loses_the_partitions() {
    let mut stage = Stage::consuming(Assignor::Range, None, &[0]);
    let joined_at = stage.now;
    stage.now += secs(3);
    let generation = stage.beats();
    let heartbeat = Request::Heartbeat { generation, member_id: "m".into() };
    stage.member.request_failed(&heartbeat, stage.now);
    stage.now += secs(1);
    assert_eq!(stage.only(), Action::FindCoordinator);
    stage.now = joined_at + secs(45);
    stage.member.coordinator_missing(stage.now);
    stage.calls(Callback::Lose(places(&[0])));
}

#[test]
fn an_answer_of_an_earlier_generation_says_nothing() {
    let mut stage = Stage::consuming(Assignor::Range, None, &[0]);
    stage.member.commit_refused(0, ErrorCode::ILLEGAL_GENERATION, stage.now);
    stage.nothing();
    stage.member.commit_refused(1, ErrorCode::REBALANCE_IN_PROGRESS, stage.now);
    stage.calls(Callback::Revoke(places(&[0])));
}

#[test]
fn a_fenced_static_member_ends() {
    let mut stage = Stage::consuming(Assignor::Range, Some("i"), &[0]);
    stage.now += secs(3);
    stage.beats();
    stage.member.heartbeat_answered(1, Err(ErrorCode::FENCED_INSTANCE_ID), stage.now);
    stage.calls(Callback::Lose(places(&[0])));
    stage.nothing();
    stage.done();
    assert_eq!(stage.only(), Action::Fail(MemberFailure(ErrorCode::FENCED_INSTANCE_ID)));
    stage.nothing();
}

#[test]
fn a_member_that_leaves_revokes_first_and_a_static_one_says_nothing() {
    for instance in [None, Some("i")] {
        let mut stage = Stage::consuming(Assignor::CooperativeSticky, instance, &[0]);
        stage.member.leave();
        stage.calls(Callback::Revoke(places(&[0])));
        stage.nothing();
        assert!(!stage.member.has_left());
        stage.done();
        match instance {
            None => assert_eq!(stage.only(), Action::Send(Request::Leave { member_id: "m".into() })),
            Some(_) => stage.nothing(),
        }
        assert!(stage.member.has_left());
        stage.nothing();
    }
}

#[test]
fn an_application_that_does_not_poll_costs_the_membership_until_it_does() {
    let mut stage = Stage::consuming(Assignor::CooperativeSticky, None, &[0]);
    let end = stage.now + secs(300);
    while stage.now < end - secs(3) {
        stage.now += secs(3);
        stage.beats();
        stage.member.heartbeat_answered(1, Ok(()), stage.now);
    }
    stage.now = end;
    assert_eq!(stage.only(), Action::Send(Request::Leave { member_id: "m".into() }));
    stage.nothing();
    assert_eq!(stage.member.deadline(), None);
    assert!(stage.member.polled(stage.now + secs(60)));
    stage.now += secs(60);
    stage.calls(Callback::Lose(places(&[0])));
    stage.done();
    assert_eq!(stage.sends_join().0, "");
}

#[test]
fn another_coordinator_is_found_before_anything_is_sent_again() {
    let mut stage = Stage::new(Assignor::Range, None);
    stage.member.subscribe(topics(&["t"]), stage.now);
    stage.only();
    stage.member.coordinator_missing(stage.now);
    stage.nothing();
    stage.now = stage.member.deadline().unwrap();
    assert_eq!(stage.only(), Action::FindCoordinator);
    stage.member.coordinator_found();
    stage.sends_join();
    stage.member.joined(Err(ErrorCode::NOT_COORDINATOR), stage.now);
    stage.nothing();
    stage.now = stage.member.deadline().unwrap();
    assert_eq!(stage.only(), Action::FindCoordinator);
    stage.member.coordinator_found();
    stage.sends_join();
    stage.member.joined(Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL), stage.now);
    assert!(matches!(stage.only(), Action::Fail(_)));
}

#[test]
fn heartbeats_go_on_while_a_member_that_leaves_is_called() {
    let mut stage = Stage::consuming(Assignor::Range, None, &[0]);
    stage.member.leave();
    stage.calls(Callback::Revoke(places(&[0])));
    stage.now = stage.member.deadline().unwrap();
    assert_eq!(stage.beats(), 1);
    stage.member.heartbeat_answered(1, Err(ErrorCode::REBALANCE_IN_PROGRESS), stage.now);
    stage.nothing();
    stage.done();
    assert_eq!(stage.only(), Action::Send(Request::Leave { member_id: "m".into() }));
}

#[test]
fn a_coordinator_that_is_lost_during_a_callback_is_found_again_at_once() {
    let mut stage = Stage::consuming(Assignor::Range, None, &[0]);
    stage.told_to_rebalance();
    stage.calls(Callback::Revoke(places(&[0])));
    stage.now = stage.member.deadline().unwrap();
    let heartbeat = Request::Heartbeat { generation: stage.beats(), member_id: "m".into() };
    stage.member.request_failed(&heartbeat, stage.now);
    stage.nothing();
    stage.now = stage.member.deadline().unwrap();
    assert_eq!(stage.only(), Action::FindCoordinator);
    stage.nothing();
    stage.member.coordinator_found();
    assert_eq!(stage.beats(), 1);
    stage.nothing();
}

#[test]
fn a_join_that_failed_is_not_waited_for_in_vain() {
    let mut stage = Stage::consuming(Assignor::CooperativeSticky, None, &[0]);
    stage.told_to_rebalance();
    stage.sends_join();
    stage.now += secs(10);
    let join = Request::Join { member_id: "m".into(), protocols: Vec::new() };
    stage.member.request_failed(&join, stage.now);
    assert_eq!(stage.only(), Action::FindCoordinator);
    stage.nothing();
    stage.member.coordinator_missing(stage.now);
    stage.nothing();
}

#[test]
fn a_member_finds_its_coordinator_to_tell_it_that_it_leaves() {
    for partitions in [&[0][..], &[]] {
        let mut stage = Stage::consuming(Assignor::Range, None, partitions);
        stage.now = stage.member.deadline().unwrap();
        let heartbeat = Request::Heartbeat { generation: stage.beats(), member_id: "m".into() };
        stage.member.request_failed(&heartbeat, stage.now);
        stage.member.leave();
        if !partitions.is_empty() {
            stage.calls(Callback::Revoke(places(partitions)));
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
        assert_eq!(stage.only(), Action::Send(Request::Leave { member_id: "m".into() }));
        assert!(stage.member.has_left());
    }
}

#[test]
fn a_member_that_never_joined_waits_for_no_coordinator() {
    let mut stage = Stage::new(Assignor::Range, None);
    stage.member.subscribe(topics(&["t"]), stage.now);
    assert_eq!(stage.only(), Action::FindCoordinator);
    stage.member.leave();
    stage.nothing();
    assert!(stage.member.has_left());
}

#[test]
fn a_coordinator_that_gives_ids_or_refuses_for_ever_is_not_asked_without_a_pause() {
    let mut stage = Stage::consuming(Assignor::CooperativeSticky, None, &[0]);
    stage.told_to_rebalance();
    stage.sends_join();
    stage.member.member_id_given("n".into(), stage.now);
    stage.nothing();
    stage.now = stage.member.deadline().unwrap();
    assert_eq!(stage.sends_join().0, "n");
    let joined = Joined {
        generation: 2,
        member_id: "n".into(),
        assignor: Assignor::CooperativeSticky,
        leads: false,
        skip_assignment: false,
        members: Vec::new(),
    };
    stage.member.joined(Ok(joined), stage.now).unwrap();
    stage.member.synced(Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS), stage.now);
    stage.nothing();
}
