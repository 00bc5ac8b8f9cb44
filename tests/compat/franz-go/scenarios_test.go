package compat

import (
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestDeliveryGoesOnWhenNodesDie kills the leader of a partition, then, all nodes being back, the coordinator of the group that
// reads the topic. Several batches of a partition are on their way meanwhile; nothing acknowledged is lost, doubled or reordered.
func TestDeliveryGoesOnWhenNodesDie(t *testing.T) {
	const topic, partitions, some = "franz-failing", 3, 100
	admin := kadm.NewClient(newClient(t))
	createTopic(t, admin, topic, partitions)
	journal := newJournal(t, "franz-survivors")
	survivor := join(t, topic, journal)
	await(t, "all partitions for the only member", func() bool { return survivor.partitions() == partitions })
	feeder := startFeeder(t, topic, partitions)
	feeder.awaitMore(some, partitions)

	for _, victim := range []func() int32{
		func() int32 { return leader(t, admin, topic) },
		func() int32 { return coordinator(t, admin, journal.group) },
	} {
		dead := victim()
		node(t, "kill", dead)
		feeder.awaitMore(some, partitions)
		journal.awaitAll(feeder.counts())
		node(t, "start", dead)
		awaitReplicas(t, admin, topic, "__consumer_offsets")
		feeder.awaitMore(some, partitions)
	}

	counts := feeder.end()
	journal.awaitAll(counts)
	checkLog(t, topic, counts)
}

// TestMembersShareATopic has members of each protocol come and go.
func TestMembersShareATopic(t *testing.T) {
	for name, option := range map[string]kgo.Opt{
		"cooperative-sticky": kgo.Balancers(kgo.CooperativeStickyBalancer()),
		"range":              kgo.Balancers(kgo.RangeBalancer()),
		"consumer":           kgo.ServerSideBalancer(),
	} {
		t.Run(name, func(t *testing.T) {
			const partitions, some = 4, 50
			topic := "franz-shared-" + name
			admin := kadm.NewClient(newClient(t))
			createTopic(t, admin, topic, partitions)
			journal := newJournal(t, topic)
			feeder := startFeeder(t, topic, partitions)

			one := join(t, topic, journal, option)
			await(t, "all partitions for the only member", func() bool { return one.partitions() == partitions })
			other := join(t, topic, journal, option)
			await(t, "half of the partitions for each", func() bool {
				return one.partitions() == partitions/2 && other.partitions() == partitions/2
			})
			feeder.awaitMore(some, partitions)
			journal.awaitAll(feeder.counts())
			one.leave()
			await(t, "all partitions for who stays", func() bool { return other.partitions() == partitions })
			journal.awaitAll(feeder.end())
		})
	}
}

// TestAdministratorsSeeAGroup asks for a group's lag, and deletes it.
func TestAdministratorsSeeAGroup(t *testing.T) {
	const topic, partitions, group = "franz-seen", 2, "franz-seen"
	admin := kadm.NewClient(newClient(t))
	createTopic(t, admin, topic, partitions)
	feeder := startFeeder(t, topic, partitions)
	feeder.awaitMore(10, partitions)
	counts := feeder.end()
	journal := newJournal(t, group)
	only := join(t, topic, journal)
	journal.awaitAll(counts)
	only.leave()

	await(t, "a group that is empty and lacks nothing", func() bool {
		lags, err := admin.Lag(within(t), group)
		lag := lags[group]
		return err == nil && lag.Error() == nil && lag.State == "Empty" && lag.Lag.Total() == 0
	})
	ends, err := admin.ListEndOffsets(within(t), topic)
	if err != nil {
		t.Fatal(err)
	}
	ends.Each(func(end kadm.ListedOffset) {
		if end.Offset != int64(counts[end.Partition]) {
			t.Errorf("partition %d ends at %d; yet %d records are acknowledged", end.Partition, end.Offset, counts[end.Partition])
		}
	})
	if deleted, err := admin.DeleteGroups(within(t), group); err != nil || deleted[group].Err != nil {
		t.Fatalf("%v, %v", err, deleted[group].Err)
	}
	if listed, err := admin.ListGroups(within(t)); err != nil || listed[group].Group != "" {
		t.Fatalf("%v, %v", err, listed[group])
	}
}

// leader is the node that leads the topic's first partition.
func leader(t *testing.T, admin *kadm.Client, topic string) int32 {
	t.Helper()
	metadata, err := admin.Metadata(within(t), topic)
	if err != nil {
		t.Fatal(err)
	}
	return metadata.Topics[topic].Partitions[0].Leader
}

// coordinator is the node that coordinates a group.
func coordinator(t *testing.T, admin *kadm.Client, group string) int32 {
	t.Helper()
	found := admin.FindGroupCoordinators(within(t), group)
	if err := found.Error(); err != nil {
		t.Fatal(err)
	}
	return found[group].NodeID
}

// checkLog reads each partition from its beginning: the numbers of all records acknowledged, each once and in order.
func checkLog(t *testing.T, topic string, counts map[int32]int) {
	t.Helper()
	reader := newClient(t, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	left := 0
	for _, count := range counts {
		left += count
	}
	next := map[int32]int{}
	for left > 0 {
		fetches := reader.PollFetches(within(t))
		if err := fetches.Err(); err != nil {
			t.Fatalf("in vain: %d records: %v", left, err)
		}
		fetches.EachRecord(func(record *kgo.Record) {
			if string(record.Value) != strconv.Itoa(next[record.Partition]) {
				t.Fatalf("partition %d has %s where %d was acknowledged", record.Partition, record.Value, next[record.Partition])
			}
			next[record.Partition]++
			left--
		})
	}
}
