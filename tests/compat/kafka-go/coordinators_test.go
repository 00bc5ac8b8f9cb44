package compat

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/segmentio/kafka-go"
)

// TestCoordinatorsOfFreshCluster is the first test of the first file with tests: nobody has asked the cluster for a
// coordinator before. The groups are so many that every partition of __consumer_offsets has some. Each of them finds
// its coordinator, joins, syncs, commits, and leaves.
func TestCoordinatorsOfFreshCluster(t *testing.T) {
	const groups = 64
	brokers, errors := brokers(t), &errorLog{t: t}
	var all sync.WaitGroup
	for i := range groups {
		all.Go(func() { joinOnce(t, brokers, fmt.Sprintf("fresh-%d", i), errors) })
	}
	all.Wait()
	errors.mustBeClean()
}

// joinOnce is the life of a group whose only member has three partitions, and commits the offset of one.
func joinOnce(t *testing.T, brokers []string, group string, errors *errorLog) {
	consumers, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID:          group,
		Brokers:     brokers,
		Topics:      []string{"topic1"},
		ErrorLogger: errors,
	})
	if err != nil {
		t.Errorf("%s: %v", group, err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	generation, err := consumers.Next(ctx)
	if err != nil {
		errors.check(err, group+": "+err.Error())
		t.Errorf("%s: %v", group, err)
	} else {
		if partitions := generation.Assignments["topic1"]; len(partitions) != 3 {
			t.Errorf("the only member of %s has three partitions; instead: %v", group, partitions)
		}
		if err := generation.CommitOffsets(map[string]map[int]int64{"topic1": {0: 0}}); err != nil {
			errors.check(err, group+": "+err.Error())
			t.Errorf("commit of %s: %v", group, err)
		}
	}
	if err := consumers.Close(); err != nil {
		t.Errorf("%s: %v", group, err)
	}
}
