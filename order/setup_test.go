package order

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	bus "penstock/bus/driver"
	"penstock/errs"
	"penstock/internal/clock"
	"penstock/internal/ident"
	store "penstock/order/driver"
	"penstock/order/sqliteorder"
	"penstock/stock"
	"penstock/stock/driver"
)

// window is the payment window of the claims that tests make; a claim is due when it is over.
const window = 15 * time.Minute

// claims is a stock in memory: one compare-and-set per claim, and the messages that a bus would carry.
type claims struct {
	clk *clock.Fake
	gen *ident.Generator

	mu     sync.Mutex
	byID   map[ident.ID]*driver.Attempt
	sent   map[ident.ID]bool
	outbox []bus.Message
	fail   func(op string, id ident.ID) error
}

func newClaims(clk *clock.Fake) *claims {
	return &claims{clk: clk, gen: ident.NewGenerator(1, 0), byID: map[ident.ID]*driver.Attempt{}, sent: map[ident.ID]bool{}}
}

// win makes a held claim and its message.
func (c *claims) win(user string) *driver.Attempt {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clk.Now()
	a := &driver.Attempt{
		ID: c.gen.Next(now, ident.SlotOf(user)), Key: driver.Key{Sale: "s1", User: user, Key: "k" + strconv.Itoa(len(c.byID))}, At: now,
		Lines:  []driver.Line{{SKU: "phone", Quantity: 1, Price: 99900}, {SKU: "case-9", Quantity: 2, Price: 50}},
		Amount: 100000, Currency: "CNY", PayBefore: now.Add(window), ReleaseAt: now.Add(window), State: driver.Held,
		Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	}
	c.byID[a.ID] = a
	c.emit(stock.EventHeld, a)
	return clone(a)
}

func (c *claims) emit(kind string, a *driver.Attempt) {
	c.outbox = append(c.outbox, message(kind, clone(a), c.clk.Now()))
}

func message(kind string, a *driver.Attempt, at time.Time) bus.Message {
	payload, err := json.Marshal(stock.EventOf(a, at, a.Why))
	if err != nil {
		panic(err)
	}
	return bus.Message{
		ID: kind + a.ID.String(), Topic: stock.Topic, User: a.Key.User, Key: a.ID.String(), Type: kind, Payload: payload, At: at,
		Headers: map[string]string{"traceparent": a.Trace},
	}
}

// messages returns what was sent so far.
func (c *claims) messages() []bus.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.outbox)
}

func (c *claims) sell(id ident.ID) (stock.MoveResult, error) {
	return c.move("sell", id, driver.Held, driver.Sold, "")
}

func (c *claims) Release(_ context.Context, id ident.ID, from driver.ClaimState, why, _ string) (stock.MoveResult, error) {
	return c.move("release", id, from, driver.Released, why)
}

func (c *claims) move(op string, id ident.ID, from, to driver.ClaimState, why string) (stock.MoveResult, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		if err := c.fail(op, id); err != nil {
			return stock.MoveResult{}, err
		}
	}
	a := c.byID[id]
	if a == nil {
		return stock.MoveResult{}, errs.New(errs.NotFound, "there is no claim %s", id)
	}
	if a.State == from {
		a.State, a.Why = to, why
		kind := stock.EventSold
		if to == driver.Released {
			kind = stock.EventReleased
		}
		c.emit(kind, a)
	}
	return stock.MoveResult{Claim: clone(a), Moved: a.State == to && a.Why == why}, nil
}

func (c *claims) Claim(_ context.Context, id ident.ID) (*driver.Attempt, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return clone(c.byID[id]), nil
}

func (c *claims) Unsent(_ context.Context, user string) ([]*driver.Attempt, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []*driver.Attempt
	for id, a := range c.byID {
		if a.Key.User == user && !c.sent[id] {
			out = append(out, clone(a))
		}
	}
	slices.SortFunc(out, func(a, b *driver.Attempt) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

func (c *claims) Due(_ context.Context, now time.Time, limit int) ([]ident.ID, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var due []ident.ID
	for id, a := range c.byID {
		if a.State == driver.Held && !a.ReleaseAt.After(now) {
			due = append(due, id)
		}
	}
	slices.Sort(due)
	return due[:min(limit, len(due))], nil
}

// acknowledge says that the bus has delivered the claim's messages.
func (c *claims) acknowledge(ids ...ident.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		c.sent[id] = true
	}
}

func clone(a *driver.Attempt) *driver.Attempt {
	if a == nil {
		return nil
	}
	b := *a
	return &b
}

type bundle struct {
	*Orders
	t      testing.TB
	clk    *clock.Fake
	claims *claims
	dir    string
	files  *sqliteorder.Store
}

// setupFunc returns orders on empty shards with a fake clock and claims in memory.
type setupFunc func(t testing.TB, opt Options) *bundle

// setup is the setupFunc of SQLite.
func setup(t testing.TB, opt Options) *bundle {
	t.Helper()
	b := newBundle(t)
	b.dir = t.TempDir()
	b.open(opt)
	return b
}

func newBundle(t testing.TB) *bundle {
	clk := clock.NewFake(time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC))
	return &bundle{t: t, clk: clk, claims: newClaims(clk)}
}

// open opens the files and runs orders on them.
func (b *bundle) open(opt Options) {
	b.t.Helper()
	files, err := sqliteorder.Open(context.Background(), b.dir, sqliteorder.Options{})
	if err != nil {
		b.t.Fatal(err)
	}
	b.files = files
	b.t.Cleanup(func() {
		if err := files.Close(); err != nil {
			b.t.Error(err)
		}
	})
	b.on(files, opt)
}

// on runs orders on a store, which the caller closes later than the test ends.
func (b *bundle) on(s store.Store, opt Options) {
	b.t.Helper()
	opt.Clock = b.clk
	if opt.Patience == 0 {
		opt.Patience = time.Minute // a busy machine is no stuck database
	}
	orders, err := New(s, b.claims, opt)
	if err != nil {
		b.t.Fatal(err)
	}
	b.Orders = orders
	b.t.Cleanup(orders.Stop)
}

// handle delivers messages and fails the test at the first error.
func (b *bundle) handle(msgs ...bus.Message) {
	b.t.Helper()
	if err := errors.Join(b.Handle(context.Background(), msgs)...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bundle) get(id ident.ID) Order {
	b.t.Helper()
	o, err := b.Get(context.Background(), "", id)
	if err != nil {
		b.t.Fatal(err)
	}
	return o
}

// wellFormed checks what holds for every order: numbered events, legal steps, times that never go back.
func wellFormed(o Order) error {
	state, at := State(""), time.Time{}
	for i, e := range o.Events {
		if e.N != int64(i+1) || e.From != state || !Legal(e.From, e.To) || e.At.Before(at) {
			return fmt.Errorf("order %s: event %d is %+v after %q at %v", o.ID, i+1, e, state, at)
		}
		state, at = e.To, e.At
	}
	if o.State != state || o.Version != int64(len(o.Events)) || len(o.Events) == 0 {
		return fmt.Errorf("order %s is %s in version %d with %d events up to %q", o.ID, o.State, o.Version, len(o.Events), state)
	}
	return nil
}

// states lists the states that the order went through.
func states(o Order) []State {
	var s []State
	for _, e := range o.Events {
		s = append(s, e.To)
	}
	return s
}

func slotOf(user string) int { return ident.SlotOf(user) }

func (b *bundle) firstID() ident.ID {
	id, _ := ident.Parse(b.claims.messages()[0].Key)
	return id
}
