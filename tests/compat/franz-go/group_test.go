package compat

import (
	"context"
	"strconv"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// journal is what a group has been given by all its members of a topic whose records bear the numbers 0, 1, 2 and so on in each
// partition.
type journal struct {
	t     *testing.T
	group string

	mutex sync.Mutex
	// next is the number that is to come, by partition.
	next map[int32]int
	// again counts the records that came once more. After a rebalance that is allowed, but never a record left out.
	again int
}

func newJournal(t *testing.T, group string) *journal {
	return &journal{t: t, group: group, next: map[int32]int{}}
}

func (j *journal) note(record *kgo.Record) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	number, err := strconv.Atoi(string(record.Value))
	switch next := j.next[record.Partition]; {
	case err != nil:
		j.t.Errorf("%s: a record of nobody's: %q", j.group, record.Value)
	case number > next:
		j.t.Errorf("%s: record %d of partition %d follows %d", j.group, number, record.Partition, next-1)
		j.next[record.Partition] = number + 1
	case number < next:
		j.again++
	default:
		j.next[record.Partition] = number + 1
	}
}

// awaitAll waits until so many records of each partition have been delivered.
func (j *journal) awaitAll(counts map[int32]int) {
	j.t.Helper()
	await(j.t, "all records for "+j.group, func() bool {
		j.mutex.Lock()
		defer j.mutex.Unlock()
		for partition, count := range counts {
			if j.next[partition] < count {
				return false
			}
		}
		return true
	})
}

// member is a consumer in a group. It commits what it has noted before it gives partitions up and when it leaves.
type member struct {
	client  *kgo.Client
	stop    context.CancelFunc
	stopped sync.WaitGroup

	mutex sync.Mutex
	owned map[int32]bool
}

// join lets a consumer join the journal's group.
func join(t *testing.T, topic string, journal *journal, options ...kgo.Opt) *member {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{stop: cancel, owned: map[int32]bool{}}
	change := func(owned bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(ctx context.Context, client *kgo.Client, partitions map[string][]int32) {
			if !owned {
				_ = client.CommitMarkedOffsets(ctx)
			}
			m.mutex.Lock()
			defer m.mutex.Unlock()
			for _, partition := range partitions[topic] {
				m.owned[partition] = owned
			}
		}
	}
	m.client = newClient(t, append(options,
		kgo.ConsumerGroup(journal.group), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.AutoCommitMarks(), kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(change(true)), kgo.OnPartitionsRevoked(change(false)), kgo.OnPartitionsLost(change(false)))...)
	m.stopped.Go(func() {
		for ctx.Err() == nil {
			m.client.PollFetches(ctx).EachRecord(func(record *kgo.Record) {
				journal.note(record)
				m.client.MarkCommitRecords(record)
			})
			m.client.AllowRebalance()
		}
		m.client.CloseAllowingRebalance()
	})
	t.Cleanup(m.leave)
	return m
}

// partitions is how many partitions the member owns.
func (m *member) partitions() int {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	count := 0
	for _, owned := range m.owned {
		if owned {
			count++
		}
	}
	return count
}

// leave leaves the group.
func (m *member) leave() {
	m.stop()
	m.stopped.Wait()
}
