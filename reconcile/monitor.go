package reconcile

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"penstock/errs"
	"penstock/internal/clock"
	"penstock/stock/driver"
)

// Books is what a monitor reads. Snapshot is of one moment; Journal is in order of commit.
type Books interface {
	Snapshot(ctx context.Context) (*driver.Snapshot, error)
	Journal(ctx context.Context, after uint64, limit int) ([]driver.Entry, error)
}

// MonitorOptions tunes a Monitor. Only Clock and Logger are required.
type MonitorOptions struct {
	Clock  clock.Clock
	Logger *slog.Logger
	// Every is the pause between two rounds.
	Every time.Duration
	// Leads says whether the rounds are this process's; nil means always.
	Leads func() bool
	// Level is the gate's row; nil where this process keeps no gate.
	Level func(sale, sku string) *driver.Stock
	// Standing is told after each round how many violations of each kind stand.
	Standing func(kind string, n int)
	// Freeze pauses a sale, with a row in the trail; nil means that the monitor only tells.
	Freeze func(ctx context.Context, sale, reason string) error
}

// Monitor looks at the stock rows, the journal and the gate again and again: each row must add up, what changed in a row must be
// what the journal says since the last look, and the gate must follow. A difference that is seen twice (of the gate: four times) is an alert. It starts
// from the rows as they are; whether they agree with the whole journal is for [Reconciler] and the start of a stock database.
//
// Start, Stop and Round are safe for concurrent use with each other, but only one round runs at a time.
type Monitor struct {
	books Books
	opt   MonitorOptions

	one      chan struct{} // holds a token while no round runs
	seq      uint64
	begun    bool
	expected map[driver.StockRef]*expectation
	suspect  map[string]int  // in how many rounds in a row it was seen
	told     map[string]bool // alerts that stand
	frozen   map[string]bool

	stop context.CancelFunc
	done chan struct{}
}

// expectation is what a row must say by what it said first and the journal since. A release does not tell where its units
// were, so held and sold are compared together, and sold by what it can be at least and at most.
type expectation struct{ offered, withdrawn, available, taken, soldLeast, soldMost int64 }

// NewMonitor returns a stopped monitor.
func NewMonitor(b Books, o MonitorOptions) *Monitor {
	if o.Leads == nil {
		o.Leads = func() bool { return true }
	}
	m := &Monitor{books: b, opt: o, one: make(chan struct{}, 1), frozen: map[string]bool{}}
	m.one <- struct{}{}
	m.forget()
	return m
}

func (m *Monitor) forget() {
	m.begun, m.expected = false, map[driver.StockRef]*expectation{}
	m.suspect, m.told = map[string]int{}, map[string]bool{}
}

// Start begins the rounds. Call it once.
func (m *Monitor) Start(context.Context) error {
	ctx, cancel := context.WithCancel(context.Background())
	m.stop, m.done = cancel, make(chan struct{})
	go func() {
		defer close(m.done)
		for {
			t := m.opt.Clock.NewTimer(m.opt.Every)
			select {
			case <-t.C():
			case <-ctx.Done():
				t.Stop()
				return
			}
			if _, err := m.Round(ctx); err != nil && ctx.Err() == nil {
				m.opt.Logger.Warn("the monitor could not look", "error", err.Error())
			}
		}
	}()
	return nil
}

// Stop ends the rounds and waits for the one that runs. Idempotent.
func (m *Monitor) Stop() {
	if m.stop != nil {
		m.stop()
		<-m.done
	}
}

