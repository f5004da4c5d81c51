package gate

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"penstock/errs"
	"penstock/stock"
	"penstock/stock/driver"
)

// Memory holds every sale and stock row as of the newest commit it was told of, by its own process or by a [Resync].
type Memory struct {
	mu        sync.Mutex // one writer at a time
	sales     atomic.Pointer[map[string]*Board]
	heldRetry time.Duration
	index     *Index // nil where a look-up costs nothing
	ahead     atomic.Pointer[ahead]
	asOf      atomic.Int64 // Unix nanoseconds; 0 before the first snapshot
}

// ahead is how far the clock of the stock database is ahead of this process's, as far as it was measured.
type ahead struct{ least, most time.Duration }

// Board is one sale: its definition and its stock rows, each replaced as a whole, so that a reader never sees half a change.
type Board struct {
	doc    atomic.Pointer[driver.Sale]
	levels atomic.Pointer[map[string]*atomic.Pointer[driver.Stock]]
}

// New returns an empty gate. heldRetry is the Retry-After of "held for now"; 0 means 1 s.
func New(heldRetry time.Duration) *Memory {
	if heldRetry == 0 {
		heldRetry = time.Second
	}
	m := &Memory{heldRetry: heldRetry}
	m.sales.Store(&map[string]*Board{})
	return m
}

// Use makes refusals ask the index before they ask for a look-up. It must be called before the first Admit.
func (m *Memory) Use(x *Index) { m.index = x }

// measured takes over what the clock of the stock database showed at some moment between asked and told.
func (m *Memory) measured(shown, asked, told time.Time) {
	if !shown.IsZero() {
		m.ahead.Store(&ahead{least: shown.Sub(told), most: shown.Sub(asked)})
	}
}

// AsOf returns when the newest snapshot that was read was asked for; the zero time before the first. What was committed before,
// by whatever process, is in memory. Alone beside a database of one's own there are no snapshots and everything is.
func (m *Memory) AsOf() time.Time {
	if at := m.asOf.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// Nothing reports that nothing is bound for the user as far as the index knows (see [Index.Nothing]).
func (m *Memory) Nothing(now time.Time, sale, user string, row *driver.Stock) bool {
	return m.index != nil && m.index.Nothing(now, sale, user, row)
}

// Observe takes over what a commit changed or a snapshot saw. Rows older than what is known are passed over, so that commits
// and snapshots may be told in any order. It belongs into stock.Options.OnCommit.
func (m *Memory) Observe(c stock.Committed) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range c.Sales {
		doc := c.Sales[i]
		ref := &m.board(doc.ID).doc
		if old := ref.Load(); old == nil || doc.Version >= old.Version {
			ref.Store(&doc)
		}
	}
	for i := range c.Stock {
		level := c.Stock[i]
		ref := m.board(level.Sale).level(level.SKU)
		if old := ref.Load(); old == nil || level.Version >= old.Version {
			ref.Store(&level)
		}
	}
}

// replace takes over a row or a sale whatever its version.
func (m *Memory) replace(row *driver.Stock, doc *driver.Sale) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if row != nil {
		level := *row
		m.board(row.Sale).level(row.SKU).Store(&level)
	}
	if doc != nil {
		sale := *doc
		m.board(doc.ID).doc.Store(&sale)
	}
}

func (m *Memory) board(id string) *Board {
	sales := *m.sales.Load()
	if b := sales[id]; b != nil {
		return b
	}
	next := maps.Clone(sales)
	b := &Board{}
	b.levels.Store(&map[string]*atomic.Pointer[driver.Stock]{})
	next[id] = b
	m.sales.Store(&next)
	return b
}

func (b *Board) level(sku string) *atomic.Pointer[driver.Stock] {
	levels := *b.levels.Load()
	if l := levels[sku]; l != nil {
		return l
	}
	next := maps.Clone(levels)
	l := &atomic.Pointer[driver.Stock]{}
	next[sku] = l
	b.levels.Store(&next)
	return l
}

// Sale returns a sale as of the last commit, or nil. The caller must not change it.
func (m *Memory) Sale(id string) *driver.Sale {
	if b := (*m.sales.Load())[id]; b != nil {
		return b.doc.Load()
	}
	return nil
}

