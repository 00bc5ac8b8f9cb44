//! Regular expressions of members of classic groups.

use trilog_protocol::consumer_protocol::Subscription as Embedded;
use trilog_protocol::topic_pattern::TopicPattern;

use super::*;
use crate::consumer::requests::topics::ListedTopic;

const MAX_AGE: Duration = Duration::from_secs(1);

fn listed(names: &[&str]) -> Vec<ListedTopic> {
    let topic = |name: &&str| ListedTopic { name: Arc::from(*name), is_internal: name.starts_with("__") };
    names.iter().map(topic).collect()
}

fn unreachable() -> Error {
    Error::Unreachable { cause: "nobody answers".to_owned() }
}

impl Stage {
    /// A member of a classic group that watches an expression.
    fn watching(pattern: &str) -> Self {
        let mut stage = member();
        let mut config = (*stage.state.config).clone();
        config.common.metadata_max_age = MAX_AGE;
        // No heartbeat is due while a test looks.
        config.heartbeat_interval = Duration::from_secs(30);
        stage.state = State::new(Arc::new(config));
        stage.watches(pattern);
        stage
    }

    fn watches(&mut self, pattern: &str) {
        let pattern = TopicPattern::new(pattern).unwrap();
        self.state.subscribe(Subscription::Matched(Box::new(pattern)), self.now);
    }

    fn names(&mut self, name: &str) {
        self.state.subscribe(Subscription::Named([Arc::from(name)].into()), self.now);
    }

    /// The only job, which lists the topics.
    fn looks(&mut self) -> WatchId {
        let jobs = self.jobs();
        match &jobs[..] {
            [Job::ListTopics { watch }] => *watch,
            _ => panic!("{jobs:?} is no single list of topics"),
        }
    }

    fn lists(&mut self, watch: WatchId, names: &[&str]) {
        self.state.topics_listed(watch, Ok(listed(names)), self.now, 0.5);
    }

    /// The only job, which joins: its membership, and the topics that it names.
    fn joins_for(&mut self) -> (MembershipId, Vec<String>) {
        let (membership, request) = self.classic();
        let classic::Request::Join { protocols, .. } = request else { panic!("{request:?} is no JoinGroup") };
        (membership, Embedded::parse(&protocols[0].1).unwrap().topics)
    }

    /// Finds the coordinator and joins.
    fn joins_first_for(&mut self) -> (MembershipId, Vec<String>) {
        let jobs = self.jobs();
        assert!(matches!(jobs[..], [Job::FindCoordinator]), "{jobs:?}");
        self.state.coordinator_answered(Ok(1), self.now);
        self.joins_for()
    }

    /// Is given nothing, as a member of this generation, and is done with the callback.
    fn is_in(&mut self, membership: MembershipId, generation: i32) {
        self.is_answered(membership, joined("me", generation));
        self.is_answered(membership, ClassicAnswer::Synced(Ok(Vec::new())));
        assert_eq!(self.assigned(), Some(Callback::Assign(BTreeSet::new())));
        self.state.callback_ends(self.now);
        self.nothing();
    }

    /// A member whose expression has matched these topics.
    fn consuming(pattern: &str, topics: &[&str]) -> (Self, MembershipId) {
        let mut stage = Self::watching(pattern);
        let watch = stage.looks();
        stage.lists(watch, topics);
        let (membership, _) = stage.joins_first_for();
        stage.is_in(membership, 1);
        (stage, membership)
    }

    /// Whether the topics that are asked for may be created by that.
    fn names_all(&self) -> bool {
        self.state.has_named(&self.state.topics())
    }

    fn waits(&mut self, time: Duration) {
        self.now += time;
    }
}

#[test]
fn the_topics_that_match_are_subscribed_to_at_once() {
    let mut stage = Stage::watching("a-[0-9]");
    let watch = stage.looks();
    stage.nothing();
    stage.lists(watch, &["a-1", "b-1", "a-2", "a-2-x", "__consumer_offsets"]);
    assert_eq!(stage.joins_first_for().1, ["a-1", "a-2"]);
    assert_eq!(stage.state.topics().into_iter().collect::<Vec<_>>(), ["a-1".into(), "a-2".into()]);
}

#[test]
fn a_topic_that_is_made_later_has_the_member_join_again() {
    let (mut stage, membership) = Stage::consuming("a-.", &["a-1"]);
    assert_eq!(stage.state.deadline(), Some(stage.now + MAX_AGE));
    stage.waits(MAX_AGE);
    let watch = stage.looks();
    stage.lists(watch, &["a-1", "b-1"]);
    stage.nothing();
    stage.waits(MAX_AGE);
    let watch = stage.looks();
    stage.lists(watch, &["a-1", "b-1", "a-2"]);
    assert_eq!(stage.joins_for(), (membership, vec!["a-1".to_owned(), "a-2".to_owned()]));
    stage.is_in(membership, 2);
}

