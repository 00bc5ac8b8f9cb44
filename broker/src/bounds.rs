//! `docs/bounds.md`, the table of every bound of a node, compared with the code.
//!
//! Who adds a bound adds a row there and a line in [`table`]. Constants of the cluster's crate come through
//! [`trilog_cluster::bounds`].

use std::collections::BTreeSet;
use std::time::Duration;

use trilog_cluster::bounds;
use trilog_cluster::controller::configs::BrokerSettings;

use crate::connection::bounds as connection;
use crate::{api, http, server, wire};

const DOCUMENT: &str = include_str!("../../docs/bounds.md");

/// A bound's name, value and setting, as a row of the document has them.
type Row = (String, String, String);

/// Every bound. The setting is empty where there is none.
fn table() -> Vec<Row> {
    let rows = wire_bounds().into_iter().chain(node_bounds());
    rows.map(|(name, value, setting)| (name.to_owned(), value, setting.to_owned())).collect()
}

/// A bound without a setting.
const fn fixed(name: &'static str, value: String) -> (&'static str, String, &'static str) {
    (name, value, "")
}

/// Bounds of connections, requests and answers, of clients and peers.
fn wire_bounds() -> Vec<(&'static str, String, &'static str)> {
    let settings = BrokerSettings::default();
    vec![
        ("connections of a node", count(settings.max_connections), "max.connections"),
        ("connections of an address", count(settings.max_connections_per_ip), "max.connections.per.ip"),
        ("idle time of a connection", time(settings.connections_max_idle), "connections.max.idle.ms"),
        fixed("files kept for the store", count(server::RESERVED_FOR_STORE)),
        fixed("files kept for each peer", count(server::RESERVED_PER_PEER)),
        ("one request", bytes(settings.socket_request_max_bytes), "socket.request.max.bytes"),
        fixed("elements of the arrays of a request", count(wire::bounds::MAX_ELEMENTS)),
        fixed("one string of a request", bytes(wire::bounds::MAX_STRING)),
        fixed("unanswered requests of a connection", count(connection::MAX_IN_FLIGHT_REQUESTS)),
        fixed("bytes that the requests of a connection hold", bytes(connection::MAX_IN_FLIGHT_BYTES)),
        fixed("bytes of answers that a connection has not read", bytes(connection::MAX_READY_BYTES)),
        fixed("bytes of requests of a node", bytes(connection::NODE_REQUEST_BYTES)),
        fixed("bytes of small produce requests of a node", bytes(connection::NODE_SMALL_PRODUCE_BYTES)),
        fixed("bytes of the reserve for small produce requests", bytes(connection::NODE_SMALL_RESERVE_BYTES)),
        fixed(
            "bytes of small answers that a connection has not read",
            bytes(connection::SMALL_ANSWERS_BYTES),
        ),
        fixed("bytes of answers of a node", bytes(connection::NODE_ANSWER_BYTES)),
        fixed(
            "bytes of answers to newcomers",
            bytes(connection::NODE_ANSWER_BYTES / connection::NEWCOMER_PART),
        ),
        fixed("bytes that a client reads before it is no newcomer", bytes(connection::NEWCOMER_BYTES)),
        fixed(
            "time in which a newcomer reads nothing while others wait",
            time(Some(connection::NEWCOMER_WAITS)),
        ),
        fixed("one answer", bytes(api::bounds::MAX_ANSWER_BYTES)),
        fixed("resources of a DescribeConfigs request", count(api::bounds::MOST_DESCRIBED)),
        (
            "fetch sessions of a node",
            count(settings.max_incremental_fetch_session_cache_slots),
            "max.incremental.fetch.session.cache.slots",
        ),
        fixed("bytes of fetch sessions of a node", bytes(api::bounds::SESSION_BYTES)),
        fixed("frames of a peer that wait to be sent", bytes(bounds::MAX_QUEUED_BYTES)),
        fixed("frames of peers that wait to be worked on", bytes(bounds::MAX_PEER_BYTES)),
        fixed("rate of a request, at least", rate(u64::from(connection::LEAST_BYTES_PER_SECOND))),
        fixed("time below that rate", time(Some(connection::PATIENCE))),
        fixed(
            "rate of a request, or of reading answers, while others wait for memory, at least",
            rate(connection::FAST_BYTES_PER_SECOND),
        ),
        fixed("wait for memory before a connection is closed", time(Some(connection::WAITS))),
        fixed(
            "lines of the log about failed connections, of a kind",
            format!("1 in {}", time(Some(connection::EVERY))),
        ),
    ]
}

