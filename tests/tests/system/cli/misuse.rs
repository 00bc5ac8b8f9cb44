//! What a hurried user gets wrong: one sentence, and the exit code that scripts rely on.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use trilog_tests::admin::NewTopic;
use trilog_tests::cluster::shared;

use super::refused;

/// A port that takes one connection after the other, and gives each these bytes.
async fn port_that_says(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 16];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer).await;
            open.push(stream);
        }
    });
    address
}

#[tokio::test]
async fn a_port_that_is_no_broker_s_is_told_from_one_on_which_nobody_listens() {
    let http = port_that_says(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let tls = port_that_says(&[0x15, 3, 3, 0, 2, 2, 70]).await;
    let mute = port_that_says(b"").await;
    for (address, said) in
        [("127.0.0.1:1", "refused"), (&http, "HTTP"), (&tls, "TLS"), (&mute, "does not answer")]
    {
        for command in ["produce", "consume"] {
            let sentence = refused(&[command, "t", "-b", address, "--timeout", "2"], b"x\n", 1).await;
            assert_eq!(sentence.trim_end().lines().count(), 1, "{sentence}");
            assert!(sentence.contains(address) && sentence.contains(said), "{sentence}");
            assert!(sentence.contains("TRILOG_BROKERS"), "{sentence}");
        }
    }
}

#[tokio::test]
async fn a_wrong_command_line_is_told_from_a_failure() {
    for (arguments, named) in [
        (&["produce"][..], "TOPIC"),
        (&["produce", "t", "--acks", "2"], "acks cannot be \"2\""),
        (&["produce", "t", "-z", "zip"], "none, gzip, snappy, lz4 or zstd"),
        (&["produce", "t", "-K", ""], "--key-separator"),
        (&["produce", "t", "--input", "json", "-K", ":"], "no separators"),
        (&["produce", "t", "-X", "linger=5"], "did you mean \"linger.ms\"?"),
        (&["produce", "t", "-X", "group.id=g"], "a setting of consumers"),
        (&["produce", "t", "-b", "host:port"], "\"host:port\""),
        (&["consume"], "TOPIC"),
        (&["consume", "t", "-o", "soon"], "--offset"),
        (&["consume", "t", "-f", "%x"], "%x"),
        (&["consume", "t", "--group", "g", "-p", "0"], "--partition"),
        (&["consume", "t", "--group", "g", "-o", "5"], "group's offsets"),
    ] {
        let sentence = refused(arguments, b"", 2).await;
        assert!(sentence.contains(named), "{arguments:?}: {sentence}");
    }
}

#[tokio::test]
async fn a_usage_line_shows_no_flag_as_required() {
    for (command, usage) in [
        ("produce", "trilog produce [OPTIONS] [TOPIC]\n"),
        ("consume", "trilog consume [OPTIONS] <TOPICS>...\n"),
        ("bench produce", "trilog bench produce [OPTIONS] <TOPIC>\n"),
        ("topic create", "trilog topic create [OPTIONS] <TOPIC>...\n"),
    ] {
        let line: Vec<_> = command.split(' ').chain(["-b", "localhost:1"]).collect();
        let said = refused(&line, b"", 2).await;
        assert!(said.contains(&format!("Usage: {usage}")), "{said}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let cluster = shared().await;
    cluster.create(NewTopic::new("cli-misuse").partitions(2).replicas(3)).await;
    let brokers = cluster.bootstrap();
    for (arguments, named) in [
        (&["consume", "cli-nothing"][..], "topic \"cli-nothing\": it does not exist"),
        (&["consume", "cli-misuse", "-p", "2"], "has 2 partitions: there is no partition 2"),
        (&["consume", "cli-misuse", "-o", "7"], "there is no offset 7"),
        (&["produce", "cli-misuse", "--file", "/nowhere/at/all"], "cannot read /nowhere/at/all"),
        (&["produce", "cli-misuse", "-K", ":"], "line 1: it has no key separator \":\""),
        (&["produce", "cli-misuse", "--input", "json"], "line 1: no record in JSON"),
        (&["produce", "cli-misuse", "-p", "2"], "no partition 2"),
    ] {
        let sentence = refused(&[arguments, &["-b", &brokers]].concat(), b"a line\n", 1).await;
        assert!(sentence.contains(named), "{arguments:?}: {sentence}");
    }
}
