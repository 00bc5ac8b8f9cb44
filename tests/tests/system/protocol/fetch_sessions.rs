//! Fetch sessions (KIP-227): partitions are named once, and answered when they have changed.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::ForgottenTopic;
use kafka_protocol::messages::{FetchRequest, FetchResponse};
use trilog_client::wire::Connection;
use trilog_tests::admin::{NewTopic, delete_topic};
use trilog_tests::batch::{Batch, values};
use trilog_tests::cluster::{SharedCluster, connection_options, shared};
use trilog_tests::partition::Partition;
use trilog_tests::requests::{FetchPlan, Target, error, topic_name};

/// A topic whose partitions node 1 leads.
struct Topic {
    connection: Connection,
    partitions: Vec<Target>,
}

/// A session as its client sees it.
#[derive(Clone, Copy)]
struct Session {
    id: i32,
    epoch: i32,
}

async fn topic(cluster: &SharedCluster, name: &str, partitions: i32) -> Topic {
    let assigned = (0..partitions).fold(NewTopic::new(name), |topic, index| topic.assign(index, &[1, 2, 3]));
    cluster.create(assigned).await;
    let mut targets = Vec::new();
    for index in 0..partitions {
        cluster.leader_where(name, index, |leader| leader == 1).await;
        targets.push(cluster.partition(name, index).await.target);
    }
    Topic { connection: cluster.connect(1).await, partitions: targets }
}

impl Topic {
    async fn produce(&self, index: usize, text: &str) {
        let target = self.partitions[index].clone();
        Partition { connection: self.connection.clone(), target }.produce(values(1, &[text])).await;
    }

    /// A request that names partitions, each with an offset.
    fn request(&self, version: i16, session: Session, named: &[(usize, i64)]) -> FetchRequest {
        let plan = |offset| FetchPlan { max_wait_ms: 0, ..FetchPlan::from(offset) };
        let topics =
            named.iter().map(|(at, offset)| self.partitions[*at].fetch_topic(version, plan(*offset)));
        FetchRequest::default()
            .with_max_bytes(1 << 20)
            .with_session_id(session.id)
            .with_session_epoch(session.epoch)
            .with_topics(topics.collect())
    }

    async fn ask(&self, version: i16, session: Session, named: &[(usize, i64)]) -> FetchResponse {
        let request = self.request(version, session, named);
        self.connection.request_at_version(request, version).await.unwrap()
    }

    /// A session of all partitions from their beginnings, whose first answer is read.
    async fn open(&self, version: i16) -> Session {
        let named: Vec<_> = (0..self.partitions.len()).map(|at| (at, 0)).collect();
        let answer = self.ask(version, Session { id: 0, epoch: 0 }, &named).await;
        assert_eq!(error(answer.error_code), None, "version {version}");
        assert_ne!(answer.session_id, 0, "version {version}: there is room");
        assert_eq!(told(&answer).len(), named.len(), "version {version}: the first answer has all");
        Session { id: answer.session_id, epoch: 1 }
    }
}

impl Session {
    const fn next(self) -> Self {
        Self { epoch: self.epoch + 1, ..self }
    }
}

/// The partitions that an answer holds, each with the texts of its records or its error.
fn told(answer: &FetchResponse) -> Vec<(i32, Result<Vec<String>, ResponseError>)> {
    let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
    let mut told: Vec<_> = partitions
        .map(|row| {
            let texts = match error(row.error_code) {
                Some(error) => Err(error),
                None => {
                    let batches = Batch::split(row.records.as_ref().unwrap());
                    Ok(batches.iter().flat_map(Batch::values).collect())
                }
            };
            (row.partition_index, texts)
        })
        .collect();
    told.sort_by_key(|(index, _)| *index);
    told
}

fn text(index: i32, text: &str) -> (i32, Result<Vec<String>, ResponseError>) {
    (index, Ok(vec![text.to_owned()]))
}

#[tokio::test]
async fn only_what_has_changed_is_named_and_answered() {
    let cluster = shared().await;
    for version in [7, 11, 12, 13, 18] {
        let topic = topic(&cluster, &format!("session-v{version}"), 4).await;
        let mut session = topic.open(version).await;
        let idle = topic.ask(version, session, &[]).await;
        assert_eq!((idle.error_code, idle.session_id), (0, session.id), "version {version}");
        assert_eq!(told(&idle), [], "version {version}: nothing has changed");
        topic.produce(2, "a").await;
        topic.produce(0, "b").await;
        session = session.next();
        let answer = topic.ask(version, session, &[]).await;
        assert_eq!(told(&answer), [text(0, "b"), text(2, "a")], "version {version}");
        // The client reads on in one, and in the other it has not read yet.
        session = session.next();
        let answer = topic.ask(version, session, &[(0, 1)]).await;
        assert_eq!(told(&answer), [text(2, "a")], "version {version}");
        // It needs partition 2 no more, and reads 1 at an offset that is not there.
        session = session.next();
        let mut request = topic.request(version, session, &[(1, 9)]);
        request.forgotten_topics_data = vec![forgotten(&topic.partitions[2], version)];
        let answer = topic.connection.request_at_version(request, version).await.unwrap();
        assert_eq!(told(&answer), [(1, Err(ResponseError::OffsetOutOfRange))], "version {version}");
        session = session.next();
        let answer = topic.ask(version, session, &[(1, 0)]).await;
        assert_eq!(told(&answer), [(1, Ok(vec![]))], "version {version}: the end of an error is told");
    }
}