// Level returns a stock row as of the last commit, or nil. The caller must not change it.
func (m *Memory) Level(sale, sku string) *driver.Stock {
	if b := (*m.sales.Load())[sale]; b != nil {
		if l := (*b.levels.Load())[sku]; l != nil {
			return l.Load()
		}
	}
	return nil
}

// Admit says whether an attempt may go on to the decision. It asks nobody; ctx is for gates that do.
func (m *Memory) Admit(_ context.Context, now time.Time, r *stock.Request) Verdict {
	b := (*m.sales.Load())[r.Sale]
	if b == nil {
		return Verdict{Say: Refuse, Answer: stock.Answer{State: stock.Lost, Reason: errs.NotFound}}
	}
	sale := b.doc.Load()
	if refused, no := m.window(sale, now); no {
		v := Verdict{Say: Ask, Answer: refused}
		if (refused.Reason == errs.SaleNotOpen && b.untouched()) || m.stopped(sale, r.User) {
			v.Say = Refuse
		}
		return v
	}
	levels := *b.levels.Load()
	for i := range r.Items {
		ref := levels[r.Items[i].SKU]
		if ref == nil {
			continue // the decision says what is wrong with it
		}
		if l := ref.Load(); l != nil && (l.Available == 0 || sale.SoldOut) {
			return m.exhausted(now, r, l, sale)
		}
	}
	return Verdict{}
}

// window is stock.Window by the clock of the stock database: it refuses only when every time that clock can show now does.
func (m *Memory) window(sale *driver.Sale, now time.Time) (refused stock.Answer, no bool) {
	c := m.ahead.Load()
	if c == nil {
		return stock.Window(sale, now)
	}
	if refused, no = stock.Window(sale, now.Add(c.least)); no {
		_, no = stock.Window(sale, now.Add(c.most))
	}
	return refused, no
}

func (m *Memory) stopped(sale *driver.Sale, user string) bool {
	return m.index != nil && sale != nil && m.index.Stopped(sale, user)
}

func (m *Memory) exhausted(now time.Time, r *stock.Request, l *driver.Stock, sale *driver.Sale) Verdict {
	v := Verdict{Say: Ask, Answer: stock.Answer{State: stock.Lost, Reason: errs.SoldOut, SKU: l.SKU}}
	if sale.SoldOut {
		if m.stopped(sale, r.User) {
			v.Say = Refuse
		}
		return v
	}
	settled := l // nothing can be won of a row that is sold out, so what is bound up to its version is all there is
	if l.Held != 0 {
		settled = nil
		v.Answer.Reason, v.Answer.RetryAfter = errs.StockHeld, m.heldRetry
	}
	if m.Nothing(now, r.Sale, r.User, settled) {
		v.Say = Refuse
	}
	return v
}

// untouched reports that nobody has ever taken a unit: before the opening by the clock of the stock database, whatever this
// machine's clock says.
func (b *Board) untouched() bool {
	for _, ref := range *b.levels.Load() {
		if l := ref.Load(); l != nil && l.Held+l.Sold != 0 {
			return false
		}
	}
	return true
}

// Sales returns every sale, in no particular order. The caller must not change them.
func (m *Memory) Sales() []*driver.Sale {
	var all []*driver.Sale
	for _, b := range *m.sales.Load() {
		if doc := b.doc.Load(); doc != nil {
			all = append(all, doc)
		}
	}
	return all
}

// LevelsOf returns the stock rows of a sale, in no particular order. The caller must not change them.
func (m *Memory) LevelsOf(sale string) []*driver.Stock {
	b := (*m.sales.Load())[sale]
	if b == nil {
		return nil
	}
	var all []*driver.Stock
	for _, ref := range *b.levels.Load() {
		if l := ref.Load(); l != nil {
			all = append(all, l)
		}
	}
	return all
}

// Done is told what became of an admitted attempt. Memory learns from commits instead.
func (*Memory) Done(*stock.Request, *stock.Answer) {}

// Levels returns every stock row as of the last commit, in no particular order.
func (m *Memory) Levels() []driver.Stock {
	var all []driver.Stock
	for _, b := range *m.sales.Load() {
		for _, ref := range *b.levels.Load() {
			if l := ref.Load(); l != nil {
				all = append(all, *l)
			}
		}
	}
	return all
}
