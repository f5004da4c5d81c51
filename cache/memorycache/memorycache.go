// Package memorycache keeps cache entries in the memory of one process, bounded by their size.
package memorycache

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"penstock/cache/driver"
	"penstock/internal/clock"
)

// Options tunes a Store. The zero value works.
type Options struct {
	// Bytes bounds keys and values together; 0 means 64 MiB. What is used least goes first.
	Bytes uint64
	Clock clock.Clock
}

// Store is a driver. Safe for concurrent use. It runs no goroutine of its own.
type Store struct {
	clock   clock.Clock
	entries *otter.Cache[string, entry]

	mu     sync.Mutex // orders Begin, Fill and Drop
	leases limited
	marks  limited
	epochs map[string]string
}

type entry struct {
	value []byte
	until time.Time
}

var _ driver.Driver = (*Store)(nil)

// overhead is what an entry costs beside its key and value, roughly.
const overhead = 128

// New returns an empty store.
func New(o Options) (*Store, error) {
	if o.Bytes == 0 {
		o.Bytes = 64 << 20
	}
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	entries, err := otter.New(&otter.Options[string, entry]{
		MaximumWeight: o.Bytes,
		Weigher:       func(k string, e entry) uint32 { return uint32(min(len(k)+len(e.value)+overhead, 1<<31)) },
	})
	if err != nil {
		return nil, fmt.Errorf("memory cache: %w", err)
	}
	return &Store{clock: o.Clock, entries: entries, leases: newLimited(), marks: newLimited(), epochs: map[string]string{}}, nil
}

// Get implements driver.Driver.
func (s *Store) Get(_ context.Context, key string) ([]byte, error) { return s.get(key), nil }

func (s *Store) get(key string) []byte {
	e, ok := s.entries.GetIfPresent(key)
	if !ok || !s.clock.Now().Before(e.until) {
		return nil
	}
	return e.value
}

// Begin implements driver.Driver.
func (s *Store) Begin(_ context.Context, key, token string, ttl time.Duration) (bool, []byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	if s.leases.get(key, now) != "" {
		return false, s.get(key), nil
	}
	s.leases.set(key, token, now, ttl)
	return true, s.get(key), nil
}

// Fill implements driver.Driver.
func (s *Store) Fill(_ context.Context, key, token string, value []byte, ttl time.Duration) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	if s.leases.get(key, now) != token {
		return false, nil
	}
	delete(s.leases.m, key)
	if value != nil {
		s.entries.Set(key, entry{value, now.Add(ttl)})
	}
	return true, nil
}

// Drop implements driver.Driver.
func (s *Store) Drop(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.leases.m, key)
	s.entries.Invalidate(key)
	return nil
}

// Mark implements driver.Driver.
func (s *Store) Mark(_ context.Context, space, id string, ttl time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marks.set(space+":"+id, "marked", s.clock.Now(), ttl)
	return nil
}

// Marked implements driver.Driver.
func (s *Store) Marked(_ context.Context, space, id string) (bool, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	epoch := s.epochs[space]
	if epoch == "" {
		epoch = rand.Text()
		s.epochs[space] = epoch
	}
	return s.marks.get(space+":"+id, s.clock.Now()) != "", epoch, nil
}

// Flush forgets everything, as a store does that lost its memory.
func (s *Store) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries.InvalidateAll()
	clear(s.leases.m)
	clear(s.marks.m)
	clear(s.epochs)
}

// Bytes returns the size of the entries, roughly.
func (s *Store) Bytes() uint64 {
	s.entries.CleanUp()
	return s.entries.WeightedSize()
}

// limited is a map whose entries end. Those that ended are swept whenever it has doubled since the last sweep.
type limited struct {
	m    map[string]limit
	next int // the length at which to sweep
}

type limit struct {
	value string
	until time.Time
}

func newLimited() limited { return limited{m: map[string]limit{}, next: 64} }

func (l *limited) get(key string, now time.Time) string {
	if e, ok := l.m[key]; ok && now.Before(e.until) {
		return e.value
	}
	return ""
}

func (l *limited) set(key, value string, now time.Time, ttl time.Duration) {
	l.m[key] = limit{value, now.Add(ttl)}
	if len(l.m) < l.next {
		return
	}
	for k, e := range l.m {
		if !now.Before(e.until) {
			delete(l.m, k)
		}
	}
	l.next = max(64, 2*len(l.m))
}
