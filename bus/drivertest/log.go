package drivertest

import (
	"context"
	"slices"
	"sort"
	"sync"

	"penstock/bus/driver"
)

// Log is an outbox in memory: it implements outboxbus.Source. Its messages are committed when Append returns. Safe for
// concurrent use.
type Log struct {
	name    string
	changed chan struct{}

	mu   sync.Mutex
	msgs []driver.Message
	head uint64
	sent uint64
	fail error
}

// NewLog returns an empty log.
func NewLog(name string) *Log { return &Log{name: name, changed: make(chan struct{}, 1)} }

// Append commits messages with the next offsets.
func (l *Log) Append(msgs ...driver.Message) {
	l.mu.Lock()
	for _, m := range msgs {
		l.head++
		m.Offset = l.head
		l.msgs = append(l.msgs, m)
	}
	l.mu.Unlock()
	l.notify()
}

// Skip commits n entries that carry no message.
func (l *Log) Skip(n uint64) {
	l.mu.Lock()
	l.head += n
	l.mu.Unlock()
	l.notify()
}

// Fail makes every Read fail with err, until it is nil again.
func (l *Log) Fail(err error) {
	l.mu.Lock()
	l.fail = err
	l.mu.Unlock()
	l.notify()
}

// Acknowledged returns the highest number that Sent was told.
func (l *Log) Acknowledged() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent
}

func (l *Log) notify() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// Name implements outboxbus.Source.
func (l *Log) Name() string { return l.name }

// Read implements outboxbus.Source.
func (l *Log) Read(_ context.Context, after uint64, limit int) ([]driver.Message, uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return nil, 0, l.fail
	}
	from := sort.Search(len(l.msgs), func(i int) bool { return l.msgs[i].Offset > after })
	if len(l.msgs)-from > limit {
		out := slices.Clone(l.msgs[from : from+limit])
		return out, out[limit-1].Offset, nil
	}
	return slices.Clone(l.msgs[from:]), max(after, l.head), nil
}

// Head implements outboxbus.Source.
func (l *Log) Head(context.Context) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head, nil
}

// Changed implements outboxbus.Source.
func (l *Log) Changed() <-chan struct{} { return l.changed }

// Sent implements outboxbus.Source.
func (l *Log) Sent(_ context.Context, upto uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = max(l.sent, upto)
	return nil
}
