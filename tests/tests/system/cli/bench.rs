//! The benchmarks of the command line: they count what they send and read, and end.

use serde_json::Value;
use trilog_tests::admin::NewTopic;
use trilog_tests::cluster::shared;

use super::{printed, refused};

async fn report(arguments: &[&str], brokers: &str) -> Value {
    let line = [&["bench"], arguments, &["-b", brokers, "--output", "json"]].concat();
    serde_json::from_slice(&printed(&line, b"").await).expect("it is JSON")
}

fn assert_percentiles_ascend(report: &Value) {
    let latency = &report["latency_ms"];
    let times = ["p50", "p90", "p99", "p99_9", "max"].map(|name| latency[name].as_f64().unwrap());
    assert!(times[0] > 0.0 && times.is_sorted(), "{report}");
    assert!(latency["samples"].as_u64().unwrap() > 0, "{report}");
}

#[tokio::test]
async fn a_bench_counts_what_it_sends_and_reads() {
    let cluster = shared().await;
    cluster.create(NewTopic::new("cli-bench").partitions(3).replicas(3)).await;
    let brokers = cluster.bootstrap();
    let flags = ["--records", "2000", "--size", "100", "--acks", "1", "-z", "lz4"];
    let sent = report(&[&["produce", "cli-bench"], &flags[..]].concat(), &brokers).await;
    assert_eq!((&sent["bench"], &sent["topic"]), (&"produce".into(), &"cli-bench".into()));
    assert_eq!((&sent["records"], &sent["bytes"]), (&2000.into(), &200_000.into()));
    assert!(sent["records_per_second"].as_f64().unwrap() > 0.0, "{sent}");
    assert_percentiles_ascend(&sent);

    let read = report(&["consume", "cli-bench"], &brokers).await;
    assert_eq!((&read["records"], &read["bytes"]), (&2000.into(), &200_000.into()));
    assert_eq!(read["latency_ms"], Value::Null);

    // A record for each partition comes before those that are measured.
    let flags = ["--seconds", "1", "--rate", "200", "--size", "16", "-X", "linger.ms=0"];
    let both = report(&[&["end-to-end", "cli-bench"], &flags[..]].concat(), &brokers).await;
    assert_eq!((&both["records"], &both["latency_ms"]["samples"]), (&200.into(), &200.into()));
    assert_percentiles_ascend(&both);
    let read = report(&["consume", "cli-bench"], &brokers).await;
    assert_eq!(read["records"], 2203);

    let table = printed(&["bench", "consume", "cli-bench", "-b", &brokers], b"").await;
    let table = String::from_utf8(table).unwrap();
    assert!(table.starts_with("RECORDS  SECONDS  RECORDS/S  MB/S\n   2203  "), "{table}");
}

#[tokio::test]
async fn a_bench_that_cannot_be_is_refused() {
    let cluster = shared().await;
    let brokers = cluster.bootstrap();
    for (arguments, code, named) in [
        (&["produce", "t", "--acks", "2"][..], 2, "acks cannot be \"2\""),
        (&["produce", "t", "--records", "5", "--seconds", "5"], 2, "--records"),
        (&["produce", "t", "--size", "1048577"], 2, "0 to 1048576"),
        (&["end-to-end", "t", "--size", "15"], 2, "16 or more"),
        (&["end-to-end", "t", "-X", "linger=0"], 2, "did you mean \"linger.ms\"?"),
        (&["consume", "cli-bench-nothing"], 1, "it does not exist"),
    ] {
        let said = refused(&[&["bench"], arguments, &["-b", &brokers]].concat(), b"", code).await;
        assert!(said.contains(named), "{arguments:?}: {said}");
    }
}
