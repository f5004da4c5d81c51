package drivertest

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"penstock/internal/ident"
	"penstock/order/driver"
	stock "penstock/stock/driver"
)

// Run runs the contract on an open, empty store. Orders of a test belong to users of its own, so that the store is shared.
func Run(t *testing.T, s driver.Store) {
	for _, c := range []struct {
		name string
		run  func(*suite)
	}{
		{"a new row is there once, with two events", (*suite).made},
		{"steps are applied in order, with events numbered on", (*suite).steps},
		{"a refused change leaves its row and costs nobody", (*suite).refusedChange},
		{"a row that fails is located and nothing is written", (*suite).badRow},
		{"a failed commit leaves nothing", (*suite).badCommit},
		{"a row that is missing without a seed is said to be", (*suite).missing},
		{"bytes come back as they went in", (*suite).bytes},
		{"an owner's list is his, newest first", (*suite).owned},
		{"newest ids, pages and events have everything once", (*suite).pages},
		{"finished orders are put once", (*suite).put},
		{"writers of the same orders at once have every effect once", (*suite).storm},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.run(&suite{t: t, ctx: t.Context(), s: s, gen: ident.NewGenerator(7, 0), user: t.Name()})
		})
	}
}

type suite struct {
	t    *testing.T
	ctx  context.Context
	s    driver.Store
	gen  *ident.Generator
	user string
}

// epoch is when the orders of the contract are decided.
var epoch = time.Date(2026, 11, 11, 0, 0, 0, 5, time.UTC)

// change is a new order of the user.
func (s *suite) change(user string) *driver.Change {
	id := s.gen.Next(time.Now(), ident.SlotOf(user))
	_, table := s.s.Map().Route(id.Slot())
	return &driver.Change{ID: id, Table: table, Exist: true, Written: epoch.UnixNano() + 100, Seed: &driver.Seed{
		User: user, Sale: "s1", Key: "k" + id.String(), Items: `[{"sku":"phone","quantity":2,"price":50}]`, Currency: "CNY", Trace: "00-trace",
		Amount: 100, Created: epoch.UnixNano(), PayBefore: epoch.Add(time.Minute).UnixNano(),
	}}
}

func (s *suite) db(c *driver.Change) driver.Database {
	db, _ := s.s.Map().Route(c.ID.Slot())
	return s.s.Database(db)
}

// want is the order that a change makes.
func (s *suite) want(c *driver.Change) driver.Order {
	db, table := s.s.Map().Route(c.ID.Slot())
	return driver.Order{
		ID: c.ID, User: c.Seed.User, Sale: c.Seed.Sale, Key: c.Seed.Key, Lines: []stock.Line{{SKU: "phone", Quantity: 2, Price: 50}},
		State: driver.PendingPayment, Amount: c.Seed.Amount, Currency: c.Seed.Currency, CreatedAt: epoch, PayBefore: epoch.Add(time.Minute),
		Version: 2, Trace: c.Seed.Trace, Shard: db, Table: table, Events: []driver.Event{
			{N: 1, At: epoch, To: driver.Accepted}, {N: 2, At: driver.Nanos(c.At()), From: driver.Accepted, To: driver.PendingPayment},
		},
	}
}

func (s *suite) write(b *driver.Batch) {
	s.t.Helper()
	if err := s.db(b.Changes[0]).Write(s.ctx, b); err != nil {
		s.t.Fatal(err)
	}
}

func (s *suite) expect(c *driver.Change, want *driver.Order) {
	s.t.Helper()
	got, err := s.db(c).Get(s.ctx, c.Table, c.ID)
	if d := cmp.Diff(want, got); d != "" || err != nil {
		s.t.Errorf("order %s: %v %s", c.ID, err, d)
	}
}

// to steps a change to a state.
func to(state driver.State, at int64, why string) func(int, driver.Current) (driver.Update, error) {
	return func(_ int, now driver.Current) (driver.Update, error) {
		return driver.Update{Refunded: now.Refunded, Steps: []driver.Step{{To: state, At: at, Why: why, Who: "op"}}}, nil
	}
}

