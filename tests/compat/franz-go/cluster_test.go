// Package compat runs what users of franz-go run, against the cluster that COMPAT_BOOTSTRAP names.
package compat

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// patience is how long anything may take before it counts as not happening. Far longer than it ever takes.
const patience = time.Minute

// askAgainAfter lies between two looks at what tells nobody when it changes.
const askAgainAfter = 50 * time.Millisecond

// newClient is a client with these options, closed with the test.
func newClient(t *testing.T, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	bootstrap := os.Getenv("COMPAT_BOOTSTRAP")
	if bootstrap == "" {
		t.Fatal("COMPAT_BOOTSTRAP names no nodes; tests/compat/run sets it")
	}
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(strings.Split(bootstrap, ",")...))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
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

// within is a context that ends with the test's patience.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// createTopic makes a topic with three replicas.
func createTopic(t *testing.T, admin *kadm.Client, topic string, partitions int32) {
	t.Helper()
	if _, err := admin.CreateTopic(within(t), partitions, 3, nil, topic); err != nil {
		t.Fatal(err)
	}
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

// awaitReplicas waits until every partition of these topics has three replicas in sync.
func awaitReplicas(t *testing.T, admin *kadm.Client, topics ...string) {
	t.Helper()
	await(t, "three replicas in sync", func() bool {
		metadata, err := admin.Metadata(within(t), topics...)
		if err != nil {
			return false
		}
		for _, topic := range metadata.Topics {
			for _, partition := range topic.Partitions {
				if partition.Err != nil || len(partition.ISR) != 3 {
					return false
				}
			}
		}
		return true
	})
}
