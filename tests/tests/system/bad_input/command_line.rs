//! Wrong flags and variables: the message names them.

use trilog_tests::binary::run;
use trilog_tests::scratch::Scratch;

/// Runs `trilog` with these arguments; it must refuse them and say all of `named`.
async fn assert_refused(arguments: &[&str], variables: &[(&str, &str)], named: &[&str]) {
    let output = run(arguments, variables).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{arguments:?} {variables:?} is accepted");
    assert!(!said.contains("panicked"), "{said}");
    for name in named {
        assert!(said.contains(name), "{arguments:?} {variables:?} does not name {name}: {said}");
    }
}

#[tokio::test]
async fn a_wrong_value_of_serve_names_its_flag() {
    for (flag, value) in [
        ("--node-id", "0x"),
        ("--node-id", "one"),
        ("--node-id", "-1"),
        ("--listeners", "localhost"),
        ("--listeners", "PLAINTEXT://localhost:99999"),
        ("--listeners", "PLAINTEXT://0.0.0.0:9092"),
        ("--advertised-listeners", "PLAINTEXT://0.0.0.0:9092"),
        ("--peer-listener", "nowhere"),
        ("--peers", "1-localhost"),
        ("--peers", "2@127.0.0.1:1"),
        ("--create-topics", "orders:1:2"),
        ("--cluster-id", "two words"),
        ("--durability", "perhaps"),
        ("--set", "num.partitions"),
    ] {
        assert_refused(&["serve", &format!("{flag}={value}")], &[], &[flag]).await;
    }
}

#[tokio::test]
async fn a_wrong_setting_is_named() {
    for (setting, named) in [
        ("num.partitions=many", "num.partitions"),
        ("num.partitions=0", "num.partitions"),
        ("default.replication.factor=-1", "default.replication.factor"),
        ("auto.create.topics.enable=perhaps", "auto.create.topics.enable"),
        ("no.such.setting=1", "no.such.setting"),
        ("log.message.timestamp.type=Yesterday", "log.message.timestamp.type"),
    ] {
        assert_refused(&["serve", "--set", setting], &[], &[named]).await;
    }
}

#[tokio::test]
async fn a_wrong_value_of_dev_names_its_flag() {
    for (flag, value) in [
        ("--nodes", "6"),
        ("--nodes", "none"),
        ("--base-port", "0"),
        ("--base-port", "65535"),
        ("--create-topic", "orders"),
        ("--create-topic", "orders:0:1"),
        ("--create-topic", "orders:-5:1"),
        ("--create-topic", "orders:1:4"),
        ("--create-topic", "a b:1:1"),
        ("--durability", "perhaps"),
        ("--log", "inof"),
        ("--set", "advertised.listeners=A://b:1"),
        ("--set", "default.replication.factor=4"),
        ("--set", "log.retention.ms=0"),
    ] {
        assert_refused(&["dev", &format!("{flag}={value}")], &[], &[flag]).await;
    }
}

#[tokio::test]
async fn a_negative_number_is_a_value_and_no_flag() {
    for (command, flag) in [
        (&["serve"][..], "--node-id"),
        (&["dev"], "--nodes"),
        (&["dev"], "--base-port"),
        (&["produce", "t"], "--partition"),
        (&["topic", "create", "t"], "--partitions"),
        (&["topic", "create", "t"], "--replication-factor"),
    ] {
        assert_refused(&[command, &[flag, "-1"]].concat(), &[], &["invalid value '-1'", flag]).await;
    }
    assert_refused(&["topic", "create", "t", "-7"], &[], &["unexpected argument '-7'"]).await;
}

#[tokio::test]
async fn a_wrong_variable_is_named_or_its_flag_is() {
    for (command, variable, value, flag) in [
        ("serve", "TRILOG_NODE_ID", "one", "--node-id"),
        ("serve", "TRILOG_LISTENERS", "localhost", "--listeners"),
        ("serve", "TRILOG_PEERS", "everybody", "--peers"),
        ("serve", "TRILOG_CREATE_TOPICS", "topic1:3", "--create-topics"),
        ("dev", "TRILOG_CREATE_TOPICS", "topic1:3", "--create-topics"),
        ("dev", "TRILOG_CREATE_TOPICS", "topic1:3:1,topic2:0:1", "--create-topics"),
        ("dev", "TRILOG_NODES", "6", "--nodes"),
    ] {
        assert_refused(&[command], &[(variable, value)], &[flag]).await;
    }
}

#[tokio::test]
async fn unknown_flags_and_commands_are_refused() {
    assert_refused(&["serve", "--no-such-flag"], &[], &["--no-such-flag"]).await;
    assert_refused(&["conduct"], &[], &["conduct"]).await;
}

#[tokio::test]
async fn peers_on_other_machines_take_a_secret_and_a_good_one() {
    let peers = "--peers=1@127.0.0.1:1,2@192.0.2.1:1";
    let flag = "--cluster-secret-file";
    assert_refused(&["serve", peers], &[], &[flag, "192.0.2.1:1", "openssl rand -base64 32"]).await;
    let scratch = Scratch::new("short-secret");
    let path = scratch.join("secret");
    let (data_dir, file) =
        (format!("--data-dir={}", scratch.join("data").display()), path.display().to_string());
    for (secret, named) in
        [(None, "No such file"), (Some("password"), "openssl rand -base64 32"), (Some(""), "0 bytes")]
    {
        secret.inspect(|secret| std::fs::write(&path, secret).unwrap());
        let variables = [("TRILOG_CLUSTER_SECRET_FILE", file.as_str())];
        assert_refused(&["serve", peers, &data_dir], &variables, &[flag, &file, named]).await;
    }
    assert!(!scratch.join("data").exists(), "nothing was touched");
}
