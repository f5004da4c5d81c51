package cache

import (
	"context"
	"iter"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/bits-and-blooms/bloom/v3"

	"penstock/internal/clock"
)

// filter turns away ids that the origin does not have, by a Bloom filter of all ids that was read from the origin a while ago,
// and marks in the store of those that came into being since. Whatever is in doubt passes.
type filter struct {
	store *store
	space string
	ids   func(context.Context) iter.Seq2[string, error]
	o     filterOptions

	live    atomic.Pointer[generation]
	rebuild chan struct{}
	size    uint
}

type filterOptions struct {
	age            time.Duration
	falsePositives float64
	clock          clock.Clock
}

// generation is one reading of all ids. It is never changed.
type generation struct {
	bits  *bloom.BloomFilter
	began time.Time
	epoch string // of the marks, before the reading began
}

func newFilter(s *store, space string, ids func(context.Context) iter.Seq2[string, error], o filterOptions) *filter {
	return &filter{store: s, space: space, ids: ids, o: o, rebuild: make(chan struct{}, 1), size: 1 << 10}
}

// current returns the generation that may be believed, or nil.
func (f *filter) current() *generation {
	g := f.live.Load()
	if g == nil || f.o.clock.Now().Sub(g.began) >= f.o.age {
		return nil
	}
	return g
}

// mayHave returns false only if the id was not there at the last reading and is not marked since.
func (f *filter) mayHave(ctx context.Context, id string) bool {
	g := f.current()
	if g == nil || g.bits.TestString(id) {
		return true
	}
	marked, epoch, err := f.marked(ctx, id)
	if err != nil || marked {
		return true
	}
	if epoch != g.epoch { // the store forgot its marks
		f.live.CompareAndSwap(g, nil)
		select {
		case f.rebuild <- struct{}{}:
		default:
		}
		return true
	}
	return false
}

func (f *filter) marked(ctx context.Context, id string) (marked bool, epoch string, err error) {
	err = f.store.call(ctx, func(ctx context.Context) error {
		marked, epoch, err = f.store.driver.Marked(ctx, f.space, id)
		return err
	})
	return marked, epoch, err
}

// mark is called before the id is made, and lasts until every filter that is believed has been read after that.
func (f *filter) mark(ctx context.Context, id string) error {
	bounded, cancel := context.WithTimeout(ctx, f.store.timeout)
	defer cancel()
	return f.store.driver.Mark(bounded, f.space, id, 2*f.o.age)
}

// tend reads all ids at once, then twice in the time that a filter is believed, and when marks were forgotten.
func (f *filter) tend(ctx context.Context) {
	for ctx.Err() == nil {
		pause := f.o.age/2 - rand.N(f.o.age/8+1)
		if f.read(ctx) != nil {
			pause = min(time.Second, pause)
		}
		timer := f.o.clock.NewTimer(pause)
		select {
		case <-timer.C():
		case <-f.rebuild:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// read makes a generation. If there are more ids than it was made for, it is made again, once, for twice as many.
func (f *filter) read(ctx context.Context) error {
	began := f.o.clock.Now()
	_, epoch, err := f.marked(ctx, "any")
	if err != nil {
		return err
	}
	for {
		bits, n := bloom.NewWithEstimates(f.size, f.o.falsePositives), uint(0)
		for id, err := range f.ids(ctx) {
			if err != nil {
				return err
			}
			bits.AddString(id)
			n++
		}
		if n <= f.size {
			f.live.Store(&generation{bits, began, epoch})
			return nil
		}
		f.size = 2 * n
	}
}
