package console

import (
	"context"
	"sync"

	"penstock/errs"
)

// Work is how far a piece of work is.
type Work struct {
	State string `json:"state"` // waiting, running, done or failed
	Rows  int64  `json:"rows"`
	Bytes int64  `json:"bytes"`
}

const maxWorks = 512 // remembered; the oldest go first

// Works remembers how far pieces of work are, by the id that whoever watches them chose. It is one process's memory.
type Works struct {
	mu    sync.Mutex
	by    map[string]Work
	order []string
}

// NewWorks returns an empty memory.
func NewWorks() *Works { return &Works{by: map[string]Work{}} }

// Set says how far a piece of work is.
func (w *Works) Set(id string, now Work) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.by[id]; !known {
		w.order = append(w.order, id)
		if len(w.order) > maxWorks {
			delete(w.by, w.order[0])
			w.order = w.order[1:]
		}
	}
	w.by[id] = now
}

// Get returns how far it is; "waiting" for what has not begun.
func (w *Works) Get(id string) Work {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now, known := w.by[id]; known {
		return now
	}
	return Work{State: "waiting"}
}

// Kind is the topic "work:<id>": a page may watch it before the work begins.
func (w *Works) Kind() Kind {
	return Kind{Open: func(_ context.Context, id string) (Source, func(), error) {
		if id == "" {
			return nil, nil, errs.New(errs.Invalid, "name the work: work:<id>")
		}
		return func(context.Context) (any, error) { return w.Get(id), nil }, nil, nil
	}}
}
