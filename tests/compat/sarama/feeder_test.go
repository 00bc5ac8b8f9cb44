package compat

import (
	"maps"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// pace is the time between two records.
const pace = 2 * time.Millisecond

// feeder produces to a topic at a steady pace, record by record, each once the one before is acknowledged. In each
// partition records bear the numbers 0, 1, 2 and so on.
type feeder struct {
	t        *testing.T
	producer sarama.SyncProducer
	stop     chan struct{}
	stopped  sync.WaitGroup

	mutex sync.Mutex
	// acked is the last number acknowledged, by partition.
	acked map[int32]int
	// count is how many records that is.
	count int
	// changed is closed, and replaced, when another record is acknowledged.
	changed chan struct{}
}

func startFeeder(t *testing.T, topic string, partitions int32) *feeder {
	t.Helper()
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Return.Successes = true
	// A node that dies is to be waited for and nothing doubled: the producer asks again, under its sequence numbers,
	// which in sarama wants a single request in flight.
	config.Producer.Idempotent = true
	config.Net.MaxOpenRequests = 1
	config.Producer.Retry.Max = 600
	config.Producer.Retry.Backoff = 100 * time.Millisecond
	producer, err := sarama.NewSyncProducer(brokers(t), config)
	if err != nil {
		t.Fatal(err)
	}
	f := &feeder{
		t: t, producer: producer, stop: make(chan struct{}), acked: map[int32]int{}, changed: make(chan struct{}),
	}
	f.stopped.Go(func() { f.feed(topic, partitions) })
	t.Cleanup(func() { f.end() })
	return f
}

func (f *feeder) feed(topic string, partitions int32) {
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for number := 0; ; number++ {
		for partition := range partitions {
			_, _, err := f.producer.SendMessage(&sarama.ProducerMessage{
				Topic: topic, Partition: partition, Value: sarama.StringEncoder(strconv.Itoa(number)),
			})
			if err != nil {
				f.t.Errorf("record %d of partition %d: %v", number, partition, err)
				return
			}
			f.note(partition, number)
		}
		select {
		case <-f.stop:
			return
		case <-ticker.C:
		}
	}
}

func (f *feeder) note(partition int32, number int) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.acked[partition] = number
	f.count++
	close(f.changed)
	f.changed = make(chan struct{})
}

// awaitMore waits until n more records than now are acknowledged, and returns what is by then.
func (f *feeder) awaitMore(n int) map[int32]int {
	f.t.Helper()
	deadline := time.After(patience)
	enough := -1
	for {
		f.mutex.Lock()
		acked, count, changed := maps.Clone(f.acked), f.count, f.changed
		f.mutex.Unlock()
		if enough < 0 {
			enough = count + n
		}
		if count >= enough {
			return acked
		}
		select {
		case <-changed:
		case <-deadline:
			f.t.Fatalf("in vain: %d more records acknowledged; instead: %d", n, count+n-enough)
		}
	}
}

// end stops producing. It returns the last number acknowledged, by partition; everything before is, too.
func (f *feeder) end() map[int32]int {
	select {
	case <-f.stop:
	default:
		close(f.stop)
		f.stopped.Wait()
		if err := f.producer.Close(); err != nil {
			f.t.Error(err)
		}
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return maps.Clone(f.acked)
}
