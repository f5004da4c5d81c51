package console

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// frame is the present of a topic as it goes to everybody.
type frame struct {
	seq  uint64
	text []byte
}

// topic is what somebody watches, with its one producer.
type topic struct {
	hub    *Hub
	name   string
	kind   string
	every  time.Duration
	read   Source
	closed func()
	life   context.Context
	stop   context.CancelFunc

	// under the hub's lock
	watchers map[*Watch]bool
	now      frame // zero until the first look

	data []byte // of the producer: what was told last
}

// present is the data of an event.
type present struct {
	Topic string `json:"topic"`
	Now   any    `json:"now,omitempty"`
	Error string `json:"error,omitempty"`
}

// run looks until the topic ends.
func (t *topic) run() {
	defer t.hub.running.Done()
	if t.closed != nil {
		defer t.closed()
	}
	for t.life.Err() == nil {
		t.look()
		timer := t.hub.o.Clock.NewTimer(max(t.every, t.hub.pace()))
		select {
		case <-timer.C():
		case <-t.life.Done():
			timer.Stop()
		}
	}
}

// look reads the present and tells it if it has changed. A source that fails is told too: a page must not show old figures as
// the present.
func (t *topic) look() {
	ctx, cancel := context.WithTimeout(t.life, t.hub.o.Look)
	defer cancel()
	p := present{Topic: t.name}
	now, err := t.read(ctx)
	if t.life.Err() != nil {
		return
	}
	if err != nil {
		t.hub.o.Logger.Warn("a topic of the console could not be read", "topic", t.name, "error", err.Error())
		p.Error = "cannot be read now"
	} else {
		p.Now = now
	}
	data, err := json.Marshal(p)
	if err != nil {
		t.hub.o.Logger.Error("a topic of the console has no JSON form", "topic", t.name, "error", err.Error())
		return
	}
	if !bytes.Equal(data, t.data) {
		t.data = data
		t.tell(data)
	}
}

func (t *topic) tell(data []byte) {
	h := t.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seq++
	t.now = frame{h.seq, fmt.Appendf(nil, "id: %s-%d\nevent: %s\ndata: %s\n\n", h.epoch, h.seq, t.kind, data)}
	for w := range t.watchers {
		w.news()
	}
}

// end ends the producer and lets its watchers know; the hub's lock is held.
func (t *topic) end() {
	t.stop()
	for w := range t.watchers {
		w.news()
	}
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
