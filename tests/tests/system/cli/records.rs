//! Records in by `trilog produce` and out by `trilog consume`.

use std::time::{SystemTime, UNIX_EPOCH};

use trilog_tests::admin::NewTopic;
use trilog_tests::cluster::{Cluster, ClusterOptions, shared};
use trilog_tests::lines;
use trilog_tests::scratch::Scratch;
use trilog_tests::waiting::wait_until;

use super::{command, printed, text};

const LINES: usize = 200_000;

#[tokio::test]
async fn lines_come_back_as_they_went_in() {
    let cluster = shared().await;
    cluster.create(NewTopic::new("cli-lines").partitions(1).replicas(3)).await;
    let brokers = cluster.bootstrap();
    let input = "first\n\n  blanks \t\n\u{1F980}\nno end".as_bytes();
    printed(&["produce", "cli-lines", "-b", &brokers, "-z", "zstd"], input).await;
    let back = printed(&["consume", "cli-lines", "-b", &brokers], b"").await;
    assert_eq!(back, [input, b"\n"].concat());

    let last = printed(&["consume", "cli-lines", "-b", &brokers, "-o", "-2", "-f", r"%o=%s;"], b"").await;
    assert_eq!(String::from_utf8(last).unwrap(), "3=\u{1F980};4=no end;");
    let one = printed(&["consume", "cli-lines", "-b", &brokers, "-o", "1", "-c", "2"], b"").await;
    assert_eq!(one, b"\n  blanks \t\n");
    let none = printed(&["consume", "cli-lines", "-b", &brokers, "-o", "latest"], b"").await;
    assert_eq!(none, b"");
}

#[tokio::test]
async fn keys_headers_and_null_come_back_by_their_separators() {
    let cluster = shared().await;
    cluster.create(NewTopic::new("cli-keys").partitions(1).replicas(3)).await;
    let brokers = cluster.bootstrap();
    let shape = ["-b", &brokers, "-K", ":", "--header-separator", r"\t", "--null", "NULL"];
    let input = b"a=1,b=\tkey:value:more\n\tNULL:NULL\nc=NULL\t:\n";
    printed(&[&["produce", "cli-keys"], &shape[..]].concat(), input).await;
    let back = printed(&[&["consume", "cli-keys"], &shape[..]].concat(), b"").await;
    assert_eq!(String::from_utf8(back).unwrap(), String::from_utf8(input.to_vec()).unwrap());
}

#[tokio::test]
async fn json_keeps_every_byte_and_may_be_copied_to_another_topic() {
    let cluster = shared().await;
    for topic in ["cli-json", "cli-json-copy"] {
        cluster.create(NewTopic::new(topic).partitions(3).replicas(3)).await;
    }
    let brokers = cluster.bootstrap();
    // Retention deletes what is old, and brokers refuse what is from the future.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let records = [
        r#""partition":0,"timestamp":NOW,"key":"k","value":"v","headers":[{"key":"h","value":"1"},{"key":"h","value":null}]"#,
        r#""partition":1,"timestamp":NOW,"key":null,"value":null,"headers":[]"#,
        r#""partition":1,"timestamp":NOW,"key":"","value":"","headers":[]"#,
        r#""partition":2,"timestamp":NOW,"key_base64":"//4=","value_base64":"gA==","headers":[{"key_base64":"/w==","value_base64":"/w=="}]"#,
    ];
    let records = records.map(|record| record.replace("NOW", &now.to_string()));
    let input: String =
        records.iter().map(|record| format!("{{\"topic\":\"cli-json\",{record}}}\n\n")).collect();
    printed(&["produce", "-b", &brokers, "--input", "json"], input.as_bytes()).await;

    let read = async |topic: &str| {
        let back = printed(&["consume", topic, "-b", &brokers, "--output", "json"], b"").await;
        let mut back: Vec<String> = String::from_utf8(back).unwrap().lines().map(str::to_owned).collect();
        back.sort();
        back
    };
    let expected = |topic: &str| -> Vec<String> {
        let offsets = [0, 0, 1, 0];
        let line = |(record, offset): (&String, i32)| {
            let (partition, rest) = record.split_once(",\"timestamp\"").unwrap();
            format!("{{\"topic\":\"{topic}\",{partition},\"offset\":{offset},\"timestamp\"{rest}}}")
        };
        records.iter().zip(offsets).map(line).collect()
    };
    let first = read("cli-json").await;
    assert_eq!(first, expected("cli-json"));
    let copy = format!("{}\n", first.join("\n"));
    printed(&["produce", "cli-json-copy", "-b", &brokers, "--input", "json"], copy.as_bytes()).await;
    assert_eq!(read("cli-json-copy").await, expected("cli-json-copy"));
}

#[tokio::test]
async fn a_group_reads_on_where_it_was() {
    let cluster = shared().await;
    cluster.create(NewTopic::new("cli-group").partitions(1).replicas(3)).await;
    let brokers = cluster.bootstrap();
    let group = ["consume", "cli-group", "-b", &brokers, "--group", "cli-group-members"];
    printed(&["produce", "cli-group", "-b", &brokers], b"1\n2\n3\n4\n").await;
    assert_eq!(printed(&[&group[..], &["--count", "2"]].concat(), b"").await, b"1\n2\n");
    assert_eq!(printed(&group, b"").await, b"3\n4\n");
    assert_eq!(printed(&group, b"").await, b"");
    printed(&["produce", "cli-group", "-b", &brokers], b"5\n").await;
    assert_eq!(printed(&group, b"").await, b"5\n");
}

#[tokio::test]
async fn lines_survive_the_leaders_death() {
    let topic = "cli-killed";
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    cluster.create(NewTopic::new(topic).partitions(1).replicas(3)).await;
    let brokers = cluster.bootstrap();
    let scratch = Scratch::new("cli-killed");
    let (sent, received) = (scratch.join("sent"), scratch.join("received"));
    lines::write(&sent, LINES);
    let rate = (LINES / 4).to_string();
    let arguments = ["produce", topic, "-b", &brokers, "--file", text(&sent), "--rate", &rate];
    let producer = command(&arguments).spawn().unwrap();
    let leader = cluster.leader(topic, 0).await;
    let partition = cluster.partition(topic, 0).await;
    wait_until("some are there", async || (partition.end().await > 10_000).then_some(())).await;
    cluster.kill(leader);
    let output = producer.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let back = printed(&["consume", topic, "-b", &brokers], b"").await;
    std::fs::write(&received, back).unwrap();
    lines::assert_same(&sent, &received);
}
