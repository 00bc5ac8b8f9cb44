// Package compat runs what users of IBM/sarama run, against the cluster that COMPAT_BOOTSTRAP names.
package compat

import (
	"log"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// patience is how long anything may take before it counts as not happening. Far longer than it ever takes.
const patience = time.Minute

// askAgainAfter lies between two looks at what tells nobody when it changes.
const askAgainAfter = 50 * time.Millisecond

func init() { sarama.Logger = log.New(os.Stdout, "sarama: ", log.Lmicroseconds) }

// brokers are the nodes of the cluster, as host:port.
func brokers(t *testing.T) []string {
	t.Helper()
	bootstrap := os.Getenv("COMPAT_BOOTSTRAP")
	if bootstrap == "" {
		t.Fatal("COMPAT_BOOTSTRAP names no nodes; tests/compat/run sets it")
	}
	return strings.Split(bootstrap, ",")
}

// node does something to a node of the cluster: kill it, or start it again.
func node(t *testing.T, action string, id int32) {
	t.Helper()
	t.Logf("%s node %d", action, id)
	output, err := exec.Command(os.Getenv("COMPAT_NODE"), action, strconv.Itoa(int(id))).CombinedOutput()
	if err != nil {
		t.Fatalf("%s node %d: %v: %s", action, id, err, output)
	}
}

// newClient asks the cluster what producers and consumers do not tell.
func newClient(t *testing.T) sarama.Client {
	t.Helper()
	client, err := sarama.NewClient(brokers(t), sarama.NewConfig())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// createTopic makes a topic with three replicas, and waits until it has leaders.
func createTopic(t *testing.T, client sarama.Client, topic string, partitions int32) {
	t.Helper()
	// Closed with the client.
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	detail := sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 3}
	if err := admin.CreateTopic(topic, &detail, false); err != nil {
		t.Fatal(err)
	}
	await(t, topic+" to be led", func() bool {
		if err := client.RefreshMetadata(topic); err != nil {
			return false
		}
		writable, err := client.WritablePartitions(topic)
		return err == nil && len(writable) == int(partitions)
	})
}

// await asks again and again until the answer is yes, and fails with what was awaited.
func await(t *testing.T, awaited string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !happened(); time.Sleep(askAgainAfter) {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: %s", awaited)
		}
	}
}

// receive waits for something to come out of a channel, and fails with what was awaited.
func receive[T any](t *testing.T, awaited string, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(patience):
		t.Fatalf("in vain: %s", awaited)
		panic("unreachable")
	}
}
