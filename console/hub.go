package console

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"penstock/errs"
	"penstock/internal/clock"
)

// Source reads the present of a topic, as something that has a JSON form. It must return soon after ctx ends.
type Source func(ctx context.Context) (any, error)

// Kind is a kind of topics, such as "sale", whose topics are "sale:<id>".
type Kind struct {
	// Open begins to look at what arg names ("" for a kind that is one topic); close, if not nil, ends that when the last watcher
	// has gone. Errors refuse the watcher.
	Open func(ctx context.Context, arg string) (read Source, closed func(), err error)
	// Every is the least pause between two looks where one costs more than memory; 0 means that of the hub.
	Every time.Duration
}

// Options tune a Hub. The zero value works.
type Options struct {
	Clock  clock.Clock
	Logger *slog.Logger
	// Every is the least pause between two updates of a page; 0 means 250 ms.
	Every time.Duration
	// PerWatcher is what each watcher adds to it once that is more; 0 means 1 ms.
	PerWatcher time.Duration
	// Look bounds one look of a source; 0 means 2 s.
	Look time.Duration
}

// Limits of one stream and of all.
const (
	// MaxTopics is how many topics one page watches at most.
	MaxTopics = 16
	maxOpen   = 1024 // topics with a producer
	maxName   = 160
)

// Hub tells watchers the present of topics.
type Hub struct {
	kinds map[string]Kind
	o     Options
	epoch string

	mu       sync.RWMutex
	topics   map[string]*topic
	seq      uint64 // of the newest frame
	watchers int
	closed   bool
	running  sync.WaitGroup
}

// New returns a hub of the kinds.
func New(kinds map[string]Kind, o Options) *Hub {
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Every == 0 {
		o.Every = 250 * time.Millisecond
	}
	if o.PerWatcher == 0 {
		o.PerWatcher = time.Millisecond
	}
	if o.Look == 0 {
		o.Look = 2 * time.Second
	}
	return &Hub{kinds: kinds, o: o, epoch: strings.ToLower(rand.Text()[:8]), topics: map[string]*topic{}}
}

// pace is the pause between two updates of a page now.
func (h *Hub) pace() time.Duration {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return max(h.o.Every, time.Duration(h.watchers)*h.o.PerWatcher)
}

// Watchers is how many streams are open.
func (h *Hub) Watchers() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.watchers
}

// Watch begins to watch topics. last is the id of the newest event that the page has, "" for none: what is not newer is not told
// again. Errors carry invalid-request for a topic that does not exist, or what the kind says.
func (h *Hub) Watch(ctx context.Context, names []string, last string) (*Watch, error) {
	if len(names) == 0 || len(names) > MaxTopics {
		return nil, errs.New(errs.Invalid, "name 1 to %d topics, for example ?topic=sale:night&topic=orders", MaxTopics)
	}
	w := &Watch{hub: h, wake: make(chan struct{}, 1), seen: h.resumed(last)}
	for _, name := range names {
		t, err := h.join(ctx, name, w)
		if err != nil {
			w.leave()
			return nil, err
		}
		if t != nil {
			w.topics = append(w.topics, t)
		}
	}
	if !h.count(w) {
		w.leave()
		return nil, errs.New(errs.ReducedCapacity, "the server stops")
	}
	return w, nil
}

func (h *Hub) count(w *Watch) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.watchers++
	w.counted = true
	return true
}

// resumed reads the id of an event; that of another hub says nothing.
func (h *Hub) resumed(last string) uint64 {
	epoch, number, _ := strings.Cut(last, "-")
	n, err := strconv.ParseUint(number, 10, 64)
	h.mu.RLock()
	defer h.mu.RUnlock()
	if epoch != h.epoch || err != nil || n > h.seq {
		return 0
	}
	return n
}

// join adds a watcher to a topic, opening it for the first; nil when the watcher is there already. A kind may take its time to
// open: nobody else waits for it.
func (h *Hub) join(ctx context.Context, name string, w *Watch) (*topic, error) {
	if t, there := h.joined(name, w, nil); there {
		return t, nil
	}
	fresh, err := h.open(ctx, name)
	if err != nil {
		return nil, err
	}
	t, there := h.joined(name, w, fresh)
	if there && t != fresh && fresh.closed != nil { // another watcher was faster
		fresh.closed()
	}
	return t, nil
}

// joined adds the watcher to the topic if it is there, or begins fresh if it is not.
func (h *Hub) joined(name string, w *Watch, fresh *topic) (t *topic, there bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch t = h.topics[name]; {
	case t != nil && t.watchers[w]:
		return nil, true
	case t != nil:
	case fresh == nil:
		return nil, false
	default:
		t = fresh
		h.topics[name] = t
		h.running.Add(1)
		go t.run()
	}
	t.watchers[w] = true
	return t, true
}

func (h *Hub) open(ctx context.Context, name string) (*topic, error) {
	kind, arg, _ := strings.Cut(name, ":")
	k, known := h.kinds[kind]
	if !known || len(name) > maxName {
		return nil, errs.New(errs.Invalid, "there is no such topic; there are: %s", strings.Join(sorted(h.kinds), ", "))
	}
	if h.full() {
		return nil, errs.New(errs.ReducedCapacity, "too many topics are watched, or the server stops")
	}
	read, closed, err := k.Open(ctx, arg)
	if err != nil {
		return nil, err
	}
	t := &topic{hub: h, name: name, kind: kind, every: k.Every, read: read, closed: closed, watchers: map[*Watch]bool{}}
	t.life, t.stop = context.WithCancel(context.Background())
	return t, nil
}

func (h *Hub) full() bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.closed || len(h.topics) >= maxOpen
}

// Stop ends all producers and watches. Idempotent.
func (h *Hub) Stop() {
	h.end()
	h.running.Wait()
}

func (h *Hub) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for _, t := range h.topics {
		t.end()
	}
	h.topics = map[string]*topic{}
}
