use kafka_protocol::messages::BrokerId;
use kafka_protocol::protocol::Decodable;
use trilog_cluster::controller::{Broker, ControllerRecord, Listener, MetadataImage};
use trilog_cluster::ids::{LeaderEpoch, Offset};
use uuid::Uuid;

use super::super::asked::{Asked, TopicKey};
use super::*;

const ID: Uuid = Uuid::from_u128(0xab);

fn endpoints() -> Endpoints {
    let mut image = MetadataImage::default();
    image.replay(&ControllerRecord::BrokerRegistered(Broker {
        node: NodeId(2),
        incarnation: Uuid::nil(),
        listeners: vec![Listener { name: "PLAINTEXT".into(), host: "n2".into(), port: 9092 }],
        rack: None,
    }));
    Endpoints::new(&image, "PLAINTEXT", |_| true)
}

fn leadership(group: RaftGroupId) -> Option<Leadership> {
    (group == RaftGroupId(1)).then(|| Leadership { leader: NodeId(2), epoch: LeaderEpoch(6), isr: [].into() })
}

fn fetch(index: i32, outcome: Result<Reading, ResponseError>) -> PartitionFetch {
    let asked = Asked { offset: Offset(0), max_bytes: 0, believed_epoch: -1, last_fetched_epoch: -1 };
    let mut fetch = PartitionFetch::new(index, asked, Ok(RaftGroupId(1)), None);
    fetch.outcome = outcome;
    fetch
}

fn reading(batches: &[&[u8]]) -> Reading {
    let batches: Vec<_> = batches.iter().map(|batch| Bytes::copy_from_slice(batch)).collect();
    Reading {
        lacks_memory: false,
        high_watermark: Offset(90),
        log_start_offset: Offset(10),
        bytes: batches.iter().map(Bytes::len).sum(),
        batches,
        diverging: None,
    }
}

fn topic(version: i16, partitions: Vec<PartitionFetch>) -> TopicFetch {
    let key = if version >= 13 { TopicKey::Id(ID) } else { TopicKey::Name("topic".into()) };
    TopicFetch { key, partitions }
}

fn decoded(topics: Vec<TopicFetch>, form: Form) -> FetchResponse {
    let parts = body(topics, form, leadership, &endpoints());
    let mut bytes = Bytes::from(parts.concat());
    let response = FetchResponse::decode(&mut bytes, form.version).unwrap();
    assert!(bytes.is_empty(), "v{}: {} bytes too many", form.version, bytes.len());
    response
}

#[test]
fn the_crate_reads_back_what_was_put_in_every_version() {
    let (small, large) = ([7; 100], vec![9; 300_000]);
    for version in 4..=18 {
        let session_id = if version >= 7 { 77 } else { 0 };
        let form = Form { version, aborted_transactions: version % 2 == 0, session_id };
        let moved = Err(ResponseError::NotLeaderOrFollower);
        let partitions = vec![
            fetch(0, Ok(reading(&[&small, &large, &small]))),
            fetch(1, Ok(reading(&[]))),
            fetch(2, moved.clone()),
            fetch(3, Ok(reading(&[&large]))),
        ];
        let topics =
            vec![topic(version, partitions), topic(version, vec![]), topic(version, vec![fetch(0, moved)])];
        let response = decoded(topics, form);
        assert_eq!((response.error_code, response.session_id, response.responses.len()), (0, session_id, 3));
        assert_eq!(response.responses[0].topic_id, if version >= 13 { ID } else { Uuid::nil() });
        let read = &response.responses[0].partitions;
        let records = |at: usize| read[at].records.as_deref();
        assert_eq!(records(0), Some(&[&small[..], &large[..], &small[..]].concat()[..]), "v{version}");
        assert_eq!(records(1), Some(&[][..]), "empty and not null");
        assert_eq!(records(3), Some(&large[..]));
        assert_eq!((read[0].high_watermark, read[0].last_stable_offset), (90, 90));
        assert_eq!((read[2].error_code, read[2].high_watermark), (6, -1));
        assert_eq!(read[0].aborted_transactions, form.aborted_transactions.then(Vec::new));
    }
}

#[test]
fn a_new_leader_is_told_with_its_address() {
    let moved = || vec![topic(16, vec![fetch(0, Err(ResponseError::FencedLeaderEpoch))])];
    let told = decoded(moved(), Form { version: 16, aborted_transactions: false, session_id: 0 });
    let leader = &told.responses[0].partitions[0].current_leader;
    assert_eq!((leader.leader_id, leader.leader_epoch), (BrokerId(2), 6));
    assert_eq!(told.node_endpoints[0].host.as_str(), "n2");
    let silent = decoded(moved(), Form { version: 15, aborted_transactions: false, session_id: 0 });
    assert_eq!(silent.responses[0].partitions[0].current_leader, LeaderIdAndEpoch::default());
    assert!(silent.node_endpoints.is_empty());
}

#[test]
fn a_diverging_log_is_told() {
    let diverging = Reading { diverging: Some((LeaderEpoch(3), Offset(50))), ..reading(&[]) };
    let response = decoded(
        vec![topic(12, vec![fetch(0, Ok(diverging))])],
        Form { version: 12, aborted_transactions: false, session_id: 0 },
    );
    let end = &response.responses[0].partitions[0].diverging_epoch;
    assert_eq!((end.epoch, end.end_offset), (3, 50));
}

#[test]
fn large_batches_are_not_copied() {
    let large = Bytes::from(vec![9; 300_000]);
    let reading = Reading { batches: vec![large.clone()], bytes: large.len(), ..reading(&[]) };
    let form = Form { version: 12, aborted_transactions: false, session_id: 0 };
    let parts = body(vec![topic(12, vec![fetch(0, Ok(reading))])], form, leadership, &endpoints());
    assert!(parts.iter().any(|part| part.as_ptr() == large.as_ptr()));
}
