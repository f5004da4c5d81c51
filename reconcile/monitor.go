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
	target   *driver.Snapshot // what the journal is read up to; nil when it was reached
	ledger   []sighting       // what the journal showed when it was
	suspect  map[string]int   // in how many rounds in a row it was seen
	told     map[string]bool  // alerts that stand
	frozen   map[string]bool

	stop context.CancelFunc
	done chan struct{}
}

// expectation is what a row must say by what it said first and the journal since. A release does not tell where its units
// were, so held and sold are compared together, and sold by what it can be at least and at most.
type expectation struct{ offered, withdrawn, available, taken, soldLeast, soldMost int64 }

// roundNumbers is how many numbers of the journal one round reads at most.
const roundNumbers = 4096

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
	m.target, m.ledger = nil, nil
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
	if m.target == nil {
		m.target = snap
	}
	caughtUp, err := m.follow(ctx, m.target)
	if err != nil {
		m.forget() // what was read in part cannot be compared
		return nil, err
	}
	if caughtUp {
		m.ledger, m.target = m.unexpected(m.target), nil
	}
	return m.alert(ctx, m.crooked(snap), caughtUp), nil
}

// follow takes the journal up to the snapshot into the expectations, or as much of it as a round may read: a rush is not slowed by
// those who watch it. True means that it is there.
func (m *Monitor) follow(ctx context.Context, snap *driver.Snapshot) (caughtUp bool, err error) {
	upto := snap.Seq
	if m.begun {
		upto = min(upto, m.seq+roundNumbers)
		if err := each(ctx, m.books, m.seq, upto, func(e *driver.Entry) error { m.expect(e); return nil }); err != nil {
			return false, err
		}
	} else {
		for i := range snap.Stock {
			s := &snap.Stock[i]
			*m.of(s.Sale, s.SKU) = expectation{s.Offered, s.Withdrawn, s.Available, s.Held + s.Sold, s.Sold, s.Sold}
		}
	}
	m.begun, m.seq = true, upto
	return upto == snap.Seq, nil
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

func (m *Monitor) see(d Difference, row *driver.Stock, mark string) sighting {
	d.At = m.opt.Clock.Now().UTC()
	return sighting{d, d.Kind + " " + d.Object + " " + mark, row.Sale}
}

// crooked finds rows that do not add up, and rows that the gate does not follow.
func (m *Monitor) crooked(snap *driver.Snapshot) (all []sighting) {
	for i := range snap.Stock {
		row := &snap.Stock[i]
		if !conserved(row) {
			all = append(all, m.see(unbalanced(row), row, ""))
		}
		if m.opt.Level == nil {
			continue
		}
		if d := gateDiffers(leveler(m.opt.Level), row); d != nil {
			all = append(all, m.see(*d, row, d.Expected+d.Found))
		}
	}
	return all
}

// unexpected finds rows that are not what the journal up to the same snapshot says.
func (m *Monitor) unexpected(snap *driver.Snapshot) (all []sighting) {
	rows := map[driver.StockRef]bool{}
	for i := range snap.Stock {
		row := &snap.Stock[i]
		rows[driver.StockRef{Sale: row.Sale, SKU: row.SKU}] = true
		x := m.of(row.Sale, row.SKU)
		if off := x.off(row); off != "" {
			all = append(all, m.see(Difference{Kind: KindLedger, Object: rowObject(row), Expected: x.String(), Found: numbers(row)}, row, off))
		}
	}
	for ref, x := range m.expected {
		if !rows[ref] {
			row := &driver.Stock{Sale: ref.Sale, SKU: ref.SKU}
			all = append(all, m.see(Difference{Kind: KindLedger, Object: rowObject(row), Expected: x.String(), Found: "no row"}, row, ""))
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

// alert tells once of what was seen often enough. What the journal showed stands as it is until the journal is caught up with
// again.
func (m *Monitor) alert(ctx context.Context, seen []sighting, caughtUp bool) (standing []Difference) {
	before, told := m.suspect, m.told
	m.suspect, m.told = map[string]int{}, map[string]bool{}
	for _, s := range append(seen, m.ledger...) {
		m.suspect[s.mark] = before[s.mark]
		if s.Kind != KindLedger || caughtUp {
			m.suspect[s.mark]++
		}
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
