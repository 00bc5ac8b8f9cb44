package compat

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/segmentio/kafka-go"
)

// errorLog takes what a Reader has to say about errors. kafka-go hands the codes that tell of a coordinator on its way
// to its caller instead of asking again, so that a cluster which answers with them when all is well breaks its users.
type errorLog struct {
	t *testing.T

	mutex sync.Mutex
	wrong []string
}

// Printf implements kafka.Logger.
func (l *errorLog) Printf(format string, arguments ...any) {
	line := fmt.Sprintf(format, arguments...)
	l.t.Logf("kafka-go: %s", line)
	for _, argument := range arguments {
		if err, ok := argument.(error); ok {
			l.check(err, line)
		}
	}
}

// check remembers an error that says that the coordinator is not there, not this node, or not ready.
func (l *errorLog) check(err error, context string) {
	for _, code := range []kafka.Error{
		kafka.GroupCoordinatorNotAvailable, kafka.NotCoordinatorForGroup, kafka.GroupLoadInProgress,
	} {
		if errors.Is(err, code) {
			l.mutex.Lock()
			l.wrong = append(l.wrong, context)
			l.mutex.Unlock()
		}
	}
}

// mustBeClean fails the test if the coordinator was ever missing.
func (l *errorLog) mustBeClean() {
	l.t.Helper()
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, line := range l.wrong {
		l.t.Errorf("a cluster that is ready has a coordinator for each group; yet: %s", line)
	}
}
