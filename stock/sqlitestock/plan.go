package sqlitestock

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"penstock/stock/driver"
)

// plan is the changes of one decision as rows: numbered, with everything that memory must learn after the commit.
type plan struct {
	changes *driver.Changes
	now     time.Time
	first   uint64 // seq before the plan
	seq     uint64 // last seq used
	audit   uint64

	sales  []*sale // new or changed, aligned with changes.Sales
	held   []heldRow
	moves  []moveRow
	offers []offerRow
	joins  []joinRow
	quits  []quitRow
}

type heldRow struct {
	a     *driver.Attempt
	sale  *sale
	lines []byte // JSON when there are several lines, or for a refusal
}

type moveRow struct {
	seq   uint64
	move  driver.Move
	claim *driver.Attempt
	sale  *sale
}

type offerRow struct {
	seq   uint64
	offer driver.Offer
	sale  *sale
}

func (d *Driver) plan(ctx context.Context, c *driver.Changes, now time.Time) (*plan, error) {
	m := d.mem
	p := &plan{changes: c, now: now, first: m.seq, seq: m.seq, audit: m.audit}
	for i := range c.Sales {
		if err := p.planSale(m, &c.Sales[i]); err != nil {
			return nil, err
		}
	}
	if err := d.unbound(ctx, c.Attempts); err != nil {
		return nil, err
	}
	// Numbers follow the phases of a decision: what frees units, what withdraws them, who leaves a waiting list, who gets units,
	// who begins to wait. So a reader who adds the ledger up line by line never sees less than nothing, and sees what each
	// decision saw.
	if err := p.planMoves(d.state.Claims, m); err != nil {
		return nil, err
	}
	if err := p.planOffers(m, func(delta int64) bool { return delta > 0 }); err != nil {
		return nil, err
	}
	if err := p.planOffers(m, func(delta int64) bool { return delta <= 0 }); err != nil {
		return nil, err
	}
	if err := p.planQuits(m); err != nil {
		return nil, err
	}
	if err := p.planAttempts(m); err != nil {
		return nil, err
	}
	if err := p.planJoins(m); err != nil {
		return nil, err
	}
	return p, p.guard(m)
}

func (p *plan) planAttempts(m *memory) error {
	for _, a := range p.changes.Attempts {
		s := p.find(m, a.Key.Sale)
		if s == nil || s.archived || len(a.Lines) == 0 {
			return fmt.Errorf("%w: attempt of unknown or archived sale %q, or without lines", errGuard, a.Key.Sale)
		}
		a.Seq = p.take(len(a.Lines))
		row := heldRow{a: a, sale: s}
		if len(a.Lines) > 1 || !a.Won() {
			row.lines, _ = json.Marshal(a.Lines)
		}
		p.held = append(p.held, row)
	}
	return nil
}

func (p *plan) planMoves(claims []*driver.Attempt, m *memory) error {
	for _, mv := range p.changes.Moves {
		claim := claimIn(claims, mv)
		if claim == nil || claim.State != mv.From {
			return fmt.Errorf("%w: claim %d is not %s", errGuard, mv.ID, mv.From)
		}
		p.moves = append(p.moves, moveRow{p.take(len(claim.Lines)), mv, claim, p.find(m, claim.Key.Sale)})
	}
	return nil
}

func (p *plan) planOffers(m *memory, now func(delta int64) bool) error {
	for _, o := range p.changes.Offers {
		if !now(o.Delta) {
			continue
		}
		s := p.find(m, o.Key.Sale)
		if s == nil || s.archived {
			return fmt.Errorf("%w: offer for unknown or archived sale %q", errGuard, o.Key.Sale)
		}
		p.offers = append(p.offers, offerRow{p.take(1), o, s})
	}
	return nil
}

// unbound asserts that no key is bound and no pass used twice. A key that is not in memory costs one look.
func (d *Driver) unbound(ctx context.Context, attempts []*driver.Attempt) error {
	clear(d.fresh)
	clear(d.spent)
	for _, a := range attempts {
		known, err := d.attempt(ctx, d.own, a.Key)
		if err != nil {
			return fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
		}
		if _, twice := d.fresh[a.Key]; twice || known != nil {
			return fmt.Errorf("%w: key %+v is bound already", errGuard, a.Key)
		}
		d.fresh[a.Key] = struct{}{}
		if a.Pass == 0 {
			continue
		}
		p := a.PassRef()
		if _, twice := d.spent[p]; twice || d.mem.passUsed(p) {
			return fmt.Errorf("%w: pass %+v is used already", errGuard, p)
		}
		d.spent[p] = struct{}{}
	}
	return nil
}

