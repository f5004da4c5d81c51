package drivertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock/internal/clock"
	"penstock/internal/fault"
	"penstock/internal/ident"
	"penstock/stock/driver"
)

// Fault points of memDriver: before and after the changes are made.
const (
	memCommit    = "memdriver.commit"
	memCommitted = "memdriver.committed"
)

// tables is what a memDriver leaves behind when it is closed.
type tables struct {
	mu      sync.RWMutex
	seq     uint64
	sales   map[string]driver.Sale
	stock   map[driver.StockRef]driver.Stock
	taken   map[driver.TakenRef]int64
	keys    map[driver.Key]ident.ID
	used    map[driver.PassRef]bool
	bound   map[ident.ID]driver.Attempt
	offered map[driver.Key]driver.Offer
	entries []driver.Entry
	waiters []driver.Waiter // in order of Seq
	audits  []driver.Audit
	sent    uint64
}

// memDriver is a correct driver without durability, and on demand one with exactly one mistake.
type memDriver struct {
	*tables
	writer  sync.Mutex
	clk     clock.Clock
	faults  *fault.Points
	closed  atomic.Bool
	mistake string
}

// memHarness runs the suite on memDrivers with one mistake, or none for "".
func memHarness(mistake string) Harness {
	again := func(_ testing.TB, old driver.Driver, clk clock.Clock, f *fault.Points) driver.Driver {
		m := &memDriver{tables: old.(*memDriver).tables, clk: clk, faults: f, mistake: mistake}
		if mistake == "opening forgets allowances" {
			m.taken = map[driver.TakenRef]int64{}
		}
		return m
	}
	return Harness{
		Open: func(_ testing.TB, clk clock.Clock, f *fault.Points) driver.Driver {
			return &memDriver{clk: clk, faults: f, mistake: mistake, tables: &tables{
				sales: map[string]driver.Sale{}, stock: map[driver.StockRef]driver.Stock{}, taken: map[driver.TakenRef]int64{},
				keys: map[driver.Key]ident.ID{}, used: map[driver.PassRef]bool{}, bound: map[ident.ID]driver.Attempt{}, offered: map[driver.Key]driver.Offer{},
			}}
		},
		Reopen: again,
		Crash: func(t testing.TB, old driver.Driver, clk clock.Clock, f *fault.Points) driver.Driver {
			m := old.(*memDriver)
			if mistake == "a crash loses the last entry" {
				m.entries = m.entries[:len(m.entries)-1]
			}
			return again(t, old, clk, f)
		},
		FaultCommits: []string{memCommit, memCommitted},
	}
}

func (m *memDriver) has(mistake string) bool { return m.mistake == mistake }

func (m *memDriver) key(k driver.Key) driver.Key {
	switch {
	case m.has("keys fold case"):
		k.Key = strings.ToLower(k.Key)
	case m.has("users lose trailing space"):
		k.User = strings.TrimRight(k.User, " ")
	case m.has("key parts run together"):
		k = driver.Key{Sale: k.Sale, User: k.User + "/" + k.Key}
	}
	return k
}

func (m *memDriver) Close() error {
	m.closed.Store(true)
	m.writer.Lock()
	defer m.writer.Unlock()
	return nil
}

func (m *memDriver) Decide(ctx context.Context, r *driver.Reads, decide func(*driver.State) *driver.Changes) error {
	if !m.has("decisions run side by side") {
		m.writer.Lock()
		defer m.writer.Unlock()
	}
	if m.has("reads wait for the writer") {
		m.mu.Lock()
		defer m.mu.Unlock()
	}
	if err := ctx.Err(); err != nil && !m.has("an ended context is ignored") {
		return err
	}
	if m.closed.Load() && !m.has("close stops nothing") {
		return fmt.Errorf("closed: %w", driver.ErrUnavailable)
	}
	ch := decide(m.state(r))
	if ch == nil {
		if m.has("nil still takes a number") {
			m.seq++
		}
		return nil
	}
	if !m.has("reads wait for the writer") {
		m.mu.Lock()
		defer m.mu.Unlock()
	}
	if err := m.guard(ch); err != nil {
		return err
	}
	lost := m.faults.Hit(memCommit)
	if lost == nil {
		m.apply(ch)
		lost = m.faults.Hit(memCommitted)
	}
	if lost != nil {
		if m.has("a lost reply forgets keys") {
			for _, a := range ch.Attempts {
				delete(m.keys, m.key(a.Key))
			}
		}
		return errors.Join(driver.ErrUnknown, lost)
	}
	return nil
}

