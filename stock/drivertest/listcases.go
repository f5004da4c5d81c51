package drivertest

import (
	"errors"
	"testing"
	"time"

	"penstock/errs"
	"penstock/stock/driver"
)

// failOnce makes the next hit of a fault point lose the reply to a commit.
func (s *shop) failOnce(point string) {
	s.faults.Set(point, losing(1))
}

// enter writes entries into the lists of a sale's rows, and returns them with their numbers.
func (d *db) enter(sale string, wishes ...driver.Waiter) []driver.Waiter {
	d.Helper()
	var r driver.Reads
	rows := map[string]int64{}
	for i := range wishes {
		w := &wishes[i]
		w.Key.Sale, w.At, w.State = sale, d.clk.Now(), driver.Waiting
		if rows[w.SKU]++; rows[w.SKU] == 1 {
			r.Stock = append(r.Stock, driver.StockRef{Sale: sale, SKU: w.SKU})
		}
	}
	d.mustDecide(&r, func(st *driver.State) *driver.Changes {
		ch := &driver.Changes{}
		for i := range st.Stock {
			l := *st.Stock[i]
			l.Version, l.Waiting = l.Version+1, l.Waiting+rows[l.SKU]
			ch.Stock = append(ch.Stock, l)
		}
		for i := range wishes {
			ch.Waiters = append(ch.Waiters, &wishes[i])
		}
		return ch
	})
	return wishes
}

// settling makes the changes that settle entries of one list.
func settling(row driver.Stock, settled ...driver.Settle) *driver.Changes {
	row.Version, row.Waiting = row.Version+1, row.Waiting-int64(len(settled))
	for i := range settled {
		settled[i].List = driver.StockRef{Sale: row.Sale, SKU: row.SKU}
	}
	return &driver.Changes{Stock: []driver.Stock{row}, Settled: settled}
}

func wish(user, key, sku string, n int64) driver.Waiter {
	return driver.Waiter{Key: driver.Key{User: user, Key: key}, SKU: sku, Quantity: n}
}

// walk reads a whole list inside a decision.
func (d *db) walk(list driver.StockRef, behind uint64, most int64) (seqs []uint64, taken []int64) {
	d.Helper()
	d.peek(&driver.Reads{Stock: []driver.StockRef{list}}, func(st *driver.State) {
		for page := st.Next(list, behind, most); len(page) > 0; page = st.Next(list, behind, most) {
			for _, w := range page {
				if w.SKU != list.SKU || w.Key.Sale != list.Sale || w.Key.User == "" || w.Quantity > most || w.State != driver.Waiting {
					d.Errorf("a walk of %v up to %d finds %+v", list, most, w)
				}
				seqs, taken, behind = append(seqs, w.Seq), append(taken, w.Taken), w.Seq
			}
		}
	})
	return seqs, taken
}

// A walk finds who waits for this SKU of this sale, in the order of the numbers, each wish that the units serve, with the
// user's allowance; entries that are settled are gone from it and from the places of those behind them.
func listIsWalkedInOrder(t testing.TB, h Harness) {
	d := newDB(t, h)
	d.sale("s", map[string]int64{"a": 5, "b": 5})
	d.sale("r", map[string]int64{"a": 5})
	d.win(driver.Key{Sale: "s", User: "u2", Key: "k"}, line("a", 2))
	a := driver.StockRef{Sale: "s", SKU: "a"}
	es := d.enter("s", wish("u1", "1", "a", 1), wish("u2", "1", "a", 3), wish("u1", "2", "b", 1), wish("u3", "1", "a", 1), wish("U1", "1", "a", 2))
	d.enter("r", wish("u1", "1", "a", 1))
	all, taken := d.walk(a, 0, 9)
	same(t, "the list", all, []uint64{es[0].Seq, es[1].Seq, es[3].Seq, es[4].Seq})
	same(t, "the allowances", taken, []int64{0, 2, 0, 0})
	small, _ := d.walk(a, 0, 1)
	same(t, "wishes of one", small, []uint64{es[0].Seq, es[3].Seq})
	rest, _ := d.walk(a, es[0].Seq, 2)
	same(t, "behind the first", rest, []uint64{es[3].Seq, es[4].Seq})
	d.mustDecide(&driver.Reads{Stock: []driver.StockRef{a}}, func(st *driver.State) *driver.Changes {
		return settling(*st.Stock[0], driver.Settle{Seq: es[1].Seq, To: driver.Left, Why: "left"})
	})
	all, _ = d.walk(a, 0, 9)
	same(t, "after one has left", all, []uint64{es[0].Seq, es[3].Seq, es[4].Seq})
	for i, ahead := range map[int]int64{0: 0, 1: 0, 2: 0, 3: 1, 4: 2} {
		if p := d.waiter(es[i].Seq); p.Ahead != ahead || p.W == nil || p.W.Key != es[i].Key {
			t.Errorf("entry %d is %+v with %d before it, want %d", i, p.W, p.Ahead, ahead)
		}
	}
	if p := d.waiter(1 << 40); p.W != nil {
		t.Errorf("there is an entry that never was: %+v", p.W)
	}
	asks := []driver.JoinRef{
		{Key: es[0].Key, SKU: "b"}, {Key: driver.Key{Sale: "s", User: "u2", Key: "x"}, SKU: "a"}, {Key: es[1].Key, SKU: "a"},
		{Key: driver.Key{Sale: "s", User: "u9", Key: "1"}, SKU: "a"},
	}
	d.peek(&driver.Reads{Joins: asks, Stock: []driver.StockRef{a}, Waiters: []uint64{es[4].Seq, 1 << 40}}, func(st *driver.State) {
		same(t, "what u1's key made", st.Joins[0].Known, &es[0])
		same(t, "u1 waits for b", st.Joins[0].Live, &es[2])
		if st.Joins[1].Known != nil || st.Joins[1].Live != nil || st.Joins[3].Known != nil || st.Joins[3].Live != nil {
			t.Errorf("who has left, or never was, has %+v and %+v", st.Joins[1], st.Joins[3])
		}
		if j := st.Joins[2]; j.Known == nil || j.Known.State != driver.Left || j.Live != nil {
			t.Errorf("the key of who has left: %+v", j)
		}
		if st.Waiters[1] != nil {
			t.Errorf("an entry that never was: %+v", st.Waiters[1])
		}
		same(t, "an entry by its number", *st.Waiters[0], es[4])
	})
}

