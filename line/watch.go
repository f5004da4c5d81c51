package line

import (
	"context"
	"sync"
	"time"
)

// watch wakes those who want to know of changes. However many changes there are, who looks once a second sees the last.
type watch struct {
	mu sync.Mutex
	c  chan struct{}
}

// next is closed at the next change.
func (w *watch) next() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.c == nil {
		w.c = make(chan struct{})
	}
	return w.c
}

func (w *watch) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.c != nil {
		close(w.c)
		w.c = nil
	}
}

// Changed returns a channel that is closed when something in the entry's line has changed; nil, which blocks for ever, when there is
// no such line.
func (l *Lines) Changed(id ID) <-chan struct{} {
	b := l.of(id)
	if b == nil {
		return nil
	}
	return b.waiters.next()
}

// Seen notes that the user of an entry is there; see Look. It reads nothing.
func (l *Lines) Seen(_ context.Context, saleID, user string, id ID) error {
	_, _, err := l.seen(saleID, user, id)
	return err
}

// present says whether the user of an entry was seen lately, here or by another process. mu is held.
func (e *entry) present(now time.Time, away time.Duration) bool {
	return now.UnixMilli()-e.seen < away.Milliseconds()
}
