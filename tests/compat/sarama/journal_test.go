package compat

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// journal is what a group has been given, by all its members, of a topic whose records bear the numbers 0, 1, 2 and so
// on in each partition.
type journal struct {
	t     *testing.T
	group string

	mutex sync.Mutex
	// next is the number that is to come, by partition.
	next map[int32]int
	// owners are the members that were given records of a partition.
	owners map[int32]map[string]bool
	// again counts the records that came once more. After a rebalance that is allowed, but never a record left out.
	again int
	// changed is closed, and replaced, when something new is in here.
	changed chan struct{}
}

func newJournal(t *testing.T, group string) *journal {
	return &journal{
		t: t, group: group,
		next: map[int32]int{}, owners: map[int32]map[string]bool{}, changed: make(chan struct{}),
	}
}

// note takes down a record that a member was given.
func (j *journal) note(member string, message *sarama.ConsumerMessage) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	partition := message.Partition
	number, err := strconv.Atoi(string(message.Value))
	switch next := j.next[partition]; {
	case err != nil:
		j.t.Errorf("%s, %s: a record of nobody's: %q", j.group, member, message.Value)
	case number > next:
		j.t.Errorf("%s, %s: record %d of partition %d follows %d", j.group, member, number, partition, next-1)
		j.next[partition] = number + 1
	case number < next:
		j.again++
	default:
		j.next[partition] = number + 1
	}
	if j.owners[partition] == nil {
		j.owners[partition] = map[string]bool{}
	}
	j.owners[partition][member] = true
	close(j.changed)
	j.changed = make(chan struct{})
}

// awaitAll waits until everything up to these numbers, by partition, has been delivered.
func (j *journal) awaitAll(last map[int32]int) {
	j.t.Helper()
	deadline := time.After(patience)
	for {
		j.mutex.Lock()
		missing, changed := 0, j.changed
		for partition, number := range last {
			missing += max(0, number+1-j.next[partition])
		}
		j.mutex.Unlock()
		if missing == 0 {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			j.t.Fatalf("in vain: %d records of %v for %s", missing, last, j.group)
		}
	}
}

// repeated is how many records were delivered more than once.
func (j *journal) repeated() int {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return j.again
}

// ownersOf is who was given records of a partition.
func (j *journal) ownersOf(partition int32) []string {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	var names []string
	for name := range j.owners[partition] {
		names = append(names, name)
	}
	return names
}
