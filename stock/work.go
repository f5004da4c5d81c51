package stock

import (
	"time"

	"penstock/internal/ident"
	"penstock/stock/driver"
)

// work is the state of one batch while it is decided. Calls first name what they need and get an index; after load they read
// and change the values behind the index; collect says what must be written. It belongs to the committer and is reused.
type work struct {
	stock *Stock
	now   time.Time
	won   int
	reads driver.Reads

	keyAt   map[driver.Key]int
	passAt  map[driver.PassRef]int
	stockAt map[driver.StockRef]int
	takenAt map[driver.TakenRef]int
	claimAt map[ident.ID]int
	saleAt  map[string]int

	known  []*driver.Attempt
	used   []bool
	levels []*driver.Stock
	taken  []int64
	claims []*driver.Attempt
	sales  []*driver.Sale
	acts   []bool

	joinAt   map[driver.JoinRef]int
	waiterAt map[uint64]int
	joins    []driver.Join
	waiters  []*driver.Waiter
	next     func(driver.StockRef, uint64, int64) []*driver.Waiter
	extra    map[driver.TakenRef]int64 // allowances that nobody asked for, after this batch's hand-overs
	gone     map[uint64]bool           // entries that this batch has settled

	oldLevel  []int64 // versions as read; 0 for a missing row
	saleDirty []bool
	changes   driver.Changes
}

func (w *work) reset(s *Stock) {
	w.stock = s
	if w.keyAt == nil {
		w.keyAt, w.passAt, w.stockAt = map[driver.Key]int{}, map[driver.PassRef]int{}, map[driver.StockRef]int{}
		w.takenAt, w.claimAt, w.saleAt = map[driver.TakenRef]int{}, map[ident.ID]int{}, map[string]int{}
		w.joinAt, w.waiterAt = map[driver.JoinRef]int{}, map[uint64]int{}
		w.extra, w.gone = map[driver.TakenRef]int64{}, map[uint64]bool{}
	}
	clear(w.keyAt)
	clear(w.passAt)
	clear(w.stockAt)
	clear(w.takenAt)
	clear(w.claimAt)
	clear(w.saleAt)
	clear(w.joinAt)
	clear(w.waiterAt)
	r := &w.reads
	r.Keys, r.Passes, r.Stock, r.Taken = r.Keys[:0], r.Passes[:0], r.Stock[:0], r.Taken[:0]
	r.Claims, r.Sales, r.Acts = r.Claims[:0], r.Sales[:0], r.Acts[:0]
	r.Joins, r.Waiters = r.Joins[:0], r.Waiters[:0]
}

// place returns the index of k, adding it to list on first sight.
func place[K comparable](at map[K]int, list *[]K, k K) int {
	i, ok := at[k]
	if !ok {
		i = len(*list)
		at[k] = i
		*list = append(*list, k)
	}
	return i
}

func (w *work) needKey(k driver.Key) int        { return place(w.keyAt, &w.reads.Keys, k) }
func (w *work) needPass(p driver.PassRef) int   { return place(w.passAt, &w.reads.Passes, p) }
func (w *work) needLevel(k driver.StockRef) int { return place(w.stockAt, &w.reads.Stock, k) }
func (w *work) needTaken(k driver.TakenRef) int { return place(w.takenAt, &w.reads.Taken, k) }
func (w *work) needClaim(id ident.ID) int       { return place(w.claimAt, &w.reads.Claims, id) }
func (w *work) needSale(id string) int          { return place(w.saleAt, &w.reads.Sales, id) }
func (w *work) needJoin(r driver.JoinRef) int   { return place(w.joinAt, &w.reads.Joins, r) }
func (w *work) needWaiter(seq uint64) int       { return place(w.waiterAt, &w.reads.Waiters, seq) }

// needAct asks whether the audit row of an act is there already; ids are unique.
func (w *work) needAct(id string) int {
	w.reads.Acts = append(w.reads.Acts, id)
	return len(w.reads.Acts) - 1
}

// load takes a fresh state; anything decided before is forgotten.
func (w *work) load(st *driver.State) {
	w.now, w.won = st.Now, 0
	w.known, w.used = append(w.known[:0], st.Known...), append(w.used[:0], st.Used...)
	w.taken = append(w.taken[:0], st.Taken...)
	w.acts = append(w.acts[:0], st.Acts...)
	w.claims, w.levels, w.sales = w.claims[:0], w.levels[:0], w.sales[:0]
	w.oldLevel, w.saleDirty = w.oldLevel[:0], w.saleDirty[:0]
	for _, c := range st.Claims {
		w.claims = append(w.claims, copyOf(c))
	}
	for _, l := range st.Stock {
		w.levels = append(w.levels, copyOf(l))
		if l == nil {
			w.oldLevel = append(w.oldLevel, 0)
		} else {
			w.oldLevel = append(w.oldLevel, l.Version)
		}
	}
	for _, s := range st.Sales {
		w.sales = append(w.sales, copyOf(s))
		w.saleDirty = append(w.saleDirty, false)
	}
	w.next = st.Next
	w.joins, w.waiters = append(w.joins[:0], st.Joins...), w.waiters[:0]
	for _, e := range st.Waiters {
		w.waiters = append(w.waiters, copyOf(e))
	}
	clear(w.extra)
	clear(w.gone)
	c := &w.changes
	c.Sales, c.Stock, c.Attempts, c.Moves = c.Sales[:0], c.Stock[:0], c.Attempts[:0], c.Moves[:0]
	c.Offers, c.Audit = c.Offers[:0], c.Audit[:0]
	c.Waiters, c.Settled = c.Waiters[:0], c.Settled[:0]
}

func copyOf[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

// touch marks a stock row as changed: its version becomes one more than the one read, once per batch.
func (w *work) touch(i int) *driver.Stock {
	l := w.levels[i]
	l.Version = w.oldLevel[i] + 1
	return l
}

// collect returns what the batch changed, or nil when it changed nothing.
func (w *work) collect() *driver.Changes {
	for i, l := range w.levels {
		if l != nil && l.Version != w.oldLevel[i] {
			w.changes.Stock = append(w.changes.Stock, *l)
		}
	}
	for i, s := range w.sales {
		if w.saleDirty[i] {
			w.changes.Sales = append(w.changes.Sales, *s)
		}
	}
	if w.empty() {
		return nil
	}
	return &w.changes
}

func (w *work) empty() bool {
	c := &w.changes
	return len(c.Sales)+len(c.Stock)+len(c.Attempts)+len(c.Moves)+len(c.Offers)+len(c.Audit)+len(c.Waiters)+len(c.Settled) == 0
}