#[test]
fn a_topic_that_is_deleted_is_given_up() {
    let (mut stage, membership) = Stage::consuming("t|a-1", &["a-1", "t"]);
    stage.waits(MAX_AGE);
    let watch = stage.looks();
    stage.lists(watch, &["t"]);
    assert_eq!(stage.joins_for().1, ["t"]);
    stage.is_answered(membership, joined("me", 2));
    stage.is_answered(membership, synced(0));
    assert_eq!(stage.assigned(), Some(Callback::Assign([place(0)].into())));
    stage.state.callback_ends(stage.now);
    stage.waits(MAX_AGE);
    let jobs = stage.jobs();
    let watch = jobs.iter().find_map(|job| match job {
        Job::ListTopics { watch } => Some(*watch),
        _ => None,
    });
    stage.lists(watch.unwrap(), &[]);
    stage.jobs();
    assert_eq!(stage.state.callback, Some(Callback::Revoke([place(0)].into())));
    stage.state.callback_ends(stage.now);
    assert_eq!(stage.joins_for().1, Vec::<String>::new());
}

#[test]
fn a_topic_that_brokers_no_longer_have_is_looked_for_soon() {
    let (mut stage, _) = Stage::consuming("t", &["t"]);
    let mut config = (*stage.state.config).clone();
    config.common.metadata_max_age = Duration::from_secs(300);
    stage.state.config = Arc::new(config);
    stage.waits(MAX_AGE);
    let watch = stage.looks();
    stage.lists(watch, &["t"]);
    stage.snapshot.topics.get_mut("t").unwrap().error = Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    stage.nothing();
    stage.waits(stage.state.config.common.retry.max);
    let watch = stage.looks();
    // A broker may list it for a while: it is not asked without a pause.
    stage.lists(watch, &["t"]);
    stage.nothing();
    stage.waits(stage.state.config.common.retry.max);
    let watch = stage.looks();
    stage.lists(watch, &[]);
    assert_eq!(stage.joins_for().1, Vec::<String>::new());
}

#[test]
fn internal_topics_match_if_they_are_wanted() {
    let all = ["__consumer_offsets", "__mine", "a"];
    let topics = || {
        let mut topics = listed(&all);
        topics[1].is_internal = false;
        topics
    };
    for (excluded, expected) in [(true, &all[1..]), (false, &all[..])] {
        let mut stage = Stage::watching(".*");
        let mut config = (*stage.state.config).clone();
        config.exclude_internal_topics = excluded;
        stage.state.config = Arc::new(config);
        let watch = stage.looks();
        stage.state.topics_listed(watch, Ok(topics()), stage.now, 0.5);
        assert_eq!(stage.joins_first_for().1, expected);
    }
}

#[test]
fn a_member_is_one_while_nothing_matches() {
    let (mut stage, membership) = Stage::consuming("a-.", &["b"]);
    stage.waits(MAX_AGE);
    let watch = stage.looks();
    stage.lists(watch, &["a-1", "b"]);
    assert_eq!(stage.joins_for(), (membership, vec!["a-1".to_owned()]));
}

#[test]
fn nobody_looks_after_the_end_of_a_subscription() {
    let (mut stage, _) = Stage::consuming("a-.", &["a-1"]);
    stage.waits(MAX_AGE);
    let watch = stage.looks();
    stage.state.unsubscribe();
    stage.lists(watch, &["a-1", "a-2"]);
    let (_, request) = stage.classic();
    assert!(matches!(request, classic::Request::Leave { .. }), "{request:?}");
    assert!(stage.state.left(stage.now));
    stage.lists(watch, &["a-1", "a-2"]);
    stage.waits(MAX_AGE);
    stage.nothing();
    assert_eq!(stage.state.deadline(), None);
    assert!(stage.state.topics().is_empty() && stage.names_all());
}

#[test]
fn an_expression_is_left_before_the_first_list() {
    let mut stage = Stage::watching("a-.");
    let watch = stage.looks();
    stage.state.unsubscribe();
    stage.lists(watch, &["a-1"]);
    stage.nothing();
    assert!(stage.state.left(stage.now));
}

#[test]
fn nobody_looks_for_a_consumer_that_closes() {
    let mut stage = Stage::watching("a-.");
    let watch = stage.looks();
    stage.state.phase = Lifetime::Closing;
    stage.state.member.leave();
    stage.lists(watch, &["a-1"]);
    stage.nothing();
    assert!(stage.state.member.has_left());
}

