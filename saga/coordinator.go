package saga

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"penstock/errs"
	"penstock/saga/participant"
)

// Coordinator brings transactions to their end. Several of them, in several processes, may share a store.
type Coordinator struct {
	store Store
	o     Options
	parts map[string]participant.Participant
	flows map[string]Flow

	mu      sync.Mutex
	waiters map[string][]chan struct{} // closed when this process ends or stops working on the transaction
	working map[string]bool
	quit    context.Context
	stop    context.CancelFunc
	spare   chan struct{} // one per worker
	all     sync.WaitGroup
	once    sync.Once

	pruning sync.Mutex
	pruned  map[State]int64 // how far the present round of [Coordinator.Prune] has come
}

// New returns a coordinator over a store that the caller closes after Stop. Participants and flows are found by name; every
// process that shares the store needs those of the transactions it may take up.
func New(store Store, participants map[string]participant.Participant, flows []Flow, o Options) (*Coordinator, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	c := &Coordinator{store: store, o: o.withDefaults(), parts: maps.Clone(participants), flows: map[string]Flow{},
		waiters: map[string][]chan struct{}{}, working: map[string]bool{}, pruned: map[State]int64{}}
	if c.parts == nil {
		c.parts = map[string]participant.Participant{}
	}
	for name := range c.parts {
		if !validID(name) {
			return nil, fmt.Errorf("%q is no name for a participant: 1 to 64 of A–Z a–z 0–9 _ -", name)
		}
	}
	for _, f := range flows {
		if err := c.define(f); err != nil {
			return nil, err
		}
	}
	c.quit, c.stop = context.WithCancel(context.Background())
	c.spare = make(chan struct{}, c.o.Workers)
	return c, nil
}

// Names returns the names of the participants, sorted.
func (c *Coordinator) Names() []string { return slices.Sorted(maps.Keys(c.parts)) }

// Start begins to take up transactions that wait, those of dead processes included.
func (c *Coordinator) Start(context.Context) error {
	c.all.Go(func() { c.every(c.o.ScanEvery, c.scan) })
	c.all.Go(func() {
		c.every(10*c.o.ScanEvery, func(ctx context.Context) error {
			n, err := c.Count(ctx)
			if err == nil {
				c.o.Counted(n)
			}
			return err
		})
	})
	return nil
}

// Stop lets running calls end, bounded by Options.CallTimeout, and gives up what is left to others. Idempotent.
func (c *Coordinator) Stop() {
	c.once.Do(func() {
		c.mu.Lock() // so that nobody is added to those waited for
		c.stop()
		c.mu.Unlock()
		c.all.Wait()
	})
}

// every runs f, then again after each pause, until the coordinator stops.
func (c *Coordinator) every(pause time.Duration, f func(context.Context) error) {
	for {
		if err := f(c.quit); err != nil && c.quit.Err() == nil {
			c.o.Logger.Warn("transactions", "error", err.Error())
		}
		timer := c.o.Clock.NewTimer(pause)
		select {
		case <-timer.C():
		case <-c.quit.Done():
			timer.Stop()
			return
		}
	}
}

// scan takes up what is due.
func (c *Coordinator) scan(ctx context.Context) error {
	due, err := query(ctx, c.store, `next_at <= ? ORDER BY next_at LIMIT ?`, c.o.Clock.Now().UnixMilli(), 4*c.o.Workers)
	if err != nil {
		return err
	}
	for _, t := range due {
		select {
		case c.spare <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		c.work(t, func() { <-c.spare })
	}
	return nil
}

// work claims the transaction and drives it, in a goroutine of its own, unless this process does so already.
func (c *Coordinator) work(t *Transaction, done func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.working[t.ID] || c.quit.Err() != nil {
		done()
		return
	}
	c.working[t.ID] = true
	c.all.Go(func() {
		defer done()
		defer c.leave(t.ID)
		if err := c.take(t); err != nil {
			if !errors.Is(err, errOvertaken) {
				c.o.Logger.Warn("a transaction waits", "transaction", t.ID, "error", err.Error())
			}
			return
		}
		c.drive(t)
	})
}

// take claims what was read.
func (c *Coordinator) take(t *Transaction) error {
	err := claim(c.quit, c.store, t.ID, t.Version, c.o.Clock.Now().Add(c.o.lease()))
	t.Version++
	return err
}

func (c *Coordinator) leave(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.working, id)
	for _, w := range c.waiters[id] {
		close(w)
	}
	delete(c.waiters, id)
}

// Count returns how many transactions are in each state.
func (c *Coordinator) Count(ctx context.Context) (map[State]int64, error) {
	all := map[State]int64{}
	for _, s := range States() {
		all[s] = 0
	}
	rows, err := c.store.Query(ctx, `SELECT state, count(*) FROM transactions GROUP BY state`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s State
		var n int64
		if err := rows.Scan(&s, &n); err != nil {
			return nil, err
		}
		all[s] = n
	}
	return all, rows.Err()
}

// InFlight counts the transactions that go on by themselves; what waits for a person is not among them.
func (c *Coordinator) InFlight(ctx context.Context) (n int64, err error) {
	err = c.store.Scan(ctx, `SELECT count(*) FROM transactions WHERE next_at IS NOT NULL`, nil, &n)
	return n, err
}

// Get returns a transaction with its timeline; errs.NotFound if there is none.
func (c *Coordinator) Get(ctx context.Context, id string) (*Transaction, []Step, error) {
	t, _, err := load(ctx, c.store, id)
	if err != nil {
		return nil, nil, err
	}
	rows, err := c.store.Query(ctx, `SELECT n, at, what, branch, who, detail FROM transaction_steps WHERE tx=? AND n<=? ORDER BY n`, id, t.Steps)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	var steps []Step
	for rows.Next() {
		var s Step
		var at int64
		if err := rows.Scan(&s.N, &at, &s.What, &s.Branch, &s.Who, &s.Detail); err != nil {
			return nil, nil, err
		}
		s.At = time.UnixMilli(at).UTC()
		steps = append(steps, s)
	}
	return t, steps, rows.Err()
}

// List returns up to limit transactions in a state ("" means any), newest first, with Seq below before (0: from the newest).
func (c *Coordinator) List(ctx context.Context, s State, before int64, limit int) ([]*Transaction, error) {
	where, args := `seq > 0`, []any{}
	if s != "" {
		if !slices.Contains(States(), s) {
			return nil, errs.New(errs.Invalid, "there is no state %q; the states are %v", s, States())
		}
		where, args = `state = ?`, []any{s}
	}
	if before > 0 {
		where, args = where+` AND seq < ?`, append(args, before)
	}
	return query(ctx, c.store, where+` ORDER BY seq DESC LIMIT ?`, append(args, limit)...)
}
