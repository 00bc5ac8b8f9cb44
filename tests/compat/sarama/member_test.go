package compat

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// session is one generation of the group, as a member takes part in it.
type session struct {
	generation int32
	partitions []int32
}

// member is a consumer in a group, which notes in the group's journal what it is given.
type member struct {
	t        *testing.T
	name     string
	topic    string
	journal  *journal
	consumer sarama.ConsumerGroup
	leaving  context.Context
	cancel   context.CancelFunc
	ended    sync.WaitGroup
	// sessions has each session that begins.
	sessions chan session

	mutex sync.Mutex
	// gate stops the member on its way out of a session, if there is one.
	gate *gate
}

// gate holds a member back when its session ends, and so the rebalance that the others are in, until it is opened.
type gate struct {
	reached chan struct{}
	opened  chan struct{}
}

// join starts a member of the group that the journal belongs to.
func join(t *testing.T, name, topic string, journal *journal, version sarama.KafkaVersion) *member {
	t.Helper()
	config := sarama.NewConfig()
	config.ClientID = name
	config.Version = version
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Group.Heartbeat.Interval = 100 * time.Millisecond
	config.Consumer.Group.Session.Timeout = 45 * time.Second // So that a member held back is not taken for dead.
	config.Consumer.MaxWaitTime = 100 * time.Millisecond
	consumer, err := sarama.NewConsumerGroup(brokers(t), journal.group, config)
	if err != nil {
		t.Fatal(err)
	}
	leaving, cancel := context.WithCancel(context.Background())
	m := &member{
		t: t, name: name, topic: topic, journal: journal, consumer: consumer, leaving: leaving, cancel: cancel,
		sessions: make(chan session, 1000),
	}
	m.ended.Go(func() { m.run() })
	t.Cleanup(m.leave)
	return m
}

func (m *member) run() {
	for m.leaving.Err() == nil {
		if err := m.consumer.Consume(m.leaving, []string{m.topic}, m); err != nil && m.leaving.Err() == nil {
			// While its coordinator moves, a member has nobody to talk to; what comes of that is told by the journal.
			m.t.Logf("%s, %s: %v", m.journal.group, m.name, err)
			select {
			case <-time.After(askAgainAfter):
			case <-m.leaving.Done():
			}
		}
	}
}

// leave ends the member's session and has it leave the group.
func (m *member) leave() {
	m.cancel()
	m.ended.Wait()
	if err := m.consumer.Close(); err != nil {
		m.t.Errorf("%s, %s: %v", m.journal.group, m.name, err)
	}
}

// hold puts up a gate, at which the member will stop once.
func (m *member) hold() *gate {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.gate = &gate{reached: make(chan struct{}), opened: make(chan struct{})}
	return m.gate
}

// awaitSession waits for a session with these many partitions; others may come before.
func (m *member) awaitSession(partitions int) session {
	m.t.Helper()
	for {
		began := receive(m.t, "a session of "+m.name+" in "+m.journal.group, m.sessions)
		if len(began.partitions) == partitions {
			return began
		}
	}
}

// Setup implements sarama.ConsumerGroupHandler.
func (m *member) Setup(began sarama.ConsumerGroupSession) error {
	m.sessions <- session{began.GenerationID(), began.Claims()[m.topic]}
	return nil
}

// Cleanup implements sarama.ConsumerGroupHandler.
func (m *member) Cleanup(sarama.ConsumerGroupSession) error {
	m.mutex.Lock()
	gate := m.gate
	m.gate = nil
	m.mutex.Unlock()
	if gate != nil {
		close(gate.reached)
		select {
		case <-gate.opened:
		case <-m.leaving.Done():
		}
	}
	return nil
}

// ConsumeClaim implements sarama.ConsumerGroupHandler.
func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, more := <-claim.Messages():
			if !more {
				return nil
			}
			m.journal.note(m.name, message)
			session.MarkMessage(message, "")
		case <-session.Context().Done():
			return nil
		}
	}
}
