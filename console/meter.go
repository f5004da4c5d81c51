package console

import (
	"maps"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"penstock/errs"
)

// Meter counts the answers to attempts of the sales that are watched.
type Meter struct {
	now   func() time.Time
	codes map[errs.Code]int // index of each code in counts.codes; read only
	names []errs.Code

	mu    sync.Mutex
	sales atomic.Pointer[map[string]*counts] // nil while none is watched
}

// counts are of one sale, since its watch began.
type counts struct {
	watches int // under the meter's lock
	won     atomic.Int64
	codes   []atomic.Int64
	took    [buckets]atomic.Int64
}

// NewMeter returns a meter. now is a monotonic clock.
func NewMeter(now func() time.Time) *Meter {
	m := &Meter{now: now, codes: map[errs.Code]int{}}
	for _, c := range errs.Codes() {
		m.codes[c] = len(m.names)
		m.names = append(m.names, c)
	}
	return m
}

// Count counts one answer; code is "" for a win. It allocates nothing and blocks nobody.
func (m *Meter) Count(sale string, code errs.Code, took time.Duration) {
	all := m.sales.Load()
	if all == nil {
		return
	}
	c := (*all)[sale]
	if c == nil {
		return
	}
	if i, known := m.codes[code]; known {
		c.codes[i].Add(1)
	} else {
		c.won.Add(1)
	}
	c.took[bucket(took)].Add(1)
}

// Watch begins to count a sale; stop ends it. Watches of the same sale share their counts.
func (m *Meter) Watch(sale string) (read func() Answers, stop func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[string]*counts{}
	if old := m.sales.Load(); old != nil {
		all = maps.Clone(*old)
	}
	c := all[sale]
	if c == nil {
		c = &counts{codes: make([]atomic.Int64, len(m.names))}
		all[sale] = c
		m.sales.Store(&all)
	}
	c.watches++
	w := &window{m: m, c: c}
	w.keep(m.now(), c.snapshot())
	return w.read, sync.OnceFunc(func() { m.unwatch(sale, c) })
}

func (m *Meter) unwatch(sale string, c *counts) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.watches--; c.watches > 0 {
		return
	}
	all := maps.Clone(*m.sales.Load())
	delete(all, sale)
	if len(all) == 0 {
		m.sales.Store(nil)
		return
	}
	m.sales.Store(&all)
}

// Latencies are counted in four buckets for each power of two of microseconds: what is told of them is right within a fifth.
const (
	perOctave = 4
	buckets   = perOctave * 28 // up to two minutes
)

func bucket(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 0))
	if us < perOctave {
		return int(us)
	}
	octave := bits.Len64(us) - 1 // at least 2
	return min((octave-1)*perOctave+int(us>>(octave-2)&(perOctave-1)), buckets-1)
}

// upTo is the upper end of a bucket.
func upTo(i int) time.Duration {
	if i < perOctave {
		return time.Duration(i+1) * time.Microsecond
	}
	octave := i/perOctave + 1
	return time.Duration((i%perOctave+perOctave+1)<<(octave-2)) * time.Microsecond
}