func (s *suite) made() {
	c, other := s.change(s.user), s.change(s.user)
	want, wantOther := s.want(c), s.want(other)
	s.write(&driver.Batch{Changes: []*driver.Change{c, c, other}})
	s.expect(c, &want)
	again := *c
	again.Written += int64(time.Hour)
	third := s.change(s.user)
	s.write(&driver.Batch{Changes: []*driver.Change{&again, third}})
	if again.Made || !third.Made {
		s.t.Errorf("made again: %v, made beside it: %v", again.Made, third.Made)
	}
	s.expect(c, &want)
	s.expect(other, &wantOther)
}

func (s *suite) steps() {
	c := s.change(s.user)
	paid := *c
	paid.Exist = false
	at := c.At() + 7
	want := s.want(c)
	want.State, want.Version = driver.Paid, 3
	want.Events = append(want.Events, driver.Event{N: 3, At: driver.Nanos(at), From: driver.PendingPayment, To: driver.Paid, Why: "w", Who: "op"})
	s.write(&driver.Batch{Changes: []*driver.Change{c, &paid}, Next: to(driver.Paid, at, "w")}) // made and moved in one transaction
	s.expect(c, &want)
	bare := driver.Change{ID: c.ID, Table: c.Table}
	s.write(&driver.Batch{Changes: []*driver.Change{&bare, &bare}, Next: func(_ int, now driver.Current) (driver.Update, error) {
		if now.Amount != 100 || now.Changed < at {
			s.t.Errorf("the row is told to be %+v", now)
		}
		if now.State == driver.Paid { // the second finds what the first did
			return driver.Update{Refunded: 30, Steps: []driver.Step{{To: driver.Fulfilled, At: at + 1}}}, nil
		}
		return driver.Update{Refunded: now.Refunded + 30}, nil
	}})
	want.State, want.Version, want.Refunded = driver.Fulfilled, 4, 60
	want.Events = append(want.Events, driver.Event{N: 4, At: driver.Nanos(at + 1), From: driver.Paid, To: driver.Fulfilled})
	s.expect(c, &want)
}

func (s *suite) refusedChange() {
	a, b := s.change(s.user), s.change(s.user)
	s.write(&driver.Batch{Changes: []*driver.Change{a}})
	no := driver.Change{ID: a.ID, Table: a.Table}
	s.write(&driver.Batch{Changes: []*driver.Change{&no, b}, Next: func(int, driver.Current) (driver.Update, error) {
		return driver.Update{Refunded: 1, Steps: []driver.Step{{To: driver.Paid}}}, fmt.Errorf("no")
	}})
	wantA, wantB := s.want(a), s.want(b)
	s.expect(a, &wantA)
	s.expect(b, &wantB)
}

func (s *suite) missing() {
	c := s.change(s.user)
	bare := driver.Change{ID: c.ID, Table: c.Table}
	s.write(&driver.Batch{Changes: []*driver.Change{&bare}, Next: to(driver.Paid, 1, "")})
	if !bare.Missing || bare.Made {
		s.t.Errorf("missing %v, made %v", bare.Missing, bare.Made)
	}
	s.expect(c, nil)
}

func (s *suite) bytes() {
	for _, user := range []string{s.user + " ", s.user, s.user + "É", s.user + "é", s.user + "用户🎉", s.user + `'"\;--`, s.user + "\x00"} {
		c := s.change(user)
		c.Seed.Key, c.Seed.Sale, c.Seed.Trace = user, user, user
		want := s.want(c)
		s.write(&driver.Batch{Changes: []*driver.Change{c}})
		s.expect(c, &want)
		got, err := s.db(c).Owned(s.ctx, c.Table, user, math.MaxInt64, 10)
		if d := cmp.Diff([]driver.Order{want}, got); d != "" || err != nil {
			s.t.Errorf("list of %q: %v %s", user, err, d)
		}
	}
}
