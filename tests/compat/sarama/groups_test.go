package compat

import (
	"testing"

	"github.com/IBM/sarama"
)

// TestGroupsDoNotDisturbEachOther has two groups on one topic and one coordinator. In one of them a member comes and
// goes, and each rebalance is held up half way by the member that stays. The other group notices nothing of it.
func TestGroupsDoNotDisturbEachOther(t *testing.T) {
	const topic, partitions, rounds, some = "shared", 2, 3, 100
	client := newClient(t)
	createTopic(t, client, topic, partitions)
	// Aa and BB are the same to Java's String.hashCode, by which a group gets its partition of __consumer_offsets.
	steady, restless := newJournal(t, "group-Aa"), newJournal(t, "group-BB")
	if one, other := coordinator(t, client, steady.group), coordinator(t, client, restless.group); one != other {
		t.Fatalf("the groups are to share a coordinator; yet they have nodes %d and %d", one, other)
	}
	members := []*member{
		join(t, "steady-1", topic, steady, sarama.MaxVersion), join(t, "steady-2", topic, steady, sarama.MaxVersion),
	}
	for _, member := range members {
		member.awaitSession(1)
	}
	resident := join(t, "resident", topic, restless, sarama.MaxVersion)
	resident.awaitSession(partitions)
	feeder := startFeeder(t, topic, partitions)

	for range rounds {
		gate := resident.hold()
		visitor := join(t, "visitor", topic, restless, sarama.MaxVersion)
		receive(t, "the resident to give up its partitions for the visitor", gate.reached)
		steady.awaitAll(feeder.awaitMore(some))
		if len(visitor.sessions) > 0 {
			t.Error("the visitor has partitions that the resident has not given up")
		}
		close(gate.opened)
		visitor.awaitSession(1)
		resident.awaitSession(1)
		restless.awaitAll(feeder.awaitMore(some))

		gate = resident.hold()
		visitor.leave()
		receive(t, "the resident to notice that the visitor left", gate.reached)
		steady.awaitAll(feeder.awaitMore(some))
		close(gate.opened)
		resident.awaitSession(partitions)
		restless.awaitAll(feeder.awaitMore(some))
	}

	all := feeder.end()
	steady.awaitAll(all)
	restless.awaitAll(all)
	if again := steady.repeated(); again > 0 {
		t.Errorf("%d records came more than once to the group that nobody joined or left", again)
	}
	for _, member := range members {
		if len(member.sessions) > 0 {
			t.Errorf("%s was disturbed: another session, %+v", member.name, <-member.sessions)
		}
	}
}

// TestTwoMembersSplitTwoPartitions has nothing delivered twice, and each partition to one member only.
func TestTwoMembersSplitTwoPartitions(t *testing.T) {
	const topic, partitions, some = "split", 2, 1000
	createTopic(t, newClient(t), topic, partitions)
	journal := newJournal(t, "splitters")
	// Sarama's own idea of a version, which is what people run who do not say one.
	one := join(t, "one", topic, journal, sarama.DefaultVersion)
	other := join(t, "other", topic, journal, sarama.DefaultVersion)
	ones, others := one.awaitSession(1), other.awaitSession(1)
	if ones.generation != others.generation || ones.partitions[0] == others.partitions[0] {
		t.Fatalf("two members share two partitions in one generation; instead: %+v, %+v", ones, others)
	}

	feeder := startFeeder(t, topic, partitions)
	feeder.awaitMore(some)
	journal.awaitAll(feeder.end())
	if again := journal.repeated(); again > 0 {
		t.Errorf("%d records came more than once", again)
	}
	for member, owned := range map[*member]int32{one: ones.partitions[0], other: others.partitions[0]} {
		if owners := journal.ownersOf(owned); len(owners) != 1 || owners[0] != member.name {
			t.Errorf("partition %d belongs to %s; yet its records went to %v", owned, member.name, owners)
		}
	}
}

// coordinator is the node that coordinates a group.
func coordinator(t *testing.T, client sarama.Client, group string) int32 {
	t.Helper()
	if err := client.RefreshCoordinator(group); err != nil {
		t.Fatalf("coordinator of %s: %v", group, err)
	}
	node, err := client.Coordinator(group)
	if err != nil {
		t.Fatalf("coordinator of %s: %v", group, err)
	}
	return node.ID()
}