// take reserves n numbers and returns the first.
func (p *plan) take(n int) uint64 {
	first := p.seq + 1
	p.seq += uint64(n)
	return first
}

func (p *plan) find(m *memory, id string) *sale {
	for _, s := range p.sales {
		if s.doc.ID == id {
			return s
		}
	}
	return m.sales[id]
}

func (p *plan) planSale(m *memory, doc *driver.Sale) error {
	old, have := m.sales[doc.ID], int64(0)
	s := newSale(m.lastNum+int64(len(p.sales))+1, p.first)
	if old != nil {
		*s = *old
		have = old.doc.Version
	}
	if doc.Version != have+1 {
		return fmt.Errorf("%w: sale %q goes from version %d to %d", errGuard, doc.ID, have, doc.Version)
	}
	s.doc = *doc
	p.sales = append(p.sales, s)
	return nil
}

// guard asserts that every stock row moves by one version and adds up.
func (p *plan) guard(m *memory) error {
	queued := p.changes.Queued()
	for i := range p.changes.Stock {
		l := &p.changes.Stock[i]
		ref := driver.StockRef{Sale: l.Sale, SKU: l.SKU}
		have, waiting := int64(0), queued[ref]
		if old := m.levels[ref]; old != nil {
			have = old.Version
			waiting += old.Waiting
		}
		if delete(queued, ref); l.Waiting != waiting {
			return fmt.Errorf("%w: stock row %+v, of which %d wait", errGuard, *l, waiting)
		}
		if l.Version != have+1 || l.Available < 0 || l.Held < 0 || l.Sold < 0 || l.Offered-l.Withdrawn != l.Available+l.Held+l.Sold {
			return fmt.Errorf("%w: stock row %+v after version %d", errGuard, *l, have)
		}
	}
	for ref, n := range queued {
		if n != 0 {
			return fmt.Errorf("%w: the list of %+v changes and its row does not", errGuard, ref)
		}
	}
	return nil
}

func claimIn(claims []*driver.Attempt, mv driver.Move) *driver.Attempt {
	for _, c := range claims {
		if c != nil && c.ID == mv.ID {
			return c
		}
	}
	return nil
}

// apply teaches memory what was committed.
func (p *plan) apply(m *memory) {
	m.seq, m.audit = p.seq, p.audit+uint64(len(p.changes.Audit))
	for _, s := range p.sales {
		m.sales[s.doc.ID], m.byNum[s.num] = s, s
		m.lastNum = max(m.lastNum, s.num)
	}
	for i := range p.changes.Stock {
		l := p.changes.Stock[i]
		m.levels[driver.StockRef{Sale: l.Sale, SKU: l.SKU}] = &l
	}
	for _, h := range p.held {
		m.learn(h.a, h.sale)
	}
	p.applyWaiting()
	for _, mv := range p.moves {
		if mv.move.To == driver.Released {
			for _, l := range mv.claim.Lines {
				m.take(mv.sale, l.SKU, mv.claim.Key.User, -l.Quantity)
			}
		}
	}
	for _, o := range p.offers {
		if o.offer.Key.Key != "" {
			m.addKey(o.sale, "", o.offer.Key.Key, o.seq)
		}
	}
}

// learn remembers a bound answer.
func (m *memory) learn(a *driver.Attempt, s *sale) {
	m.addKey(s, a.Key.User, a.Key.Key, a.Seq)
	m.addID(a.ID, a.Seq)
	m.usePass(s, a.Key.User, a.Pass)
	if !a.Won() {
		s.noes.add(m.holder(a.Key.User), 1)
		return
	}
	s.last = a.Seq
	m.pushDue(a.ReleaseAt.UnixMicro(), a.Seq)
	m.unsent = append(m.unsent, unsent{m.hash(a.Key.User, ""), a.Seq})
	for _, l := range a.Lines {
		m.take(s, l.SKU, a.Key.User, l.Quantity)
	}
}
