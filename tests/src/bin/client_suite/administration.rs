//! The calls of the administration client, each with what it has to bring about.

use std::collections::BTreeMap;

use trilog_client::admin::{
    Change, ConfigChange, ConfigResource, GroupFilter, Isolation, NewPartitions, OffsetSpec, ResetTo,
};
use trilog_client::consumer::CommitOffset;
use trilog_client::{Error, ErrorCode, TopicPartition};

use crate::stage::{Stage, until};

pub(crate) async fn everything(stage: Stage) {
    let (admin, topic) = (stage.admin(), stage.name);
    let place = TopicPartition::new(topic, 0);
    let cluster = admin.describe_cluster().await.expect("the cluster");
    assert_eq!(cluster.brokers.len(), 3);

    stage.topic(2).await;
    let grown = admin.create_partitions([NewPartitions::total(topic, 3)], Change::Apply).await;
    assert!(grown[topic].is_ok(), "{grown:?}");
    until("three partitions", async || {
        let described = admin.describe_topics([topic]).await.into_values().next()?.ok()?;
        (described.partitions.len() == 3).then_some(())
    })
    .await;

    let resource = ConfigResource::Topic(topic.to_owned());
    let set = vec![ConfigChange::set("retention.ms", "3600000")];
    let outcome = admin.alter_configs([(resource.clone(), set)], Change::Apply).await;
    assert!(outcome[&resource].is_ok(), "{outcome:?}");
    until("the setting", async || {
        let entries = admin.describe_configs([resource.clone()]).await.remove(&resource)?.ok()?;
        let entry = entries.into_iter().find(|entry| entry.name == "retention.ms")?;
        (entry.value.as_deref() == Some("3600000")).then_some(())
    })
    .await;

    stage.send(0..300).await;
    let ends = admin.list_offsets([(place.clone(), OffsetSpec::Latest)], Isolation::ReadCommitted).await;
    let end = ends[&place].clone().expect("the partition is led").expect("it has an end").offset;
    assert!(end > 0);

    let committed = BTreeMap::from([(place.clone(), CommitOffset::at(1))]);
    let outcome = admin.alter_group_offsets(topic, committed).await;
    assert!(outcome[&place].is_ok(), "{outcome:?}");
    let plan = admin.plan_reset(topic, [place.clone()], ResetTo::Latest).await;
    let plan = plan[&place].clone().expect("a plan");
    assert_eq!((plan.from, plan.to), (Some(1), end));
    let groups = admin.list_groups(&GroupFilter::default()).await.expect("groups").groups;
    assert!(groups.iter().any(|group| group.group == topic), "{groups:?}");
    let deleted = admin.delete_groups([topic]).await;
    assert!(deleted[topic].is_ok(), "{deleted:?}");

    let start = admin.delete_records([(place.clone(), Some(end))]).await;
    assert_eq!(start[&place].clone().expect("records are deleted"), end);
    let gone = admin.delete_topics([topic]).await;
    assert!(gone.into_values().all(|outcome| outcome.is_ok()));
    until("the topic is gone", async || match admin.describe_topics([topic]).await.into_values().next()? {
        Err(Error::Broker { code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, .. }) => Some(()),
        _ => None,
    })
    .await;
}