// Changes of a list that contradict it, or its row, are refused and leave everything as it was.
func brokenListWritesNothing(t testing.TB, h Harness) {
	d := newDB(t, h)
	d.sale("s", map[string]int64{"a": 5})
	es := d.enter("s", wish("u", "1", "a", 1), wish("v", "1", "a", 1), wish("w", "1", "a", 1))
	a := driver.StockRef{Sale: "s", SKU: "a"}
	d.mustDecide(&driver.Reads{Stock: []driver.StockRef{a}}, func(st *driver.State) *driver.Changes {
		return settling(*st.Stock[0], driver.Settle{Seq: es[0].Seq, To: driver.Left})
	})
	before := d.dump()
	broken := map[string]func(row driver.Stock) *driver.Changes{
		"an entry that does not wait": func(row driver.Stock) *driver.Changes {
			return settling(row, driver.Settle{Seq: es[0].Seq, To: driver.Offered})
		},
		"an entry that never was": func(row driver.Stock) *driver.Changes {
			return settling(row, driver.Settle{Seq: 1 << 40, To: driver.Left})
		},
		"a row that does not count": func(row driver.Stock) *driver.Changes {
			ch := settling(row, driver.Settle{Seq: es[1].Seq, To: driver.Left})
			ch.Stock[0].Waiting++
			return ch
		},
		"no row at all": func(row driver.Stock) *driver.Changes {
			ch := settling(row, driver.Settle{Seq: es[1].Seq, To: driver.Left})
			ch.Stock = nil
			return ch
		},
		"a row that counts nobody": func(row driver.Stock) *driver.Changes {
			row.Version, row.Waiting = row.Version+1, row.Waiting+1
			return &driver.Changes{Stock: []driver.Stock{row}}
		},
		"a key with two entries": func(row driver.Stock) *driver.Changes {
			again := es[1]
			row.Version, row.Waiting = row.Version+1, row.Waiting+1
			return &driver.Changes{Stock: []driver.Stock{row}, Waiters: []*driver.Waiter{&again}}
		},
	}
	for name, change := range broken {
		err := d.decide(&driver.Reads{Stock: []driver.StockRef{a}}, func(st *driver.State) *driver.Changes { return change(*st.Stock[0]) })
		if err == nil || errors.Is(err, driver.ErrUnknown) {
			t.Errorf("%s: %v, want a refusal", name, err)
		}
		same(t, "after "+name, d.dump(), before)
	}
}

// The journal has an entry when somebody begins to wait and one when he goes away without an offer; what he was offered is
// the hold. What an entry came to is told by every line about it.
func listJournalTells(t testing.TB, h Harness) {
	d := newDB(t, h)
	d.sale("s", map[string]int64{"a": 5})
	es := d.enter("s", wish("u", "1", "a", 1), wish("v", "1", "a", 2))
	d.clk.advance(1500 * time.Millisecond)
	won := d.winning(driver.Key{Sale: "s", User: "v", Key: "wait:x"}, line("a", 2))
	r := readsOf(won)
	d.mustDecide(r, func(st *driver.State) *driver.Changes {
		ch := settling(*st.Stock[0], driver.Settle{Seq: es[0].Seq, To: driver.Skipped, Why: string(errs.LimitReached)},
			driver.Settle{Seq: es[1].Seq, To: driver.Offered, Order: won.ID})
		ch.Stock[0].Available, ch.Stock[0].Held = ch.Stock[0].Available-2, ch.Stock[0].Held+2
		ch.Attempts = []*driver.Attempt{won}
		return ch
	})
	u, v := es[0], es[1]
	u.State, u.Why = driver.Skipped, string(errs.LimitReached)
	v.State, v.Order = driver.Offered, won.ID
	j := d.journal()
	same(t, "the journal", j[len(j)-4:], []driver.Entry{
		{Seq: u.Seq, At: start, Kind: driver.Wait, Waiter: &u}, {Seq: v.Seq, At: start, Kind: driver.Wait, Waiter: &v},
		{Seq: v.Seq + 1, At: d.clk.Now(), Kind: driver.Quit, Waiter: &u, Why: u.Why},
		{Seq: v.Seq + 2, At: d.clk.Now(), Kind: driver.Hold, Attempt: won, Trace: won.Trace},
	})
	same(t, "what was skipped", *d.waiter(u.Seq).W, u)
	same(t, "what was offered", *d.waiter(v.Seq).W, v)
}
