package console

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"
)

// ErrEnded says that the hub has stopped.
var ErrEnded = errors.New("the console's live data has ended")

// Watch is one page's view of its topics. It belongs to one goroutine.
type Watch struct {
	hub     *Hub
	wake    chan struct{}
	topics  []*topic
	seen    uint64 // frames up to here were told, or are older than what the page has
	last    time.Time
	frames  []frame
	texts   [][]byte
	counted bool
}

// news never blocks: one pending wake is enough, since frames are not queued.
func (w *Watch) news() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Next waits for what is new and returns it, encoded as events in order of their ids; the bytes are shared and must not be
// changed. It keeps the pace, and returns nothing after a time of quiet. The error is ErrEnded or that of ctx.
func (w *Watch) Next(ctx context.Context, quiet time.Duration) ([][]byte, error) {
	c := w.hub.o.Clock
	end := c.NewTimer(quiet)
	defer end.Stop()
	for {
		if news, err := w.pending(); err != nil {
			return nil, err
		} else if news {
			break
		}
		select {
		case <-w.wake:
		case <-end.C():
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if wait := w.hub.pace() - c.Now().Sub(w.last); !w.last.IsZero() && wait > 0 {
		t := c.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C():
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	w.last = c.Now()
	return w.take(), nil
}

func (w *Watch) pending() (bool, error) {
	w.hub.mu.RLock()
	defer w.hub.mu.RUnlock()
	if w.hub.closed {
		return false, ErrEnded
	}
	return slices.ContainsFunc(w.topics, func(t *topic) bool { return t.now.seq > w.seen }), nil
}

// take returns the newest frame of each topic that has one. All are of one moment: an id never stands for less than its page has.
func (w *Watch) take() [][]byte {
	w.hub.mu.RLock()
	w.frames = w.frames[:0]
	for _, t := range w.topics {
		if t.now.seq > w.seen {
			w.frames = append(w.frames, t.now)
		}
	}
	w.hub.mu.RUnlock()
	slices.SortFunc(w.frames, func(a, b frame) int { return cmp.Compare(a.seq, b.seq) })
	w.texts = w.texts[:0]
	for _, f := range w.frames {
		w.seen = f.seq
		w.texts = append(w.texts, f.text)
	}
	return w.texts
}

// Close ends the watch; the last watcher of a topic takes its producer with it. Idempotent.
func (w *Watch) Close() { w.leave() }

func (w *Watch) leave() {
	h := w.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range w.topics {
		delete(t.watchers, w)
		if len(t.watchers) == 0 && h.topics[t.name] == t {
			delete(h.topics, t.name)
			t.stop()
		}
	}
	w.topics = nil
	if w.counted {
		w.counted = false
		h.watchers--
	}
}
