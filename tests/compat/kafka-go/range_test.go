package compat

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

const keys = 300

// TestRangeBringsKeysTogether joins two topics as streams are joined: the same number of partitions, the same keys, and
// range assignment, by which a consumer that has a partition of one topic has the same one of the other. So each key's
// records of both topics reach one and the same consumer. The runner has the topics made when the cluster starts, with
// three partitions each.
func TestRangeBringsKeysTogether(t *testing.T) {
	g := startGroup(t, "joiners", 5, "topic1", "topic2")

	g.awaitStable(6)
	produce(t, "before")
	owners := checkKeys(t, g.take(2*keys), "before")
	if consumers := distinct(owners); len(consumers) != 3 {
		t.Errorf("5 consumers share 3 partitions of each topic: 3 have records; instead: %v", consumers)
	}

	// Partitions go to others when somebody leaves, and keys still stay together.
	g.close(owners[key(0)])
	g.awaitStable(6)
	produce(t, "after")
	if consumers := distinct(checkKeys(t, g.take(2*keys), "after")); len(consumers) != 3 {
		t.Errorf("4 consumers share 3 partitions of each topic: 3 have records; instead: %v", consumers)
	}

	// Every record was delivered once, and each commit was kept.
	for _, topic := range []string{"topic1", "topic2"} {
		await(t, "all offsets of "+topic+" to be committed", func() (bool, string) {
			sum := g.committed(topic, 0, 1, 2)
			return sum == 2*keys, fmt.Sprintf("%d", sum)
		})
	}
	if extra := len(g.deliveries); extra > 0 {
		t.Errorf("%d records were delivered again", extra)
	}
	g.errors.mustBeClean()
}

func key(i int) string { return fmt.Sprintf("key-%d", i) }

// produce writes every key to both topics, with this value.
func produce(t *testing.T, value string) {
	t.Helper()
	writer := &kafka.Writer{
		Addr:         kafka.TCP(brokers(t)...),
		Balancer:     &kafka.Hash{},
		RequiredAcks: kafka.RequireAll,
		BatchTimeout: 10 * time.Millisecond,
		Transport:    &kafka.Transport{},
	}
	defer func() { _ = writer.Close() }()
	var messages []kafka.Message
	for i := range keys {
		for _, topic := range []string{"topic1", "topic2"} {
			messages = append(messages, kafka.Message{Topic: topic, Key: []byte(key(i)), Value: []byte(value)})
		}
	}
	if err := writer.WriteMessages(context.Background(), messages...); err != nil {
		t.Fatalf("produce: %v", err)
	}
}

// checkKeys checks that each key came once from each topic, from the same partition of both, and to one consumer. It
// returns that consumer for each key.
func checkKeys(t *testing.T, deliveries []delivery, value string) map[string]int {
	t.Helper()
	first := map[string]delivery{}
	for _, delivered := range deliveries {
		key := string(delivered.Key)
		if string(delivered.Value) != value {
			t.Errorf("%s: a record of %q came again", key, delivered.Value)
		}
		other, seen := first[key]
		switch {
		case !seen:
			first[key] = delivered
		case other.Topic == delivered.Topic:
			t.Errorf("%s came twice from %s", key, other.Topic)
		case other.Partition != delivered.Partition:
			t.Errorf("%s is in partition %d and %d", key, other.Partition, delivered.Partition)
		case other.consumer != delivered.consumer:
			t.Errorf("%s went to consumer %d and %d", key, other.consumer, delivered.consumer)
		}
	}
	owners := map[string]int{}
	for key, delivered := range first {
		owners[key] = delivered.consumer
	}
	if len(owners) != keys {
		t.Errorf("%d keys were produced; instead: %d", keys, len(owners))
	}
	return owners
}

// distinct is the set of a map's values.
func distinct(owners map[string]int) map[int]bool {
	set := map[int]bool{}
	for _, owner := range owners {
		set[owner] = true
	}
	return set
}
