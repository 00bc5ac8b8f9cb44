package compat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// delivery is a record and the consumer, by its number in the group, that was given it.
type delivery struct {
	consumer int
	kafka.Message
}

// group is a consumer group: Readers that read, commit and pass on until they are closed.
type group struct {
	t          *testing.T
	id         string
	client     *kafka.Client
	errors     *errorLog
	readers    map[int]*kafka.Reader
	readersEnd sync.WaitGroup
	deliveries chan delivery
}

// startGroup starts consumers 0 to size-1, which share the topics by range.
func startGroup(t *testing.T, id string, size int, topics ...string) *group {
	g := &group{
		t: t, id: id, client: client(t), errors: &errorLog{t: t},
		readers:    map[int]*kafka.Reader{},
		deliveries: make(chan delivery, 10_000),
	}
	for consumer := range size {
		reader := kafka.NewReader(kafka.ReaderConfig{
			Brokers:           brokers(t),
			GroupID:           id,
			GroupTopics:       topics,
			GroupBalancers:    []kafka.GroupBalancer{kafka.RangeGroupBalancer{}},
			HeartbeatInterval: 250 * time.Millisecond,
			MaxWait:           250 * time.Millisecond,
			StartOffset:       kafka.FirstOffset,
			ErrorLogger:       g.errors,
		})
		g.readers[consumer] = reader
		g.readersEnd.Go(func() { g.read(consumer, reader) })
	}
	t.Cleanup(func() {
		for consumer := range g.readers {
			g.close(consumer)
		}
		g.readersEnd.Wait()
	})
	return g
}

func (g *group) read(consumer int, reader *kafka.Reader) {
	for {
		message, err := reader.ReadMessage(context.Background())
		if errors.Is(err, io.EOF) {
			return // Closed.
		}
		if err != nil {
			g.errors.check(err, err.Error())
			g.t.Errorf("consumer %d: %v", consumer, err)
			return
		}
		g.deliveries <- delivery{consumer, message}
	}
}

// close ends a consumer, which leaves the group.
func (g *group) close(consumer int) {
	if err := g.readers[consumer].Close(); err != nil {
		g.t.Errorf("close consumer %d: %v", consumer, err)
	}
	delete(g.readers, consumer)
}

// awaitStable waits until the group has just the members it is to have, and these many partitions are shared by them.
func (g *group) awaitStable(partitions int) {
	g.t.Helper()
	await(g.t, fmt.Sprintf("%d members with %d partitions", len(g.readers), partitions), func() (bool, string) {
		found := describe(g.t, g.client, g.id)
		assigned := 0
		for _, member := range found.Members {
			for _, topic := range member.MemberAssignments.Topics {
				assigned += len(topic.Partitions)
			}
		}
		return found.GroupState == "Stable" && len(found.Members) == len(g.readers) && assigned == partitions,
			fmt.Sprintf("%s, %d members with %d partitions", found.GroupState, len(found.Members), assigned)
	})
}

// take waits for the next n deliveries.
func (g *group) take(n int) []delivery {
	g.t.Helper()
	deadline := time.After(patience)
	taken := make([]delivery, 0, n)
	for len(taken) < n {
		select {
		case delivery := <-g.deliveries:
			taken = append(taken, delivery)
		case <-deadline:
			g.t.Fatalf("in vain: %d records; instead: %d", n, len(taken))
		}
	}
	return taken
}

// committed is the sum of the offsets that the group has committed in a topic.
func (g *group) committed(topic string, partitions ...int) int64 {
	g.t.Helper()
	answer, err := g.client.OffsetFetch(context.Background(), &kafka.OffsetFetchRequest{
		GroupID: g.id, Topics: map[string][]int{topic: partitions},
	})
	if err == nil {
		err = answer.Error
	}
	if err != nil {
		g.t.Fatalf("offsets of %s: %v", g.id, err)
	}
	sum := int64(0)
	for _, partition := range answer.Topics[topic] {
		if partition.Error != nil {
			g.t.Fatalf("offsets of %s: %v", g.id, partition.Error)
		}
		sum += partition.CommittedOffset
	}
	return sum
}
