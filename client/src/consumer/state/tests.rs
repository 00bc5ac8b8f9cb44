mod stopped;
mod watching;

use bytes::Bytes;
use trilog_protocol::ErrorCode;
use trilog_protocol::consumer_protocol::encode_assignment;
use trilog_protocol::testing::BatchBuilder;

use super::*;
use crate::config::Address;
use crate::consumer::assignor::Assignor;
use crate::consumer::config::GroupProtocol;
use crate::consumer::fetch::session::SessionAnswer;
use crate::consumer::positions::ResetPolicy;
use crate::consumer::requests::group::ClassicAnswer;
use crate::consumer::requests::log::{Fetched, FetchedPartition};
use crate::metadata::{Partition, Snapshot, Topic};

/// A consumer that assigns by hand, whose brokers the test plays.
struct Stage {
    state: State,
    now: Duration,
    snapshot: Snapshot,
}

fn place(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

impl Stage {
    fn new(policy: ResetPolicy) -> Self {
        let config = ConsumerConfig::new("h:1").unwrap().reset(policy);
        let address = Address { host: "h".to_owned(), port: 1 };
        let led = Partition { leader: Some(1), leader_epoch: 5 };
        let topic = Topic { partitions: vec![led, led], ..Topic::default() };
        let snapshot = Snapshot {
            brokers: [(1, address.clone()), (2, address)].into(),
            topics: [(Arc::from("t"), topic)].into(),
            ..Snapshot::default()
        };
        Self { state: State::new(Arc::new(config)), now: Duration::from_secs(10), snapshot }
    }

    /// The application takes so many records at once.
    fn taking_at_most(mut self, records: usize) -> Self {
        let config = (*self.state.config).clone().max_poll_records(records.try_into().unwrap());
        self.state.config = Arc::new(config);
        self
    }

    /// There is room for so many bytes.
    fn with_room(mut self, bytes: usize) -> Self {
        self.state.prefetch = Prefetch::new(bytes);
        self
    }

    /// Two partitions, read from these offsets on.
    fn reading(policy: ResetPolicy, offsets: [i64; 2]) -> Self {
        let mut stage = Self::new(policy);
        stage.state.assign(&[place(0), place(1)].into());
        for (partition, offset) in (0..).zip(offsets) {
            let to = Committable { offset, leader_epoch: Some(5) };
            assert!(stage.state.seek(&place(partition), |positions| positions.seek(&place(partition), to)));
        }
        stage
    }

    fn jobs(&mut self) -> Vec<Job> {
        self.state.jobs(self.now, 0, &self.snapshot)
    }

    /// The only job, which is a Fetch.
    fn fetches(&mut self) -> FetchJob {
        let mut jobs = self.jobs();
        match (jobs.pop(), jobs.is_empty()) {
            (Some(Job::Fetch(job)), true) => job,
            (other, _) => panic!("{other:?} and {jobs:?} are no single Fetch"),
        }
    }

    fn nothing(&mut self) {
        let jobs = self.jobs();
        assert!(jobs.is_empty(), "{jobs:?}");
    }

    fn answers(&mut self, job: FetchJob, rows: Vec<(i32, Result<FetchedPartition, ErrorCode>)>) {
        let partitions = rows.into_iter().map(|(partition, row)| (place(partition), row)).collect();
        self.state.fetch_answered(job, Ok(Fetched { session: SessionAnswer::Ok(9), partitions }), self.now);
    }

    /// The Fetches that are due: brokers, with the room that each has reserved.
    fn fetches_of_many(&mut self) -> Vec<FetchJob> {
        let fetch = |job| match job {
            Job::Fetch(job) => job,
            other => panic!("{other:?} is no Fetch"),
        };
        self.jobs().into_iter().map(fetch).collect()
    }

    /// A consumer that reads `each` partitions of each of these brokers.
    fn led_by(brokers: &[NodeId], each: usize) -> Self {
        let mut stage = Self::new(ResetPolicy::None);
        let address = Address { host: "h".to_owned(), port: 1 };
        stage.snapshot.brokers = brokers.iter().map(|broker| (*broker, address.clone())).collect();
        let led = |leader| Partition { leader: Some(leader), leader_epoch: 5 };
        let partitions: Vec<_> =
            brokers.iter().flat_map(|broker| std::iter::repeat_n(led(*broker), each)).collect();
        let places: BTreeSet<_> = (0..).zip(&partitions).map(|(number, _)| place(number)).collect();
        stage.snapshot.topics = [(Arc::from("t"), Topic { partitions, ..Topic::default() })].into();
        stage.state.assign(&places);
        for place in &places {
            let to = Committable { offset: 0, leader_epoch: Some(5) };
            assert!(stage.state.seek(place, |positions| positions.seek(place, to)));
        }
        stage
    }

    /// Partition 0 has a new leader, which is asked first.
    fn led_in_epoch(&mut self, leader_epoch: i32) -> BTreeMap<TopicPartition, (Ticket, i32, Option<i32>)> {
        let topic = self.snapshot.topics.get_mut("t").unwrap();
        topic.partitions[0] = Partition { leader: Some(2), leader_epoch };
        let mut jobs = self.jobs();
        match (jobs.pop(), jobs.is_empty()) {
            (Some(Job::EpochEnds { node: 2, epochs }), true) => epochs,
            (other, _) => panic!("{other:?} and {jobs:?} are no single question for the end of an epoch"),
        }
    }

    fn taken(&mut self) -> Vec<(i32, i64)> {
        let batches = std::iter::from_fn(|| self.state.take());
        let rows = batches.flat_map(|batch| {
            let batch = batch.unwrap();
            let records = batch.records.into_iter();
            records.map(move |record| (batch.partition.partition, record.offset.0)).collect::<Vec<_>>()
        });
        rows.collect()
    }
}

/// Records from `offset` on, in batches of these sizes.
fn records(mut offset: i64, sizes: &[u32]) -> Result<FetchedPartition, ErrorCode> {
    let mut bytes = Vec::new();
    for size in sizes {
        bytes.extend(BatchBuilder::of_count(*size).base_offset(offset).leader_epoch(5).build());
        offset += i64::from(*size);
    }
    Ok(FetchedPartition {
        records: Bytes::from(bytes),
        high_watermark: 100,
        diverging: None,
        aborted: Vec::new(),
    })
}

#[test]
fn a_partition_is_fetched_ahead_so_that_no_other_holds_it_up() {
    let mut stage = Stage::reading(ResetPolicy::None, [10, 20]);
    let job = stage.fetches();
    assert_eq!((job.node, job.request.fetch.len()), (1, 2));
    stage.nothing();
    stage.answers(job, vec![(0, records(10, &[2, 1]))]);
    // A Fetch of partition 1 alone would have the broker wait, and what is appended to partition 0 meanwhile with it.
    let second = stage.fetches();
    let asked = second.request.fetch.iter().map(|(place, asked)| (place.partition, asked.offset));
    assert_eq!(
        (second.asked.len(), asked.collect::<Vec<_>>()),
        (2, vec![(0, 13)]),
        "the session names what has changed"
    );
    assert_eq!((second.request.session_id, second.max_wait), (9, stage.state.config.fetch_max_wait));
    assert_eq!(stage.state.lag(&place(0)), Some(90));
    stage.answers(second, vec![]);
    assert_eq!(stage.taken(), [(0, 10), (0, 11), (0, 12)]);
}

#[test]
fn a_partition_of_which_enough_waits_is_read_before_it_is_fetched_again() {
    let mut stage = Stage::reading(ResetPolicy::None, [10, 20]).with_room(200);
    let job = stage.fetches();
    stage.answers(job, vec![(0, records(10, &[2, 1]))]);
    assert!(stage.state.prefetch.bytes() >= 100, "half of the room");
    let second = stage.fetches();
    assert_eq!(second.asked.keys().collect::<Vec<_>>(), [&place(1)]);
    assert_eq!((second.request.session_id, second.request.forget.clone()), (9, vec![place(0)]));
    assert_eq!(second.max_wait, Duration::from_millis(20), "partition 0 may be read at any moment");
    assert!(!stage.state.has_made_way());
    stage.answers(second, vec![]);
    for ms in [40, 80, 160, 320, 500, 500] {
        let patient = stage.fetches();
        assert_eq!(patient.max_wait, Duration::from_millis(ms), "nothing is read, up to fetch.max.wait.ms");
        stage.answers(patient, vec![]);
    }
    assert!(stage.state.take().is_some_and(|batch| batch.is_ok()) && stage.state.has_made_way());
    let third = stage.fetches();
    let asked = third.request.fetch.iter().map(|(place, asked)| (place.partition, asked.offset));
    assert_eq!((third.asked.len(), asked.collect::<Vec<_>>()), (2, vec![(0, 13)]));
    stage.answers(third, vec![(0, records(13, &[1]))]);
    assert_eq!(stage.fetches().max_wait, Duration::from_millis(20), "something was read since");
}

#[test]
fn a_batch_that_begins_before_the_position_gives_only_what_was_asked_for() {
    let mut stage = Stage::reading(ResetPolicy::None, [12, 20]);
    let job = stage.fetches();
    stage.answers(job, vec![(0, records(10, &[5]))]);
    assert_eq!(stage.taken(), [(0, 12), (0, 13), (0, 14)]);
    stage.state.ledger.given_back();
    assert_eq!(stage.state.ledger.owed()[&place(0)].offset, 15);
}

#[test]
fn a_batch_is_handed_out_in_pieces_that_the_application_takes() {
    let mut stage = Stage::reading(ResetPolicy::None, [11, 20]).taking_at_most(2);
    let job = stage.fetches();
    stage.answers(job, vec![(0, records(10, &[6, 1])), (1, records(20, &[1]))]);
    let mut pieces = Vec::new();
    while let Some(batch) = stage.state.take() {
        let batch = batch.unwrap();
        let offsets: Vec<_> = batch.records.iter().map(|record| record.offset.0).collect();
        assert_eq!(stage.state.next_offset(&batch.partition), Some(batch.next_offset));
        stage.state.ledger.given_back();
        assert_eq!(stage.state.ledger.owed()[&batch.partition].offset, batch.next_offset);
        pieces.push((batch.partition.partition, offsets));
    }
    let expected = [(0, vec![11, 12]), (1, vec![20]), (0, vec![13, 14]), (0, vec![15]), (0, vec![16])];
    assert_eq!(pieces, expected);
}

#[test]
fn the_rest_of_a_batch_is_void_after_a_seek_and_waits_while_it_is_paused() {
    let mut stage = Stage::reading(ResetPolicy::None, [10, 20]).taking_at_most(2);
    let job = stage.fetches();
    stage.answers(job, vec![(0, records(10, &[6]))]);
    assert_eq!(stage.state.take().unwrap().unwrap().next_offset, 12);
    stage.state.pause(&place(0));
    assert!(stage.state.take().is_none());
    stage.state.resume(&place(0));
    assert_eq!(stage.state.take().unwrap().unwrap().next_offset, 14);
    let to = Committable { offset: 50, leader_epoch: None };
    stage.state.seek(&place(0), |positions| positions.seek(&place(0), to));
    assert!(stage.state.take().is_none());
}

#[test]
fn what_was_on_its_way_before_a_seek_is_void() {
    let mut stage = Stage::reading(ResetPolicy::None, [10, 20]);
    let job = stage.fetches();
    let to = Committable { offset: 50, leader_epoch: None };
    stage.state.seek(&place(0), |positions| positions.seek(&place(0), to));
    stage.answers(job, vec![(0, records(10, &[2])), (1, records(20, &[1]))]);
    assert_eq!(stage.taken(), [(1, 20)]);
    assert_eq!(stage.state.next_offset(&place(0)), Some(50));
}

#[test]
fn what_was_on_its_way_for_a_partition_that_is_gone_is_void() {
    let mut stage = Stage::reading(ResetPolicy::None, [10, 20]);
    let job = stage.fetches();
    stage.state.assign(&[place(1)].into());
    stage.answers(job, vec![(0, records(10, &[2])), (1, records(20, &[1]))]);
    assert_eq!(stage.taken(), [(1, 20)]);
}

#[test]
fn without_a_group_and_an_offset_the_policy_decides() {
    let mut stage = Stage::new(ResetPolicy::Earliest);
    stage.state.assign(&[place(0)].into());
    let mut jobs = stage.jobs();
    let Some(Job::Landmarks { node: 1, times }) = jobs.pop() else { panic!("{jobs:?}") };
    assert_eq!(times[&place(0)].1, -2);
    stage.nothing();
    let found = Committable { offset: 3, leader_epoch: None };
    stage.state.landmarks_answered(&times, Ok([(place(0), Ok(Some(found)))].into()), stage.now);
    let job = stage.fetches();
    assert_eq!(job.request.fetch[0].1.offset, 3);
}

#[test]
fn a_new_leader_is_asked_first_and_a_truncated_log_takes_back_what_waits() {
    let mut stage = Stage::reading(ResetPolicy::Latest, [10, 20]);
    stage.state.assign(&[place(0)].into());
    let job = stage.fetches();
    stage.answers(job, vec![(0, records(10, &[2, 2, 2]))]);
    if let Some(topic) = stage.snapshot.topics.get_mut("t") {
        topic.partitions[0] = Partition { leader: Some(2), leader_epoch: 6 };
    }
    let mut jobs = stage.jobs();
    let Some(Job::EpochEnds { node: 2, epochs }) = jobs.pop() else { panic!("{jobs:?}") };
    assert_eq!((epochs[&place(0)].1, epochs[&place(0)].2), (5, Some(6)));
    let end = Committable { offset: 13, leader_epoch: Some(5) };
    stage.state.epoch_ends_answered(&epochs, Ok([(place(0), Ok(Some(end)))].into()), stage.now);
    // Records 10 to 12 are still part of the log and were not handed out; 13 to 15 never were.
    assert_eq!(stage.taken(), []);
    assert_eq!(stage.fetches().request.fetch[0].1.offset, 10);
}

#[test]
fn an_error_of_a_partition_waits_out_and_asks_for_new_leaders() {
    let mut stage = Stage::reading(ResetPolicy::None, [10, 20]);
    let job = stage.fetches();
    stage.answers(job, vec![(0, Err(ErrorCode::NOT_LEADER_OR_FOLLOWER))]);
    assert!(stage.state.metadata_is_stale);
    let job = stage.fetches();
    assert_eq!(job.asked.keys().collect::<Vec<_>>(), [&place(1)]);
    stage.answers(job, vec![(1, Err(ErrorCode::TOPIC_AUTHORIZATION_FAILED))]);
    assert!(stage.state.take().unwrap().is_err());
    stage.now = stage.state.deadline().unwrap();
    assert_eq!(stage.fetches().asked.keys().collect::<Vec<_>>(), [&place(0)]);
}

#[test]
fn a_fetch_reserves_no_more_than_its_partitions_may_bring() {
    let mut stage = Stage::led_by(&[1, 2, 3, 4], 2);
    let reserved = stage.fetches_of_many().into_iter().map(|job| (job.node, job.reserved >> 20));
    assert_eq!(reserved.collect::<Vec<_>>(), [(1, 2), (2, 2), (3, 2), (4, 2)]);
}

/// Brokers, with the room that each has, in MiB.
fn rooms(jobs: &[FetchJob]) -> Vec<(NodeId, usize)> {
    jobs.iter().map(|job| (job.node, job.reserved >> 20)).collect()
}

#[test]
fn each_broker_has_its_share_of_the_room_however_many_partitions_it_leads() {
    let mut stage = Stage::led_by(&[1, 2, 3, 4], 60);
    let mut waiting = stage.fetches_of_many();
    assert_eq!(rooms(&waiting), [(1, 8), (2, 8), (3, 8), (4, 8)]);
    for _ in 0..6 {
        let first = waiting.remove(0);
        let node = first.node;
        stage.answers(first, vec![]);
        let next = stage.fetches_of_many();
        assert_eq!(rooms(&next), [(node, 8)], "the others wait for records, and leave it its room");
        waiting.extend(next);
    }
}

#[test]
fn a_single_broker_has_all_of_the_room() {
    assert_eq!(rooms(&Stage::led_by(&[1], 60).fetches_of_many()), [(1, 50)], "fetch.max.bytes");
    assert_eq!(rooms(&Stage::led_by(&[1], 60).with_room(9 << 20).fetches_of_many()), [(1, 9)]);
    assert_eq!(rooms(&Stage::led_by(&[1], 1).with_room(1 << 20).fetches_of_many()), [(1, 1)]);
}

#[test]
fn a_remnant_of_the_room_is_not_fetched_into() {
    let mut stage = Stage::led_by(&[1], 60).with_room(1000);
    let job = stage.fetches();
    // Answers may be larger than what was asked for.
    let filling = (0..12).map(|partition| (partition, records(0, &[1]))).collect();
    stage.answers(job, filling);
    let waits = stage.state.prefetch.bytes();
    assert!((900..1000).contains(&waits), "all but a remnant waits for the application: {waits}");
    stage.nothing();
    while stage.state.prefetch.bytes() > 875 {
        assert!(
            stage.state.take().is_some() && stage.state.has_made_way(),
            "each record that is taken asks again"
        );
    }
    assert!(stage.fetches().reserved >= 125);
}

#[test]
fn a_log_that_shares_nothing_takes_back_all_that_waits() {
    for (policy, end) in [
        (ResetPolicy::Earliest, None),
        (ResetPolicy::None, None),
        (ResetPolicy::None, Some(Committable { offset: 4, leader_epoch: Some(3) })),
    ] {
        let mut stage = Stage::reading(policy, [10, 20]);
        stage.state.assign(&[place(0)].into());
        let job = stage.fetches();
        stage.answers(job, vec![(0, records(10, &[2, 2, 2]))]);
        let epochs = stage.led_in_epoch(6);
        stage.state.epoch_ends_answered(&epochs, Ok([(place(0), Ok(end))].into()), stage.now);
        assert_eq!(stage.taken(), [], "{policy:?} {end:?}");
    }
}

#[test]
fn a_truncation_of_what_was_not_handed_out_is_no_loss() {
    let mut stage = Stage::reading(ResetPolicy::None, [10, 20]);
    stage.state.assign(&[place(0)].into());
    let job = stage.fetches();
    stage.answers(job, vec![(0, records(10, &[2, 2, 2]))]);
    let epochs = stage.led_in_epoch(6);
    let end = Committable { offset: 10, leader_epoch: Some(5) };
    stage.state.epoch_ends_answered(&epochs, Ok([(place(0), Ok(Some(end)))].into()), stage.now);
    assert_eq!(
        stage.fetches().request.fetch[0].1,
        Asked { offset: 10, leader_epoch: Some(6), last_epoch: None }
    );
    assert!(stage.state.take().is_none());
}

/// Where the log differs, as a Fetch is answered.
fn diverges(offset: i64, epoch: i32) -> Result<FetchedPartition, ErrorCode> {
    let diverging = Some(Committable { offset, leader_epoch: Some(epoch) });
    Ok(FetchedPartition { records: Bytes::new(), high_watermark: 100, diverging, aborted: Vec::new() })
}

#[test]
fn a_log_that_differs_in_epochs_alone_is_read_on() {
    let mut stage = Stage::reading(ResetPolicy::None, [10, 20]);
    stage.state.assign(&[place(0)].into());
    let job = stage.fetches();
    stage.answers(job, vec![(0, diverges(10, 3))]);
    let job = stage.fetches();
    let expected = Asked { offset: 10, leader_epoch: Some(5), last_epoch: Some(3) };
    assert_eq!(job.request.fetch, [(place(0), expected)]);
    // The same once more says nothing: the broker is left alone for a while.
    stage.answers(job, vec![(0, diverges(10, 3))]);
    stage.nothing();
    stage.now = stage.state.deadline().unwrap();
    stage.fetches();
}

#[test]
fn a_topic_that_was_made_again_is_read_as_a_new_log() {
    let mut stage = Stage::reading(ResetPolicy::Earliest, [10, 20]);
    stage.state.assign(&[place(0)].into());
    let job = stage.fetches();
    stage.answers(job, vec![(0, records(10, &[2]))]);
    let epochs = stage.led_in_epoch(1);
    assert_eq!(
        (epochs[&place(0)].1, epochs[&place(0)].2),
        (5, Some(1)),
        "the leader confirms that it is one"
    );
    let end = Committable { offset: 40, leader_epoch: Some(1) };
    stage.state.epoch_ends_answered(&epochs, Ok([(place(0), Ok(Some(end)))].into()), stage.now);
    assert_eq!(stage.taken(), []);
    let jobs = stage.jobs();
    assert!(matches!(&jobs[..], [Job::Landmarks { node: 2, times }] if times[&place(0)].1 == -2), "{jobs:?}");
}

#[test]
fn a_commit_of_a_member_ends_with_its_hold_of_the_partitions() {
    let mut stage = Stage::new(ResetPolicy::None);
    stage.state.subscribe(Subscription::Named([Arc::from("t")].into()), stage.now);
    let assign = |state: &mut State, partition| {
        state.callback_begins(&Callback::Assign([place(partition)].into()));
    };
    assign(&mut stage.state, 0);
    assign(&mut stage.state, 1);
    let tenures = stage.state.tenures(&[place(0), place(1), place(7)]);
    assert_eq!(stage.state.gone_since(&tenures), None, "seven was never held");
    stage.state.callback = Some(Callback::Revoke([place(1)].into()));
    assert_eq!(stage.state.gone_since(&tenures), None, "until the callback is done");
    stage.state.callback_ends(stage.now);
    assert_eq!(stage.state.gone_since(&tenures), Some(&place(1)));
    // Somebody else may have read on meanwhile.
    assign(&mut stage.state, 1);
    assert_eq!(stage.state.gone_since(&tenures), Some(&place(1)));
}

#[test]
fn a_broker_that_refuses_every_session_is_not_asked_without_a_pause() {
    let mut stage = Stage::reading(ResetPolicy::None, [10, 20]);
    let job = stage.fetches();
    let refused = Fetched { session: SessionAnswer::NotFound, partitions: BTreeMap::new() };
    stage.state.fetch_answered(job, Ok(refused), stage.now);
    stage.nothing();
    stage.now = stage.state.deadline().unwrap();
    stage.fetches();
}

#[test]
fn paused_partitions_make_room_for_the_others() {
    let mut stage = Stage::reading(ResetPolicy::None, [10, 20]);
    stage.state.prefetch = Prefetch::new(10);
    let job = stage.fetches();
    stage.answers(job, vec![(0, records(10, &[2, 2]))]);
    stage.nothing();
    stage.state.pause(&place(0));
    let job = stage.fetches();
    assert_eq!(job.asked.keys().collect::<Vec<_>>(), [&place(1)]);
    assert_eq!(stage.state.next_offset(&place(0)), Some(10));
    stage.answers(job, vec![]);
    stage.state.resume(&place(0));
    let asked = stage.fetches().asked;
    assert_eq!(asked[&place(0)].1.offset, 10);
}

/// A consumer that is a member of a classic group.
fn member() -> Stage {
    let mut stage = Stage::new(ResetPolicy::None);
    let config = (*stage.state.config).clone().group("g").protocol(GroupProtocol::Classic);
    stage.state = State::new(Arc::new(config));
    stage
}

impl Stage {
    fn subscribes(&mut self) {
        self.state.subscribe(Subscription::Named([Arc::from("t")].into()), self.now);
    }

    /// The only job, which is a request of the classic protocol.
    fn classic(&mut self) -> (MembershipId, classic::Request) {
        let mut jobs = self.jobs();
        match (jobs.pop(), jobs.is_empty()) {
            (Some(Job::Classic { membership, request, .. }), true) => (membership, request),
            (other, _) => panic!("{other:?} and {jobs:?} are no single request"),
        }
    }

    fn is_answered(&mut self, membership: MembershipId, answer: ClassicAnswer) -> Vec<Job> {
        let mut more = Vec::new();
        self.state.classic_answered(membership, answer, self.now, &mut more);
        more
    }

    /// Finds the coordinator and sends JoinGroup.
    fn joins(&mut self) -> MembershipId {
        assert!(matches!(self.jobs()[..], [Job::FindCoordinator]));
        self.state.coordinator_answered(Ok(1), self.now);
        let (membership, request) = self.classic();
        assert!(matches!(request, classic::Request::Join { .. }), "{request:?}");
        membership
    }

    /// Joins, and sends SyncGroup.
    fn syncs(&mut self, member_id: &str, generation: i32) -> MembershipId {
        let membership = self.joins();
        let more = self.is_answered(membership, joined(member_id, generation));
        assert!(
            matches!(more[..], [Job::Classic { request: classic::Request::Sync { .. }, .. }]),
            "{more:?}"
        );
        membership
    }

    /// Leaves, and subscribes again before the answers to what was asked before.
    fn changes_its_mind(&mut self) {
        self.state.unsubscribe();
        let jobs = self.jobs();
        assert!(
            jobs.iter()
                .all(|job| matches!(job, Job::Classic { request: classic::Request::Leave { .. }, .. })),
            "{jobs:?}"
        );
        assert!(self.state.left(self.now));
        self.subscribes();
    }

    fn assigned(&mut self) -> Option<Callback> {
        self.jobs();
        self.state.callback.clone()
    }
}

fn joined(member_id: &str, generation: i32) -> ClassicAnswer {
    ClassicAnswer::Joined(Ok(classic::Joined {
        generation,
        member_id: member_id.to_owned(),
        leads: false,
        assignor: Assignor::Range,
        skip_assignment: false,
        members: Vec::new(),
    }))
}

fn synced(partition: i32) -> ClassicAnswer {
    ClassicAnswer::Synced(Ok(encode_assignment(&[("t".to_owned(), vec![partition])], 0)))
}

#[test]
fn answers_of_a_membership_that_is_over_do_not_touch_the_next_one() {
    let mut stage = member();
    stage.subscribes();
    let former = stage.syncs("former", 1);
    stage.changes_its_mind();
    let present = stage.syncs("present", 3);
    stage.is_answered(former, synced(0));
    assert_eq!(stage.assigned(), None, "partitions of the former membership");
    stage.state.classic_failed(
        former,
        &classic::Request::Sync {
            generation: 1,
            member_id: "former".to_owned(),
            assignor: Assignor::Range,
            assignments: BTreeMap::new(),
        },
        Error::code(ErrorCode::NOT_COORDINATOR),
        stage.now,
    );
    stage.is_answered(present, synced(1));
    assert_eq!(stage.assigned(), Some(Callback::Assign([place(1)].into())));
}

#[test]
fn a_membership_that_is_over_and_joins_after_all_leaves_the_group() {
    let mut stage = member();
    stage.subscribes();
    let former = stage.joins();
    stage.changes_its_mind();
    let present = stage.joins();
    let more = stage.is_answered(former, joined("former", 1));
    let [Job::Classic { membership, request: classic::Request::Leave { member_id }, .. }] = &more[..] else {
        panic!("{more:?}")
    };
    assert_eq!((*membership, member_id.as_str()), (former, "former"));
    let more = stage.is_answered(present, joined("present", 2));
    assert!(matches!(more[..], [Job::Classic { request: classic::Request::Sync { generation: 2, .. }, .. }]));
}
