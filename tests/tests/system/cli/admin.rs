//! The commands that look at a cluster and change it, as a shell sees them: output, JSON, exit codes.

use serde_json::{Value, json};
use trilog_client::consumer::{CommitOffset, TopicPartition};
use trilog_client::{Producer, ProducerConfig, Record, admin};
use trilog_tests::binary::run;
use trilog_tests::cluster::{Cluster, ClusterOptions, shared};
use trilog_tests::waiting::wait_until;

/// What a command said, and how it ended.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }

    /// It went well, whatever it said.
    #[track_caller]
    fn succeeds(&self) {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
    }

    /// It failed with this code, and said why in one line that contains all of these.
    #[track_caller]
    fn fails(&self, code: i32, named: &[&str]) {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        for name in named {
            assert!(self.err.contains(name), "{name}: {}", self.err);
        }
    }
}

async fn trilog(cluster: &Cluster, line: &[&str]) -> Said {
    let output = run(line, &[("TRILOG_BROKERS", &cluster.bootstrap())]).await;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

async fn json_of(cluster: &Cluster, line: &[&str]) -> Value {
    trilog(cluster, &[line, &["--output", "json"]].concat()).await.json()
}

async fn fill(cluster: &Cluster, topic: &str, records: usize) {
    let producer = Producer::new(ProducerConfig::new(&cluster.bootstrap()).unwrap()).unwrap();
    for _ in 0..records {
        producer.send(Record::to(topic).partition(0).value("v")).await.unwrap().await.unwrap();
    }
    producer.close().await;
}

#[tokio::test]
async fn a_topic_is_created_shown_changed_and_deleted() {
    let cluster = shared().await;
    let created = json_of(&cluster, &["topic", "create", "cli-topic", "-p", "2", "-r", "3"]).await;
    assert_eq!((&created[0]["partitions"], &created[0]["replication_factor"]), (&json!(2), &json!(3)));
    trilog(&cluster, &["topic", "create", "cli-topic"])
        .await
        .fails(1, &["cli-topic", "TOPIC_ALREADY_EXISTS"]);
    assert_eq!(json_of(&cluster, &["topic", "create", "cli-topic", "--if-not-exists"]).await, json!([]));

    let listed = json_of(&cluster, &["topic", "list"]).await;
    assert!(listed.as_array().unwrap().iter().any(|row| row["topic"] == "cli-topic"), "{listed}");
    let table = trilog(&cluster, &["topic", "list"]).await;
    assert!(table.out.starts_with("TOPIC ") && table.out.contains("\ncli-topic "), "{}", table.out);

    trilog(&cluster, &["topic", "alter", "cli-topic", "--set", "retention.ms=7200000"]).await.succeeds();
    wait_until("the value is shown", async || {
        let shown = json_of(&cluster, &["topic", "describe", "cli-topic"]).await;
        (shown[0]["configs"] == json!({"retention.ms": "7200000"})).then_some(())
    })
    .await;
    trilog(&cluster, &["topic", "alter", "cli-topic", "--set", "retention.ms=soon"])
        .await
        .fails(1, &["INVALID_CONFIG"]);
    trilog(&cluster, &["topic", "add-partitions", "cli-topic", "--total", "4"]).await.succeeds();
    wait_until("four partitions are shown", async || {
        let shown = json_of(&cluster, &["topic", "describe", "cli-topic"]).await;
        (shown[0]["partitions"].as_array().unwrap().len() == 4).then_some(())
    })
    .await;

    let missing = trilog(&cluster, &["topic", "describe", "cli-topc"]).await;
    missing.fails(1, &[r#"there is no topic "cli-topc"; did you mean "cli-topic"?"#]);
    assert_eq!(json_of(&cluster, &["topic", "delete", "cli-topic"]).await, json!([{"topic": "cli-topic"}]));
    trilog(&cluster, &["topic", "delete", "cli-topic"]).await.fails(1, &["there is no topic"]);
    assert_eq!(json_of(&cluster, &["topic", "delete", "cli-topic", "--if-exists"]).await, json!([]));
}

#[tokio::test]
async fn a_group_s_offsets_are_shown_planned_reset_and_deleted() {
    let cluster = shared().await;
    json_of(&cluster, &["topic", "create", "cli-billed", "-p", "1"]).await;
    fill(&cluster, "cli-billed", 5).await;
    let admin = admin::Admin::new(admin::AdminConfig::new(&cluster.bootstrap()).unwrap()).unwrap();
    let offsets = [(TopicPartition::new("cli-billed", 0), CommitOffset::at(3))];
    admin.alter_group_offsets("cli-billing", offsets.into()).await.into_values().next().unwrap().unwrap();

    let listed = json_of(&cluster, &["group", "list", "--state", "Empty"]).await;
    assert!(listed.as_array().unwrap().iter().any(|row| row["group"] == "cli-billing"), "{listed}");
    let offset =
        async || json_of(&cluster, &["group", "describe", "cli-billing"]).await[0]["offsets"][0].clone();
    let shown = offset().await;
    assert_eq!((&shown["committed"], &shown["end"], &shown["lag"]), (&json!(3), &json!(5), &json!(2)));

    let reset = ["group", "reset-offsets", "cli-billing", "--topic", "cli-billed", "--to-earliest"];
    let planned = json_of(&cluster, &reset).await;
    assert_eq!((&planned[0]["new"], &planned[0]["executed"]), (&json!(0), &json!(false)));
    assert_eq!(offset().await["committed"], 3, "a plan changes nothing");
    let executed = json_of(&cluster, &[&reset[..], &["--execute"]].concat()).await;
    assert_eq!(executed[0]["executed"], true);
    assert_eq!(offset().await["committed"], 0);
    let by_time = ["group", "reset-offsets", "cli-billing", "--all-topics", "--to-datetime", "2100-01-01"];
    assert_eq!(json_of(&cluster, &by_time).await[0]["new"], 5);

    let wrong = trilog(&cluster, &["group", "reset-offsets", "cli-billing", "--all-topics"]).await;
    wrong.fails(2, &["--to-earliest"]);
    trilog(&cluster, &["group", "describe", "cli-nobody"])
        .await
        .fails(1, &["cli-nobody", "GROUP_ID_NOT_FOUND"]);
    let deleted =
        json_of(&cluster, &["group", "delete-offsets", "cli-billing", "--topic", "cli-billed:0"]).await;
    assert_eq!(deleted, json!([{"topic": "cli-billed", "partition": 0}]));
}

#[tokio::test]
async fn configurations_and_records_are_changed() {
    let cluster = shared().await;
    json_of(&cluster, &["topic", "create", "cli-records", "-p", "1"]).await;
    fill(&cluster, "cli-records", 5).await;
    let deleted = json_of(&cluster, &["records", "delete", "cli-records:0", "--before", "2"]).await;
    assert_eq!(deleted, json!([{"topic": "cli-records", "partition": 0, "log_start": 2}]));
    let beyond = trilog(&cluster, &["records", "delete", "cli-records:7", "--all"]).await;
    beyond.fails(1, &["topic cli-records has 1 partitions: no 7"]);
    trilog(&cluster, &["records", "delete", "cli-records"]).await.fails(2, &["--before"]);

    let of = ["--topic", "cli-records"];
    let set = [&["config", "set"][..], &of, &["retention.ms=3600000"]].concat();
    trilog(&cluster, &set).await.succeeds();
    let value = async || {
        let shown = json_of(&cluster, &[&["config", "describe"][..], &of].concat()).await;
        shown.as_array().unwrap().iter().find(|row| row["name"] == "retention.ms").cloned()
    };
    let shown = wait_until("the value is shown", value).await;
    assert_eq!((&shown["value"], &shown["source"]), (&json!("3600000"), &json!("topic")));
    trilog(&cluster, &[&["config", "unset"][..], &of, &["retention.ms"]].concat()).await.succeeds();
    wait_until("the default is back", async || value().await.is_none().then_some(())).await;
    let brokers = json_of(&cluster, &["config", "describe", "--broker", "1", "--all"]).await;
    assert!(!brokers.as_array().unwrap().is_empty());
    trilog(&cluster, &["config", "describe", "--broker", "99"]).await.fails(1, &["broker 99"]);
    trilog(&cluster, &["config", "describe"]).await.fails(2, &["--topic"]);
}

#[tokio::test]
async fn a_cluster_that_lacks_a_node_is_not_well() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    json_of(&cluster, &["topic", "create", "cli-health", "-p", "3", "-r", "3"]).await;
    wait_until("the cluster is well", async || {
        let said = trilog(&cluster, &["cluster", "health", "--output", "json"]).await;
        (said.code == Some(0)).then_some(())
    })
    .await;
    let info = json_of(&cluster, &["cluster", "info"]).await;
    assert_eq!(info["brokers"].as_array().unwrap().len(), 3);
    cluster.kill(3);
    let unwell = wait_until("the missing node is noticed", async || {
        let said = trilog(&cluster, &["cluster", "health"]).await;
        (said.code == Some(1)).then_some(said)
    })
    .await;
    assert!(unwell.err.starts_with("trilog: ") && unwell.err.lines().count() == 1, "{}", unwell.err);
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_named() {
    let output = run(&["topic", "list", "-b", "127.0.0.1:1", "--timeout", "5"], &[]).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("127.0.0.1:1") && said.lines().count() == 1, "{said}");
}
