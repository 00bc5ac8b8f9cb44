package compat

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// pace is the time between two records of a partition.
const pace = 2 * time.Millisecond

// feeder produces to a topic at a steady pace and waits for no acknowledgement in between. In each partition records bear the
// numbers 0, 1, 2 and so on.
type feeder struct {
	t        *testing.T
	producer *kgo.Client
	stop     chan struct{}
	stopped  sync.WaitGroup

	mutex sync.Mutex
	// acked counts the records acknowledged, by partition.
	acked map[int32]int
}

// startFeeder starts a producer with franz-go's defaults: idempotent, and it tries again until it is told that it cannot.
func startFeeder(t *testing.T, topic string, partitions int32) *feeder {
	t.Helper()
	f := &feeder{t: t, stop: make(chan struct{}), acked: map[int32]int{}}
	f.producer = newClient(t, kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	f.stopped.Go(func() {
		ticker := time.NewTicker(pace)
		defer ticker.Stop()
		for number := 0; ; number++ {
			for partition := range partitions {
				record := &kgo.Record{Partition: partition, Value: []byte(strconv.Itoa(number))}
				f.producer.Produce(context.Background(), record, f.acknowledged)
			}
			select {
			case <-f.stop:
				return
			case <-ticker.C:
			}
		}
	})
	return f
}

func (f *feeder) acknowledged(record *kgo.Record, err error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if err != nil {
		f.t.Errorf("record %s of partition %d: %v", record.Value, record.Partition, err)
		return
	}
	f.acked[record.Partition]++
}

// counts is how many records are acknowledged, by partition.
func (f *feeder) counts() map[int32]int {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	counts := map[int32]int{}
	for partition, count := range f.acked {
		counts[partition] = count
	}
	return counts
}

// awaitMore waits for so many further acknowledgements in each partition.
func (f *feeder) awaitMore(some int, partitions int32) {
	f.t.Helper()
	before := f.counts()
	await(f.t, "records to be acknowledged", func() bool {
		now := f.counts()
		for partition := range partitions {
			if now[partition] < before[partition]+some {
				return false
			}
		}
		return true
	})
}

// end stops and says how many records are acknowledged, by partition, once all are.
func (f *feeder) end() map[int32]int {
	f.t.Helper()
	close(f.stop)
	f.stopped.Wait()
	if err := f.producer.Flush(within(f.t)); err != nil {
		f.t.Fatalf("in vain: the last acknowledgements: %v", err)
	}
	return f.counts()
}
