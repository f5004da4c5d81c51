// Package gate turns hopeless attempts away before the decision, with one look into memory.
//
// A gate only narrows: it may say no, never yes. What it knows is what the last commit said, so a wrong gate costs someone a
// second, never a unit. It says the final "sold out" only when the committed row says that nothing is available and nothing is
// held; every other no can be tried again with the same key.
//
// [Memory] is the gate of one process beside its own stock database. All methods are safe for concurrent use; reads take no
// lock.
package gate

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"penstock/errs"
	"penstock/stock"
	"penstock/stock/driver"
)

// Memory holds every sale and stock row as of the last commit.
type Memory struct {
	mu        sync.Mutex // one writer at a time
	sales     atomic.Pointer[map[string]*Board]
	heldRetry time.Duration
}

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

// Observe takes over what a commit changed. It belongs into stock.Options.OnCommit.
func (m *Memory) Observe(c stock.Committed) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range c.Sales {
		doc := c.Sales[i]
		m.board(doc.ID).doc.Store(&doc)
	}
	for i := range c.Stock {
		level := c.Stock[i]
		m.board(level.Sale).level(level.SKU).Store(&level)
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

// Admit says whether an attempt may go on to the decision; if not, the refusal. Nothing is bound to its key.
func (m *Memory) Admit(now time.Time, r *stock.Request) (refused stock.Answer, no bool) {
	b := (*m.sales.Load())[r.Sale]
	if b == nil {
		return stock.Answer{State: stock.Lost, Reason: errs.NotFound}, true
	}
	sale := b.doc.Load()
	if refused, no = stock.Window(sale, now); no {
		return refused, true
	}
	levels := *b.levels.Load()
	for i := range r.Items {
		ref := levels[r.Items[i].SKU]
		if ref == nil {
			continue // the decision says what is wrong with it
		}
		if l := ref.Load(); l != nil && (l.Available == 0 || sale.SoldOut) {
			if l.Held == 0 || sale.SoldOut {
				return stock.Answer{State: stock.Lost, Reason: errs.SoldOut, SKU: l.SKU}, true
			}
			return stock.Answer{State: stock.Lost, Reason: errs.StockHeld, SKU: l.SKU, RetryAfter: m.heldRetry}, true
		}
	}
	return stock.Answer{}, false
}

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