#[test]
fn nobody_looks_for_a_member_that_the_group_does_not_take() {
    let mut stage = Stage::watching("a-.");
    let watch = stage.looks();
    stage.lists(watch, &["a-1"]);
    let (membership, _) = stage.joins_first_for();
    stage.is_answered(membership, ClassicAnswer::Joined(Err(ErrorCode::GROUP_AUTHORIZATION_FAILED)));
    stage.nothing();
    assert!(stage.state.take().unwrap().is_err());
    stage.waits(MAX_AGE);
    stage.nothing();
}

#[test]
fn names_and_expressions_replace_each_other() {
    let mut stage = Stage::watching("a-.");
    let first = stage.looks();
    stage.names("t");
    stage.lists(first, &["a-1"]);
    let (membership, topics) = stage.joins_first_for();
    assert_eq!(topics, ["t"], "the list is that of an expression which is no longer wanted");
    stage.is_in(membership, 1);
    assert!(stage.names_all());

    stage.watches("a-.");
    let second = stage.looks();
    assert_eq!(
        stage.state.topics(),
        [Arc::from("t")].into(),
        "the earlier subscription stays until the first list arrives"
    );
    stage.lists(first, &["a-7"]);
    stage.nothing();
    stage.lists(second, &["a-1", "t"]);
    assert_eq!(stage.joins_for(), (membership, vec!["a-1".to_owned()]));
    stage.is_in(membership, 2);
    assert!(!stage.names_all());

    stage.watches("a-.|t");
    let third = stage.looks();
    stage.lists(third, &["a-1", "t"]);
    assert_eq!(stage.joins_for().1, ["a-1", "t"]);
    stage.is_in(membership, 3);

    stage.names("t");
    assert_eq!(stage.joins_for().1, ["t"]);
    stage.is_in(membership, 4);
    stage.waits(MAX_AGE);
    stage.nothing();
}

#[test]
fn a_subscription_while_the_member_leaves_is_watched_when_it_has_left() {
    let (mut stage, _) = Stage::consuming("a-.", &["a-1"]);
    stage.state.unsubscribe();
    stage.watches("b-.");
    stage.jobs();
    assert!(stage.state.left(stage.now));
    let watch = stage.looks();
    stage.lists(watch, &["a-1", "b-1"]);
    assert_eq!(stage.joins_first_for().1, ["b-1"]);
}

#[test]
fn a_list_that_cannot_be_had_is_asked_for_ever_more_rarely() {
    let mut stage = Stage::watching("a-.");
    for milliseconds in [100, 200, 400] {
        let watch = stage.looks();
        stage.state.topics_listed(watch, Err(unreachable()), stage.now, 0.5);
        stage.nothing();
        assert_eq!(stage.state.deadline(), Some(stage.now + Duration::from_millis(milliseconds)));
        stage.waits(Duration::from_millis(milliseconds));
    }
    assert!(stage.state.take().is_none(), "a retry may mend it");
    let watch = stage.looks();
    let refused = Error::code(ErrorCode::CLUSTER_AUTHORIZATION_FAILED);
    stage.state.topics_listed(watch, Err(refused), stage.now, 0.5);
    assert!(stage.state.take().unwrap().is_err());
    stage.waits(Duration::from_secs(1));
    let watch = stage.looks();
    stage.lists(watch, &["a-1"]);
    assert_eq!(stage.joins_first_for().1, ["a-1"]);
}

#[test]
fn topics_that_were_not_named_are_not_made() {
    let mut stage = member();
    stage.names("u");
    assert!(stage.names_all());
    stage.state.callback_begins(&Callback::Assign([place(0)].into()));
    assert!(!stage.names_all(), "a partition of an earlier subscription");
    stage.state.callback = Some(Callback::Revoke([place(0)].into()));
    stage.state.callback_ends(stage.now);
    assert!(stage.names_all());
    stage.state.counting = Some([Arc::from("v")].into());
    assert!(!stage.names_all(), "a topic of another member");
    let mut by_hand = Stage::new(ResetPolicy::None);
    by_hand.state.assign(&[place(0)].into());
    assert!(by_hand.names_all());
    let mut modern = Stage::new(ResetPolicy::None);
    let config = (*modern.state.config).clone().group("g").protocol(GroupProtocol::Consumer);
    modern.state = State::new(Arc::new(config));
    modern.state.subscribe(Subscription::MatchedByGroup("a-.".to_owned()), modern.now);
    assert!(!modern.names_all());
}
