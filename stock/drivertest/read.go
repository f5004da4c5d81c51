package drivertest

import (
	"cmp"
	"maps"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"penstock/internal/ident"
	"penstock/stock"
	"penstock/stock/driver"
)

// far is later than every claim of a test falls due.
var far = start.AddDate(1, 0, 0)

func compareRefs(a, b driver.StockRef) int {
	return cmp.Or(cmp.Compare(a.Sale, b.Sale), cmp.Compare(a.SKU, b.SKU))
}

// attempt reads what a key is bound to.
func (d *db) attempt(k driver.Key) *driver.Attempt {
	d.Helper()
	a, err := d.drv.Attempt(d.Context(), k)
	if err != nil {
		d.Fatalf("attempt %q: %v", k, err)
	}
	return a
}

func (d *db) claim(id ident.ID) *driver.Attempt {
	d.Helper()
	a, err := d.drv.Claim(d.Context(), id)
	if err != nil {
		d.Fatalf("claim %v: %v", id, err)
	}
	return a
}

func (d *db) due(now time.Time, limit int) []ident.ID {
	d.Helper()
	ids, err := d.drv.Due(d.Context(), now, limit)
	if err != nil {
		d.Fatalf("due: %v", err)
	}
	return ids
}

func (d *db) unsent(user string) []*driver.Attempt {
	d.Helper()
	as, err := d.drv.Unsent(d.Context(), user)
	if err != nil {
		d.Fatalf("unsent: %v", err)
	}
	return as
}

func (d *db) snapshot() *driver.Snapshot {
	d.Helper()
	s, err := d.drv.Snapshot(d.Context())
	if err != nil {
		d.Fatalf("snapshot: %v", err)
	}
	return s
}

func (d *db) journal() []driver.Entry {
	d.Helper()
	es, err := d.drv.Journal(d.Context(), 0, 1<<20)
	if err != nil {
		d.Fatalf("journal: %v", err)
	}
	return es
}

func (d *db) audits() []driver.Audit {
	d.Helper()
	rows, err := d.drv.Audit(d.Context(), 0, 1<<20)
	if err != nil {
		d.Fatalf("audit: %v", err)
	}
	return rows
}

func (d *db) taken(ref driver.TakenRef) int64 {
	d.Helper()
	var n int64
	d.peek(&driver.Reads{Taken: []driver.TakenRef{ref}}, func(st *driver.State) { n = st.Taken[0] })
	return n
}

// dump is everything a reader can find, in a form to compare.
type dump struct {
	Sales    []driver.Sale
	Stock    []driver.Stock
	Journal  []driver.Entry
	Audit    []driver.Audit
	Due      []ident.ID
	Attempts map[driver.Key]*driver.Attempt
	Claims   map[ident.ID]*driver.Attempt
	Unsent   map[string][]*driver.Attempt
	Taken    map[driver.TakenRef]int64
	Waiters  map[uint64]placed
	Seq      uint64
	LastID   ident.ID
}