func (m *memDriver) Sent(_ context.Context, seq uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.has("sent goes back") {
		seq = max(seq, m.sent)
	}
	if m.has("sent is one too far") {
		seq++
	}
	m.sent = seq
	return nil
}

func (m *memDriver) state(r *driver.Reads) *driver.State {
	if !m.has("reads wait for the writer") {
		m.mu.RLock()
		defer m.mu.RUnlock()
	}
	st := &driver.State{Now: m.clk.Now()}
	keys := r.Keys
	if m.has("reads lose their duplicates") {
		keys = slices.Compact(slices.Clone(keys))
	}
	for _, k := range keys {
		known := m.byID(m.keys[m.key(k)])
		if o, ok := m.offered[k]; ok {
			known = &driver.Attempt{Key: k, Lines: []driver.Line{{SKU: o.SKU, Quantity: o.Delta}}}
		}
		st.Known = append(st.Known, known)
	}
	for _, p := range r.Passes {
		st.Used = append(st.Used, m.used[p] && !m.has("passes are forgotten"))
	}
	for _, ref := range r.Stock {
		var row *driver.Stock
		if s, ok := m.stock[ref]; ok {
			row = &s
		}
		st.Stock = append(st.Stock, row)
	}
	for _, ref := range r.Taken {
		st.Taken = append(st.Taken, m.taken[ref])
	}
	for _, id := range r.Claims {
		st.Claims = append(st.Claims, m.winner(id))
	}
	for _, id := range r.Acts {
		st.Acts = append(st.Acts, m.acted(id) && !m.has("acts are forgotten"))
	}
	for _, id := range r.Sales {
		var row *driver.Sale
		if s, ok := m.sales[id]; ok {
			row = &s
		}
		st.Sales = append(st.Sales, row)
	}
	m.waitState(r, st)
	return st
}

func (m *memDriver) byID(id ident.ID) *driver.Attempt {
	if a, ok := m.bound[id]; ok {
		return &a
	}
	return nil
}

func (m *memDriver) acted(id string) bool {
	return id != "" && slices.ContainsFunc(m.audits, func(a driver.Audit) bool { return a.ID == id })
}

func (m *memDriver) winner(id ident.ID) *driver.Attempt {
	if a := m.byID(id); a != nil && (a.Won() || m.has("a refusal is a claim")) {
		return a
	}
	return nil
}

func (m *memDriver) guard(ch *driver.Changes) error {
	for _, s := range ch.Stock {
		old := m.stock[driver.StockRef{Sale: s.Sale, SKU: s.SKU}]
		if s.Version != old.Version+1 && !m.has("stock versions are not checked") {
			return fmt.Errorf("stock version %d after %d", s.Version, old.Version)
		}
		if s.Available < 0 && !m.has("stock may go below zero") {
			return errors.New("available below zero")
		}
		if s.Offered-s.Withdrawn != s.Available+s.Held+s.Sold && !m.has("units are not counted") {
			return errors.New("units from nowhere")
		}
	}
	for _, s := range ch.Sales {
		if s.Version != m.sales[s.ID].Version+1 && !m.has("sale versions are not checked") {
			return fmt.Errorf("sale version %d", s.Version)
		}
	}
	for _, a := range ch.Audit {
		if m.acted(a.ID) && !m.has("acts may come twice") {
			return fmt.Errorf("act %q twice", a.ID)
		}
	}
	seen, spent := map[driver.Key]bool{}, map[driver.PassRef]bool{}
	for _, a := range ch.Attempts {
		k := m.key(a.Key)
		if m.keys[k] != 0 || seen[k] && !m.has("a key may come twice in a batch") {
			return fmt.Errorf("key %q bound already", k)
		}
		seen[k] = true
		p := a.PassRef()
		if a.Pass != 0 && (m.used[p] || spent[p]) && !m.has("a pass may be used twice") {
			return fmt.Errorf("pass %v used already", p)
		}
		spent[p] = true
	}
	if err := m.waitGuard(ch); err != nil {
		return err
	}
	for _, mv := range ch.Moves {
		if c := m.winner(mv.ID); (c == nil || c.State != mv.From) && !m.has("moves are not checked") {
			return fmt.Errorf("claim %d is not %v", mv.ID, mv.From)
		}
	}
	return nil
}

