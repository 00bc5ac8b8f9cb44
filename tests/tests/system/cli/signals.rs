//! Commands that end before their input or output does: by Ctrl-C, by a reader that goes away, by a record that fails.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::time::timeout;
use trilog_tests::admin::NewTopic;
use trilog_tests::cluster::shared;
use trilog_tests::node::Signal;
use trilog_tests::waiting::PATIENCE;

use super::{command, printed};

#[tokio::test]
async fn ctrl_c_commits_what_was_printed_and_leaves_the_group() {
    let cluster = shared().await;
    cluster.create(NewTopic::new("cli-ctrl-c").partitions(1).replicas(3)).await;
    let brokers = cluster.bootstrap();
    printed(&["produce", "cli-ctrl-c", "-b", &brokers], b"1\n2\n").await;
    let group = ["consume", "cli-ctrl-c", "-b", &brokers, "--group", "cli-ctrl-c-members"];
    let mut member = command(&[&group[..], &["--follow"]].concat()).spawn().unwrap();
    let mut lines = BufReader::new(member.stdout.take().unwrap()).lines();
    for expected in ["1", "2"] {
        let line = timeout(PATIENCE, lines.next_line()).await.expect("a line comes").unwrap();
        assert_eq!(line.as_deref(), Some(expected));
    }
    Signal::Interrupt.send(member.id().unwrap());
    let status = timeout(PATIENCE, member.wait()).await.expect("it ends").unwrap();
    assert!(status.success(), "{status}");
    // A member that had not left would keep the partition for 45 s, and one that had not committed would leave records.
    let output = timeout(Duration::from_secs(40), printed(&group, b"")).await;
    assert_eq!(output.expect("the group is free"), b"");
}

#[tokio::test]
async fn a_record_that_fails_ends_produce_though_its_input_goes_on() {
    let cluster = shared().await;
    let small = NewTopic::new("cli-early").partitions(1).replicas(3).config("max.message.bytes", "1000");
    cluster.create(small).await;
    let brokers = cluster.bootstrap();
    let mut process = command(&["produce", "cli-early", "-b", &brokers]).spawn().unwrap();
    let mut stdin = process.stdin.take().unwrap();
    stdin.write_all(format!("fits\n{}\n", "x".repeat(2000)).as_bytes()).await.unwrap();
    // The input stays open: nothing else ends the command.
    let output = timeout(PATIENCE, process.wait_with_output()).await.expect("it ends").unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("line 2: ") && said.contains("1 record "), "{said}");
    drop(stdin);
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_it_without_a_word() {
    let cluster = shared().await;
    cluster.create(NewTopic::new("cli-pipe").partitions(1).replicas(3)).await;
    let brokers = cluster.bootstrap();
    let input: String = (0..50_000).map(|number| format!("{number}\n")).collect();
    printed(&["produce", "cli-pipe", "-b", &brokers], input.as_bytes()).await;
    let mut process = command(&["consume", "cli-pipe", "-b", &brokers, "--follow"]).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("0"));
    drop(lines);
    let output = timeout(PATIENCE, process.wait_with_output()).await.expect("it ends").unwrap();
    assert!(output.status.success(), "{}", output.status);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
