package mysqlstock_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"penstock/errs"
	"penstock/internal/ident"
	"penstock/stock/driver"
	"penstock/stock/mysqlstock"
)

// What another process commits between the reads of a decision and its writes is noticed, and the decision is made again by
// it: for an allowance that is new or known, a key, the last units, and a sale. The changes tell the stock row as it is.
func lateDecisionsAreAsserted(t *testing.T, e *env) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		before []win // decided first
		amid   win   // decided by the other process between the reads and the writes of the one under test
		pause  bool  // the other process pauses the sale instead
		again  bool  // the decision must be made again
		see    func(st *driver.State) bool
	}{
		{"a stranger's win", nil, win{"v", "1", 3}, false, false, nil},
		{"a new allowance", nil, win{"u", "1", 1}, false, true, func(st *driver.State) bool { return st.Taken[0] == 1 }},
		{"a known allowance", []win{{"u", "0", 1}}, win{"u", "1", 1}, false, true, func(st *driver.State) bool { return st.Taken[0] == 2 }},
		{"the same key", nil, win{"u", "k", 1}, false, true, func(st *driver.State) bool { return st.Known[0] != nil }},
		{"the last units", nil, win{"v", "1", 1000}, false, true, func(st *driver.State) bool { return st.Stock[0].Available == 0 }},
		{"a pause", nil, win{}, true, true, func(st *driver.State) bool { return st.Sales[0].Paused }},
	} {
		url := e.server.Database(t)
		own, other := e.open(t, url, slow()), e.open(t, url, slow())
		l := &late{t: t, name: c.name, ids: ident.NewGenerator(9, 0)}
		l.makeSale(own)
		for _, w := range c.before {
			l.win(own, w, nil)
		}
		calls := 0
		row := l.win(own, win{"u", "k", 1}, func(st *driver.State) bool {
			calls++
			switch {
			case calls > 1:
				if !c.again || !c.see(st) {
					t.Errorf("%s: the decision is made again by %+v of %+v", c.name, st.Taken, st.Stock[0])
				}
				return false
			case c.pause:
				l.pause(other)
			default:
				l.win(other, c.amid, nil)
			}
			return true
		})
		if c.again != (calls > 1) {
			t.Errorf("%s: the decision was made %d times", c.name, calls)
		}
		snap, err := own.Snapshot(t.Context())
		if err != nil || row != nil && *row != snap.Stock[0] {
			t.Errorf("%s: told the row %+v, it is %+v, %v", c.name, row, snap.Stock[0], err)
		}
	}
}

// win is one attempt that takes units.
type win struct {
	user, key string
	units     int64
}

type late struct {
	t    *testing.T
	name string
	ids  *ident.Generator
}

func (l *late) decide(d *mysqlstock.DB, r *driver.Reads, f func(*driver.State) *driver.Changes) {
	ctx, cancel := context.WithTimeout(l.t.Context(), 4*time.Second) // less than the wait for a lock
	defer cancel()
	if err := d.Decide(ctx, r, f); err != nil {
		l.t.Errorf("%s: %v", l.name, err)
	}
}

func (l *late) makeSale(d *mysqlstock.DB) {
	sale := driver.Sale{ID: "s", Version: 1, Items: []driver.SaleItem{{SKU: "a"}}}
	row := driver.Stock{Sale: "s", SKU: "a", Offered: 1000, Available: 1000, Version: 1}
	l.decide(d, &driver.Reads{Sales: []string{"s"}}, func(*driver.State) *driver.Changes {
		return &driver.Changes{Sales: []driver.Sale{sale}, Stock: []driver.Stock{row}}
	})
}

func (l *late) pause(d *mysqlstock.DB) {
	l.decide(d, &driver.Reads{Sales: []string{"s"}}, func(st *driver.State) *driver.Changes {
		s := *st.Sales[0]
		s.Paused, s.Version = true, s.Version+1
		return &driver.Changes{Sales: []driver.Sale{s}}
	})
}

// win binds an attempt if goOn, which may be nil, says so, else nothing. It returns the stock row as the changes tell it after
// the commit.
func (l *late) win(d *mysqlstock.DB, w win, goOn func(*driver.State) bool) *driver.Stock {
	key := driver.Key{Sale: "s", User: w.user, Key: w.key}
	r := &driver.Reads{
		Keys: []driver.Key{key}, Sales: []string{"s"}, Stock: []driver.StockRef{{Sale: "s", SKU: "a"}},
		Taken: []driver.TakenRef{{Sale: "s", SKU: "a", User: w.user}},
	}
	var told *driver.Changes
	l.decide(d, r, func(st *driver.State) *driver.Changes {
		told = nil
		if goOn != nil && !goOn(st) {
			return nil
		}
		row := *st.Stock[0]
		row.Available, row.Held, row.Version = row.Available-w.units, row.Held+w.units, row.Version+1
		told = &driver.Changes{Stock: []driver.Stock{row}, Attempts: []*driver.Attempt{{
			ID: l.ids.Next(time.Now(), 1), Key: key, At: st.Now, State: driver.Held, Lines: []driver.Line{{SKU: "a", Quantity: w.units}},
			PayBefore: st.Now, ReleaseAt: st.Now,
		}}}
		return told
	})
	if told == nil {
		return nil
	}
	return &told.Stock[0]
}

// A batch that holds a no is decided under the locks: the no is true at the moment it is made.
func refusalsAreLocked(t *testing.T, e *env) {
	t.Parallel()
	url := e.server.Database(t)
	p := e.process(t, url, mysqlstock.Options{})
	p.sell(t, 1000, 1)
	for i := range 3 {
		if a := p.buy("u", fmt.Sprint(i)); (i == 0) != (a.Reason == "") || i > 0 && a.Reason != errs.LimitReached {
			t.Errorf("attempt %d: %+v", i, a)
		}
	}
	d := e.open(t, url, slow())
	late := 0
	r := &driver.Reads{Keys: []driver.Key{{Sale: "s", User: "v", Key: "k"}}, Stock: []driver.StockRef{{Sale: "s", SKU: "a"}}}
	if err := d.Decide(t.Context(), r, func(*driver.State) *driver.Changes { late++; return nil }); err != nil || late != 2 {
		t.Errorf("a no was decided %d times, %v, want once without and once with the locks", late, err)
	}
	late = 0
	if err := d.Decide(t.Context(), r, func(*driver.State) *driver.Changes { late++; return nil }); err != nil || late != 1 {
		t.Errorf("the next no was decided %d times, %v, want once", late, err)
	}
}