// Round looks once and returns the alerts that stand: what is wrong now and was wrong before.
func (m *Monitor) Round(ctx context.Context) ([]Difference, error) {
	select {
	case <-m.one:
		defer func() { m.one <- struct{}{} }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if !m.opt.Leads() { // another process looks; this one begins anew when its turn comes
		m.forget()
		m.stand(nil)
		return nil, nil
	}
	snap, err := m.books.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	if err = m.follow(ctx, snap); err != nil {
		m.forget() // what was read in part cannot be compared
		return nil, err
	}
	return m.alert(ctx, m.differences(snap)), nil
}

// follow takes the journal up to the snapshot into the expectations.
func (m *Monitor) follow(ctx context.Context, snap *driver.Snapshot) error {
	if m.begun {
		if err := each(ctx, m.books, m.seq, snap.Seq, func(e *driver.Entry) error { m.expect(e); return nil }); err != nil {
			return err
		}
	} else {
		for i := range snap.Stock {
			s := &snap.Stock[i]
			*m.of(s.Sale, s.SKU) = expectation{s.Offered, s.Withdrawn, s.Available, s.Held + s.Sold, s.Sold, s.Sold}
		}
	}
	m.begun, m.seq = true, snap.Seq
	return nil
}

func (m *Monitor) of(sale, sku string) *expectation {
	ref := driver.StockRef{Sale: sale, SKU: sku}
	if m.expected[ref] == nil {
		m.expected[ref] = &expectation{}
	}
	return m.expected[ref]
}

func (m *Monitor) expect(e *driver.Entry) {
	if e.Offer != nil {
		x := m.of(e.Offer.Key.Sale, e.Offer.SKU)
		x.available += e.Offer.Delta
		x.offered += max(e.Offer.Delta, 0)
		x.withdrawn -= min(e.Offer.Delta, 0)
		return
	}
	if e.Attempt == nil {
		return
	}
	for _, l := range e.Attempt.Lines {
		switch e.Kind {
		case driver.Hold:
			x := m.of(e.Attempt.Key.Sale, l.SKU)
			x.available, x.taken = x.available-l.Quantity, x.taken+l.Quantity
		case driver.Sell:
			x := m.of(e.Attempt.Key.Sale, l.SKU)
			x.soldLeast, x.soldMost = x.soldLeast+l.Quantity, x.soldMost+l.Quantity
		case driver.Release:
			x := m.of(e.Attempt.Key.Sale, l.SKU)
			x.available, x.taken = x.available+l.Quantity, x.taken-l.Quantity
			x.soldLeast -= l.Quantity
		}
	}
}

// sighting is a difference with what tells whether it is the same as in the round before, and its sale.
type sighting struct {
	Difference
	mark, sale string
}

// differences compares the snapshot with the expectations and the gate.
func (m *Monitor) differences(snap *driver.Snapshot) (all []sighting) {
	see := func(d Difference, row *driver.Stock, mark string) {
		d.At = m.opt.Clock.Now().UTC()
		all = append(all, sighting{d, d.Kind + " " + d.Object + " " + mark, row.Sale})
	}
	rows := map[driver.StockRef]bool{}
	for i := range snap.Stock {
		row := &snap.Stock[i]
		ref := driver.StockRef{Sale: row.Sale, SKU: row.SKU}
		rows[ref] = true
		if !conserved(row) {
			see(unbalanced(row), row, "")
		}
		x := m.of(row.Sale, row.SKU)
		if off := x.off(row); off != "" {
			see(Difference{Kind: KindLedger, Object: rowObject(row), Expected: x.String(), Found: numbers(row)}, row, off)
		}
		if m.opt.Level != nil {
			if d := gateDiffers(leveler(m.opt.Level), row); d != nil {
				see(*d, row, d.Expected+d.Found)
			}
		}
	}
	for ref, x := range m.expected {
		if !rows[ref] {
			row := &driver.Stock{Sale: ref.Sale, SKU: ref.SKU}
			see(Difference{Kind: KindLedger, Object: rowObject(row), Expected: x.String(), Found: "no row"}, row, "")
		}
	}
	return all
}

type leveler func(sale, sku string) *driver.Stock

// Level calls the function.
func (l leveler) Level(sale, sku string) *driver.Stock { return l(sale, sku) }

func (x *expectation) String() string {
	return fmt.Sprintf("offered %d, withdrawn %d, available %d, held and sold %d, of these sold %d to %d", x.offered, x.withdrawn, x.available, x.taken, max(x.soldLeast, 0), x.soldMost)
}

// off tells by how much a row is off, "" for not at all. It does not change while the row moves as it should.
func (x *expectation) off(s *driver.Stock) string {
	d := [...]int64{s.Offered - x.offered, s.Withdrawn - x.withdrawn, s.Available - x.available, s.Held + s.Sold - x.taken}
	beyond := s.Sold < x.soldLeast || s.Sold > x.soldMost
	if d == [4]int64{} && !beyond {
		return ""
	}
	return fmt.Sprint(d, beyond)
}

// patience is how often a difference is seen before it is an alert. A gate that reads what other processes do is allowed to be
// a few rounds behind.
func patience(kind string) int {
	if kind == KindGate {
		return 4
	}
	return 2
}

// alert tells once of what was seen often enough.
func (m *Monitor) alert(ctx context.Context, seen []sighting) (standing []Difference) {
	before, told := m.suspect, m.told
	m.suspect, m.told = map[string]int{}, map[string]bool{}
	for _, s := range seen {
		m.suspect[s.mark] = before[s.mark] + 1
		if m.suspect[s.mark] < patience(s.Kind) {
			continue
		}
		standing = append(standing, s.Difference)
		m.told[s.mark] = true
		if !told[s.mark] {
			m.opt.Logger.Error("an invariant is violated", "kind", s.Kind, "object", s.Object, "expected", s.Expected, "found", s.Found, "todo", remedy(s.Kind))
		}
		m.freeze(ctx, s)
	}
	m.stand(standing)
	return standing
}

func (m *Monitor) stand(all []Difference) {
	if m.opt.Standing == nil {
		return
	}
	n := map[string]int{KindRow: 0, KindLedger: 0, KindGate: 0}
	for _, d := range all {
		n[d.Kind]++
	}
	for kind, n := range n {
		m.opt.Standing(kind, n)
	}
}

// freeze pauses the sale of a violation once; an operator who resumes it has decided. A gate that differs is no reason: it only
// ever says no, and the stock rows decide.
func (m *Monitor) freeze(ctx context.Context, s sighting) {
	if m.opt.Freeze == nil || s.Kind == KindGate || m.frozen[s.mark] {
		return
	}
	err := m.opt.Freeze(ctx, s.sale, s.Explain())
	switch errs.CodeOf(err) {
	case errs.IllegalTransition, errs.NotFound: // paused or closed already, or gone
		err = nil
	}
	if err != nil {
		m.opt.Logger.Error("the sale could not be paused", "sale", s.sale, "error", err.Error())
		return // tried again in the next round
	}
	m.frozen[s.mark] = true
	m.opt.Logger.Error("the sale is paused", "sale", s.sale, "kind", s.Kind, "object", s.Object)
}