/// Bounds of the HTTP port, of threads, and of what the cluster's metadata and partitions hold.
fn node_bounds() -> Vec<(&'static str, String, &'static str)> {
    vec![
        fixed("connections of the HTTP port", count(http::bounds::MAX_CONNECTIONS)),
        fixed(
            "time for which a silent HTTP connection keeps its place",
            time(Some(http::bounds::TIME_TO_ASK)),
        ),
        fixed("head of an HTTP request", bytes(http::bounds::MAX_HEAD_BYTES)),
        fixed("time for the head of an HTTP request", time(Some(http::bounds::HEAD_WITHIN))),
        fixed("body of an HTTP request", bytes(http::bounds::MAX_BODY_BYTES)),
        fixed("time for the body of an HTTP request", time(Some(http::bounds::BODY_WITHIN))),
        fixed("time of an HTTP connection", time(Some(http::bounds::EXCHANGE_WITHIN))),
        fixed("threads that wait for the disk for consumers", count(server::MAX_BLOCKING_THREADS)),
        fixed("connections of the peer port before their handshake", count(bounds::MAX_STRANGERS)),
        fixed("partitions of a topic", count(bounds::MAX_PARTITIONS_PER_TOPIC)),
        fixed("partitions that a request creates", count(bounds::MAX_PARTITIONS_PER_REQUEST)),
        fixed("partitions of a cluster", count(bounds::MAX_PARTITIONS_PER_CLUSTER)),
        fixed("settings of all topics", bytes(bounds::MAX_TOPIC_CONFIG_BYTES)),
        fixed("what one request asks to change of the metadata", bytes(bounds::MAX_REQUEST_BYTES)),
        fixed("what one request changes of the metadata", bytes(bounds::MAX_ENTRY_BYTES)),
        fixed(
            "partitions of a cluster in which topics are made by being named",
            count(api::bounds::MAX_PARTITIONS),
        ),
        fixed(
            "topics that a node makes in a second as they are named",
            count(api::bounds::TOPICS_PER_SECOND as usize),
        ),
        fixed(
            "topics that a node makes at once as they are named",
            count(api::bounds::TOPICS_AT_ONCE as usize),
        ),
        fixed("consumer groups with settings of their own", count(bounds::MAX_GROUPS_WITH_CONFIGS)),
        fixed("idempotent producers of a partition", count(bounds::MAX_PRODUCERS_PER_PARTITION)),
        fixed("idempotent producers of a node", count(bounds::MAX_PRODUCERS_PER_NODE)),
    ]
}

/// `4,096`.
fn count(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `16 MiB`, in the largest unit without a fraction.
fn bytes(bytes: usize) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let unit = units.into_iter().find(|(shift, _)| bytes > 0 && bytes.is_multiple_of(1 << shift));
    unit.map_or_else(
        || format!("{} B", count(bytes)),
        |(shift, unit)| format!("{} {unit}", count(bytes >> shift)),
    )
}

/// `1 KiB/s`.
fn rate(per_second: u64) -> String {
    format!("{}/s", bytes(usize::try_from(per_second).expect("a rate of some megabytes")))
}

/// `30 s`.
fn time(time: Option<Duration>) -> String {
    match time {
        None => "none".to_owned(),
        Some(time) if time.subsec_nanos() == 0 => {
            format!("{} s", count(usize::try_from(time.as_secs()).expect("some years")))
        }
        Some(time) => format!("{} ms", time.as_millis()),
    }
}

/// The rows of the document's tables: name, value, setting, and what happens when it is full.
fn documented() -> Vec<(Row, String)> {
    let lines = DOCUMENT.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| bound |"));
    let rows = lines.filter(|line| !line.starts_with("| ---"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, value, setting, full] = cells[..] else { panic!("four cells are due: {line}") };
        ((name.to_owned(), value.to_owned(), setting.trim_matches('`').to_owned()), full.to_owned())
    })
    .collect()
}

#[test]
fn the_document_has_every_bound_with_its_value() {
    let documented = documented();
    for (row, full) in &documented {
        assert!(!full.is_empty(), "docs/bounds.md does not say what happens beyond: {row:?}");
    }
    let documented: BTreeSet<Row> = documented.into_iter().map(|(row, _)| row).collect();
    let code: BTreeSet<Row> = table().into_iter().collect();
    let missing: Vec<&Row> = code.difference(&documented).collect();
    assert!(missing.is_empty(), "docs/bounds.md lacks, or has with another value: {missing:#?}");
    let unknown: Vec<&Row> = documented.difference(&code).collect();
    assert!(unknown.is_empty(), "docs/bounds.md has rows that broker/src/bounds.rs lacks: {unknown:#?}");
}

#[test]
fn values_are_written_for_people() {
    assert_eq!([0, 12, 123, 4_096, 1_234_567].map(count), ["0", "12", "123", "4,096", "1,234,567"]);
    assert_eq!(
        [0, 1_000, 4 << 10, 100 << 20, 2 << 30].map(bytes),
        ["0 B", "1,000 B", "4 KiB", "100 MiB", "2 GiB"]
    );
    let times = [Some(Duration::from_millis(150)), Some(Duration::from_secs(30)), None];
    assert_eq!(times.map(time), ["150 ms", "30 s", "none"]);
}
