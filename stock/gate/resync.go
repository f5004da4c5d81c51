package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"penstock/internal/clock"
	"penstock/stock"
	"penstock/stock/driver"
)

// Source reads all sales and stock rows as of one moment. A stock.Stock is one.
type Source interface {
	Snapshot(ctx context.Context) (*driver.Snapshot, error)
}

// ResyncOptions tunes a [Resync]. The zero value works.
type ResyncOptions struct {
	Clock  clock.Clock
	Logger *slog.Logger
	// Every is the longest pause between two snapshots; 0 means 1 s. Up to a fifth is taken off at random, so that processes
	// started together do not read together.
	Every time.Duration
	// Observe takes the snapshot; nil means that of the gate. The application names its own where others follow commits too.
	Observe func(stock.Committed)
	// Index is read on after each snapshot; nil means none.
	Index *Index
}

// Resync reads the stock database again and again, so that a [Memory] sees what other processes committed. One snapshot is
// read at a time, however many ask for it.
type Resync struct {
	memory *Memory
	source Source
	opt    ResyncOptions

	one sync.Mutex // held while a snapshot is read
	// behind are rows (and sales, without a SKU) that the snapshot before had in an older version than memory, with memory's version
	// after it. Guarded by one.
	behind map[driver.StockRef]int64

	life sync.Mutex
	stop context.CancelFunc
	done chan struct{}
}

// NewResync returns a stopped Resync.
func NewResync(m *Memory, s Source, o ResyncOptions) *Resync {
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Every == 0 {
		o.Every = time.Second
	}
	if o.Observe == nil {
		o.Observe = m.Observe
	}
	return &Resync{memory: m, source: s, opt: o}
}

// Once reads one snapshot into the gate, then the journal into the index, and returns the snapshot. It is not nil when only the
// journal could not be read.
func (r *Resync) Once(ctx context.Context) (*driver.Snapshot, error) {
	r.one.Lock()
	defer r.one.Unlock()
	at := r.opt.Clock.Now()
	snap, err := r.source.Snapshot(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the stock database for the gate: %w", err)
	}
	r.memory.measured(snap.Now, at, r.opt.Clock.Now())
	r.opt.Observe(stock.Committed{Stock: snap.Stock, Sales: snap.Sales})
	r.memory.asOf.Store(at.UnixNano())
	r.older(snap)
	if r.opt.Index == nil {
		return snap, nil
	}
	if err = r.opt.Index.Follow(ctx, at, snap); err != nil {
		return snap, fmt.Errorf("read the journal for the gate: %w", err)
	}
	return snap, nil
}

// older takes over what is older in the database than memory was before the snapshot was begun: the database has lost commits (a
// failover, a restore). One snapshot proves nothing, it may have been begun before a commit that memory was told of; the next one
// must have that commit, whatever was committed since.
func (r *Resync) older(snap *driver.Snapshot) {
	behind := map[driver.StockRef]int64{}
	lost := func(ref driver.StockRef, memory, database int64) bool {
		if memory <= database {
			return false
		}
		if before, ok := r.behind[ref]; ok && database < before {
			return true
		}
		behind[ref] = memory
		return false
	}
	for i := range snap.Stock {
		row := &snap.Stock[i]
		ref := driver.StockRef{Sale: row.Sale, SKU: row.SKU}
		if have := r.memory.Level(ref.Sale, ref.SKU); have != nil && lost(ref, have.Version, row.Version) {
			r.opt.Logger.Error("the stock database has lost commits; the gate follows it", "sale", row.Sale, "sku", row.SKU)
			r.memory.replace(row, nil)
		}
	}
	for i := range snap.Sales {
		doc := &snap.Sales[i]
		if have := r.memory.Sale(doc.ID); have != nil && lost(driver.StockRef{Sale: doc.ID}, have.Version, doc.Version) {
			r.memory.replace(nil, doc)
		}
	}
	r.behind = behind
}

// Pause returns how long to wait after a call of Once that took so long: the calls begin at most Every and at least four fifths
// of it apart, unless the database needs longer; it is given half of the time to rest.
func (r *Resync) Pause(took time.Duration) time.Duration {
	return max(r.opt.Every-rand.N(r.opt.Every/5+1)-took, r.opt.Every/2)
}

// Start reads the first snapshot and goes on until Stop. The error is that of the first snapshot; later ones are logged, and
// the gate goes on with what it knows.
func (r *Resync) Start(ctx context.Context) error {
	r.life.Lock()
	defer r.life.Unlock()
	if r.stop != nil {
		return errors.New("gate: the resync was started already")
	}
	if _, err := r.Once(ctx); err != nil {
		return err
	}
	ctx, r.stop = context.WithCancel(context.WithoutCancel(ctx))
	r.done = make(chan struct{})
	go r.run(ctx, r.done)
	return nil
}

// Stop ends the reading. Idempotent; a stopped Resync stays stopped.
func (r *Resync) Stop(ctx context.Context) error {
	r.life.Lock()
	defer r.life.Unlock()
	if r.stop == nil {
		return nil
	}
	r.stop()
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Resync) run(ctx context.Context, done chan<- struct{}) {
	defer close(done)
	var took time.Duration
	for failing := false; ; {
		t := r.opt.Clock.NewTimer(r.Pause(took))
		select {
		case <-t.C():
		case <-ctx.Done():
			t.Stop()
			return
		}
		start := r.opt.Clock.Now()
		_, err := r.Once(ctx)
		took = r.opt.Clock.Now().Sub(start)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			r.opt.Logger.Error("the gate does not see other processes", "error", err.Error())
		case err == nil && failing:
			r.opt.Logger.Info("the gate sees other processes again")
		}
		failing = err != nil
	}
}