// dump reads everything that the journal names.
func (d *db) dump() dump {
	d.Helper()
	s := d.snapshot()
	out := dump{
		Sales: s.Sales, Stock: s.Stock, Seq: s.Seq, LastID: s.LastID, Journal: d.journal(), Audit: d.audits(), Due: d.due(far, 1<<20),
		Attempts: map[driver.Key]*driver.Attempt{}, Claims: map[ident.ID]*driver.Attempt{},
		Unsent: map[string][]*driver.Attempt{}, Taken: map[driver.TakenRef]int64{}, Waiters: map[uint64]placed{},
	}
	slices.SortFunc(out.Sales, func(a, b driver.Sale) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(out.Stock, func(a, b driver.Stock) int {
		return compareRefs(driver.StockRef{Sale: a.Sale, SKU: a.SKU}, driver.StockRef{Sale: b.Sale, SKU: b.SKU})
	})
	slices.Sort(out.Due)
	r := &driver.Reads{}
	for _, e := range out.Journal {
		if e.Waiter != nil {
			out.Waiters[e.Waiter.Seq] = d.waiter(e.Waiter.Seq)
		}
		if e.Attempt == nil {
			continue
		}
		a := e.Attempt
		out.Attempts[a.Key] = d.attempt(a.Key)
		out.Claims[a.ID] = d.claim(a.ID)
		if _, seen := out.Unsent[a.Key.User]; !seen {
			out.Unsent[a.Key.User] = d.unsent(a.Key.User)
		}
		r.Taken = append(r.Taken, readsOf(a).Taken...)
	}
	d.peek(r, func(st *driver.State) {
		for i, ref := range r.Taken {
			out.Taken[ref] = st.Taken[i]
		}
	})
	return out
}

// placed is an entry of a waiting list with its place.
type placed struct {
	W     *driver.Waiter
	Ahead int64
}

func (d *db) waiter(seq uint64) placed {
	d.Helper()
	w, ahead, err := d.drv.Waiter(d.Context(), seq)
	if err != nil {
		d.Fatalf("entry %d: %v", seq, err)
	}
	return placed{w, ahead}
}

var opts = gocmp.Options{cmpopts.EquateEmpty()}

// same fails the test when got differs from want. Times compare as instants; nil and empty are one.
func same[T any](t testing.TB, what string, got, want T, more ...gocmp.Option) {
	t.Helper()
	if diff := gocmp.Diff(want, got, append(more, opts)...); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// noSeq leaves out what the driver numbers.
var noSeq = cmpopts.IgnoreFields(driver.Attempt{}, "Seq")

// fold replays the journal up to and including seq and returns the stock rows it leads to, without their versions.
func fold(entries []driver.Entry, seq uint64) map[driver.StockRef]driver.Stock {
	rows := map[driver.StockRef]driver.Stock{}
	state := map[ident.ID]driver.ClaimState{}
	for _, e := range entries {
		if e.Seq > seq {
			break
		}
		if e.Offer != nil {
			foldOffer(rows, e.Offer)
			continue
		}
		if e.Waiter != nil {
			foldWaiter(rows, e)
			continue
		}
		if _, yes := stock.EntryOf(e.Attempt.Key.Key); yes && e.Kind == driver.Hold {
			ref := driver.StockRef{Sale: e.Attempt.Key.Sale, SKU: e.Attempt.Lines[0].SKU}
			row := rows[ref]
			row.Waiting--
			rows[ref] = row
		}
		for _, l := range e.Attempt.Lines {
			ref := driver.StockRef{Sale: e.Attempt.Key.Sale, SKU: l.SKU}
			row := rows[ref]
			row.Sale, row.SKU = ref.Sale, ref.SKU
			foldLine(&row, e.Kind, state[e.Attempt.ID], l.Quantity)
			rows[ref] = row
		}
		switch e.Kind {
		case driver.Hold:
			state[e.Attempt.ID] = driver.Held
		case driver.Sell:
			state[e.Attempt.ID] = driver.Sold
		}
	}
	return rows
}

func foldWaiter(rows map[driver.StockRef]driver.Stock, e driver.Entry) {
	row := rows[e.Waiter.List()]
	if e.Kind == driver.Wait {
		row.Waiting++
	} else {
		row.Waiting--
	}
	rows[e.Waiter.List()] = row
}

func foldOffer(rows map[driver.StockRef]driver.Stock, o *driver.Offer) {
	ref := driver.StockRef{Sale: o.Key.Sale, SKU: o.SKU}
	row := rows[ref]
	row.Sale, row.SKU = ref.Sale, ref.SKU
	row.Available += o.Delta
	if o.Delta > 0 {
		row.Offered += o.Delta
	} else {
		row.Withdrawn -= o.Delta
	}
	rows[ref] = row
}

func foldLine(row *driver.Stock, k driver.Kind, from driver.ClaimState, n int64) {
	switch {
	case k == driver.Hold:
		row.Available -= n
		row.Held += n
	case k == driver.Sell:
		row.Held -= n
		row.Sold += n
	case k == driver.Release && from == driver.Sold:
		row.Sold -= n
		row.Available += n
	case k == driver.Release:
		row.Held -= n
		row.Available += n
	}
}

// checkSnapshot fails the test unless the rows conserve units and are what the journal up to the snapshot leads to.
func checkSnapshot(t testing.TB, s *driver.Snapshot, entries []driver.Entry) {
	t.Helper()
	got := map[driver.StockRef]driver.Stock{}
	for _, row := range s.Stock {
		if row.Available < 0 || row.Held < 0 || row.Sold < 0 || row.Offered-row.Withdrawn != row.Available+row.Held+row.Sold {
			t.Errorf("snapshot %d does not conserve units: %+v", s.Seq, row)
		}
		row.Version = 0
		got[driver.StockRef{Sale: row.Sale, SKU: row.SKU}] = row
	}
	want := fold(entries, s.Seq)
	maps.DeleteFunc(got, func(ref driver.StockRef, row driver.Stock) bool { return row.Offered == 0 && want[ref].Offered == 0 })
	maps.DeleteFunc(want, func(_ driver.StockRef, row driver.Stock) bool { return row.Offered == 0 })
	same(t, "stock rows against the journal", got, want)
}