func (m *memDriver) apply(ch *driver.Changes) {
	for _, s := range ch.Sales {
		s.Items = slices.Clone(s.Items)
		m.sales[s.ID] = s
	}
	for _, s := range ch.Stock {
		m.stock[driver.StockRef{Sale: s.Sale, SKU: s.SKU}] = s
	}
	now := m.clk.Now()
	for _, mv := range ch.Moves {
		m.move(now, mv)
	}
	for _, o := range ch.Offers {
		k := driver.OfferKind
		if o.Delta < 0 {
			k = driver.Withdraw
		}
		if o.Key.Key != "" && !m.has("offers leave no key") {
			m.offered[o.Key] = o
		}
		m.append(driver.Entry{At: now, Kind: k, Offer: &o, Why: o.Why}, 1)
	}
	m.settle(now, ch)
	for _, a := range ch.Attempts {
		a.Seq = m.bind(now, *a)
	}
	m.join(now, ch)
	for _, a := range ch.Audit {
		a.At, a.Seq = now, uint64(len(m.audits)+1)
		m.audits = append(m.audits, a)
	}
}

func (m *memDriver) append(e driver.Entry, lines int) {
	e.Seq = m.seq + 1
	m.seq += uint64(lines)
	if m.has("an entry takes one number") {
		m.seq = e.Seq
	}
	m.entries = append(m.entries, e)
}

func (m *memDriver) bind(now time.Time, a driver.Attempt) uint64 {
	a.Lines, a.Seq = slices.Clone(a.Lines), m.seq+1
	if m.has("times lose their milliseconds") {
		a.PayBefore = a.PayBefore.Truncate(time.Second)
	}
	m.keys[m.key(a.Key)], m.bound[a.ID] = a.ID, a
	if a.Pass != 0 {
		m.used[a.PassRef()] = true
	}
	kind := driver.Refuse
	if a.Won() {
		kind = driver.Hold
	}
	if a.Won() || m.has("refusals use up allowances") {
		m.take(a, 1)
	}
	m.append(driver.Entry{At: now, Kind: kind, Attempt: &a, Trace: a.Trace}, len(a.Lines))
	if m.has("the caller's attempt gets no number") {
		return 0
	}
	return a.Seq
}

func (m *memDriver) take(a driver.Attempt, sign int64) {
	for _, l := range a.Lines {
		m.taken[driver.TakenRef{Sale: a.Key.Sale, SKU: l.SKU, User: a.Key.User}] += sign * l.Quantity
	}
}

func (m *memDriver) move(now time.Time, mv driver.Move) {
	a := m.bound[mv.ID]
	a.State = mv.To
	if mv.Why != "" {
		a.Why = mv.Why
	}
	m.bound[mv.ID] = a
	kind := driver.Sell
	if mv.To == driver.Released {
		kind = driver.Release
		keeps := m.has("release keeps the allowance") && mv.From == driver.Held || m.has("refund keeps the allowance") && mv.From == driver.Sold
		if !keeps {
			m.take(a, -1)
		}
	}
	m.append(driver.Entry{At: now, Kind: kind, Attempt: &a, Why: mv.Why, Trace: mv.Trace}, len(a.Lines))
}