fn forgotten(target: &Target, version: i16) -> ForgottenTopic {
    let topic = ForgottenTopic::default().with_partitions(vec![target.partition]);
    match version {
        13.. => topic.with_topic_id(target.id),
        _ => topic.with_topic(topic_name(&target.topic)),
    }
}

#[tokio::test]
async fn requests_out_of_turn_are_refused() {
    let cluster = shared().await;
    let topic = topic(&cluster, "session-turns", 1).await;
    let session = topic.open(12).await;
    let refused = async |version, session| {
        let answer = topic.ask(version, session, &[]).await;
        assert_eq!(told(&answer), []);
        error(answer.error_code)
    };
    assert_eq!(refused(12, session.next()).await, Some(ResponseError::InvalidFetchSessionEpoch));
    let unknown = Session { id: session.id ^ 1, ..session };
    assert_eq!(refused(12, unknown).await, Some(ResponseError::FetchSessionIdNotFound));
    assert_eq!(refused(13, session).await, Some(ResponseError::FetchSessionTopicIdError));
    assert_eq!(refused(12, session).await, None);
    assert_eq!(refused(12, session).await, Some(ResponseError::InvalidFetchSessionEpoch));
    // Epoch -1 ends it.
    assert_eq!(refused(12, Session { epoch: -1, ..session }).await, None);
    assert_eq!(refused(12, session.next()).await, Some(ResponseError::FetchSessionIdNotFound));
}

#[tokio::test]
async fn a_session_goes_on_over_another_connection() {
    let cluster = shared().await;
    let mut topic = topic(&cluster, "session-connections", 2).await;
    let session = topic.open(16).await;
    topic.connection = Connection::connect(topic.connection.address(), &connection_options()).await.unwrap();
    topic.produce(1, "a").await;
    assert_eq!(told(&topic.ask(16, session, &[]).await), [text(1, "a")]);
}

#[tokio::test]
async fn a_session_waits_for_records_of_all_its_partitions() {
    let cluster = shared().await;
    let topic = topic(&cluster, "session-waits", 3).await;
    let session = topic.open(16).await;
    let mut request = topic.request(16, session, &[]).with_min_bytes(1);
    request.max_wait_ms = 600_000;
    let reader = Connection::connect(topic.connection.address(), &connection_options()).await.unwrap();
    let pending = reader.enqueue_at(request, 16).await.unwrap();
    topic.produce(1, "a").await;
    assert_eq!(told(&pending.answer().await.unwrap()), [text(1, "a")]);
}

#[tokio::test]
async fn a_topic_that_is_made_again_is_another_one() {
    let cluster = shared().await;
    let old = topic(&cluster, "session-again", 1).await;
    old.produce(0, "old").await;
    let (by_id, by_name) = (old.open(16).await, old.open(12).await);
    let code = delete_topic(&old.connection, "session-again").await;
    assert_eq!(error(code), None);
    let new = topic(&cluster, "session-again", 1).await;
    new.produce(0, "new").await;
    let answer = old.ask(16, by_id, &[]).await;
    assert_eq!(told(&answer), [(0, Err(ResponseError::UnknownTopicId))]);
    // Whoever goes by names reads the topic of that name.
    assert_eq!(told(&old.ask(12, by_name, &[]).await), [text(0, "new")]);
    let mut request = new.request(16, by_id.next(), &[(0, 0)]);
    request.forgotten_topics_data = vec![forgotten(&old.partitions[0], 16)];
    let answer = new.connection.request_at_version(request, 16).await.unwrap();
    assert_eq!(told(&answer), [text(0, "new")]);
}

#[tokio::test]
async fn partitions_take_turns_where_an_answer_is_too_small_for_all() {
    let cluster = shared().await;
    let topic = topic(&cluster, "session-turn-about", 3).await;
    let mut session = topic.open(16).await;
    for index in 0..3 {
        topic.produce(index, "a").await;
        topic.produce(index, "b").await;
    }
    // One batch an answer: the client reads on behind it, and the partition waits for its next turn.
    let mut read = Vec::new();
    let mut named = vec![];
    for _ in 0..6 {
        let request = topic.request(16, session, &named).with_max_bytes(1);
        let answer = topic.connection.request_at_version(request, 16).await.unwrap();
        let with_records: Vec<_> = told(&answer)
            .into_iter()
            .filter_map(|(index, texts)| Some((index, texts.unwrap().pop()?)))
            .collect();
        let [(index, text)] = &with_records[..] else { panic!("one batch is due: {with_records:?}") };
        named = vec![(usize::try_from(*index).unwrap(), if text == "a" { 1 } else { 2 })];
        read.push(format!("{index}{text}"));
        session = session.next();
    }
    assert_eq!(read, ["0a", "1a", "2a", "0b", "1b", "2b"]);
}
