// Package compat runs what users of segmentio/kafka-go run, against the cluster that COMPAT_BOOTSTRAP names.
package compat

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// patience is how long anything may take before it counts as not happening. Far longer than it ever takes.
const patience = time.Minute

// askAgainAfter lies between two looks at what tells nobody when it changes.
const askAgainAfter = 50 * time.Millisecond

// brokers are the nodes of the cluster, as host:port.
func brokers(t *testing.T) []string {
	t.Helper()
	bootstrap := os.Getenv("COMPAT_BOOTSTRAP")
	if bootstrap == "" {
		t.Fatal("COMPAT_BOOTSTRAP names no nodes; tests/compat/run sets it")
	}
	return strings.Split(bootstrap, ",")
}

// client asks the cluster what a Reader does not tell.
func client(t *testing.T) *kafka.Client {
	transport := &kafka.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &kafka.Client{Addr: kafka.TCP(brokers(t)...), Transport: transport, Timeout: patience}
}

// await asks again and again until the answer is yes, and fails with what was awaited and what was there instead.
func await(t *testing.T, awaited string, happened func() (yes bool, instead string)) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		yes, instead := happened()
		if yes {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("in vain: %s; instead: %s", awaited, instead)
		}
		time.Sleep(askAgainAfter)
	}
}

// describe is the group as its coordinator sees it.
func describe(t *testing.T, client *kafka.Client, group string) kafka.DescribeGroupsResponseGroup {
	t.Helper()
	answer, err := client.DescribeGroups(context.Background(), &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})
	if err != nil {
		t.Fatalf("describe %s: %v", group, err)
	}
	if len(answer.Groups) != 1 || answer.Groups[0].GroupID != group {
		t.Fatalf("describe %s: got %+v", group, answer.Groups)
	}
	if err := answer.Groups[0].Error; err != nil {
		t.Fatalf("describe %s: %v", group, err)
	}
	return answer.Groups[0]
}
