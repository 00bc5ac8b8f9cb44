package compat

import (
	"strconv"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// TestDeliveryGoesOnWhenNodesDie kills the leader of a topic's only partition, then, all nodes being back, the
// coordinator of the group that reads it. Nothing acknowledged is lost, and nothing is in the log twice.
func TestDeliveryGoesOnWhenNodesDie(t *testing.T) {
	const topic, some = "failing", 200
	client := newClient(t)
	createTopic(t, client, topic, 1)
	journal := newJournal(t, "survivors")
	join(t, "survivor", topic, journal, sarama.MaxVersion).awaitSession(1)
	feeder := startFeeder(t, topic, 1)
	journal.awaitAll(feeder.awaitMore(some))

	for _, victim := range []func() int32{
		func() int32 { return leader(t, client, topic) },
		func() int32 { return coordinator(t, client, journal.group) },
	} {
		dead := victim()
		node(t, "kill", dead)
		journal.awaitAll(feeder.awaitMore(some))
		node(t, "start", dead)
		awaitReplicas(t, client, topic)
		journal.awaitAll(feeder.awaitMore(some))
	}

	all := feeder.end()
	journal.awaitAll(all)
	checkLog(t, client, topic, all[0])
}

// leader is the node that leads the topic's only partition.
func leader(t *testing.T, client sarama.Client, topic string) int32 {
	t.Helper()
	if err := client.RefreshMetadata(topic); err != nil {
		t.Fatal(err)
	}
	node, err := client.Leader(topic, 0)
	if err != nil {
		t.Fatal(err)
	}
	return node.ID()
}

// awaitReplicas waits until the partition, and every one in which groups are kept, has three replicas in sync again.
func awaitReplicas(t *testing.T, client sarama.Client, topic string) {
	t.Helper()
	for _, topic := range []string{topic, "__consumer_offsets"} {
		await(t, "three replicas of "+topic+" in sync", func() bool {
			if err := client.RefreshMetadata(topic); err != nil {
				return false
			}
			partitions, err := client.Partitions(topic)
			if err != nil {
				return false
			}
			for _, partition := range partitions {
				if inSync, err := client.InSyncReplicas(topic, partition); err != nil || len(inSync) != 3 {
					return false
				}
			}
			return true
		})
	}
}

// checkLog reads the partition from its beginning: the numbers up to the last one acknowledged, each once and in order.
func checkLog(t *testing.T, client sarama.Client, topic string, last int) {
	t.Helper()
	// Closed with the client.
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	partition, err := consumer.ConsumePartition(topic, 0, sarama.OffsetOldest)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = partition.Close() }()
	deadline := time.After(patience)
	for number := 0; number <= last; number++ {
		select {
		case message := <-partition.Messages():
			if string(message.Value) != strconv.Itoa(number) {
				t.Fatalf("record %s is where %d was acknowledged", message.Value, number)
			}
		case <-deadline:
			t.Fatalf("in vain: record %d of %d", number, last)
		}
	}
}
