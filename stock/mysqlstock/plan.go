package mysqlstock

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"penstock/internal/ident"
	"penstock/stock/driver"
)

// plan is the changes of one decision as rows, checked against the state they were decided by. Numbers are counted from 0:
// the journal's own are known only when the row of head is locked.
type plan struct {
	changes *driver.Changes
	now     time.Time

	stockNew int64             // rows of changes.Stock that are new
	attempts []*driver.Attempt // sorted by id
	items    map[ident.ID][]byte
	taken    []takenRow // sorted
	moves    map[edge][]ident.ID
	journal  []journalRow
	offers   []offerRow
	joins    []joinRow
	width    uint64 // numbers that the journal rows take
}

type takenRow struct {
	ref   driver.TakenRef
	delta int64
}

// edge is what claims that move alike have in common.
type edge struct {
	from, to driver.ClaimState
	why      string
}

type journalRow struct {
	seq        uint64
	kind       driver.Kind
	at         int64
	ref        ident.ID
	why, trace string
	bound      *driver.Attempt // Hold and Refuse: the attempt to be given its number
}

type offerRow struct {
	seq   uint64
	offer *driver.Offer
}

func newPlan(reads *driver.Reads, st *driver.State, c *driver.Changes) (*plan, error) {
	p := &plan{changes: c, now: st.Now, items: map[ident.ID][]byte{}, moves: map[edge][]ident.ID{}}
	if err := p.checkRows(reads, st); err != nil {
		return nil, err
	}
	delta := map[driver.TakenRef]int64{}
	// Numbers follow the phases of a decision: what frees units, what withdraws them, who leaves a waiting list, who gets units,
	// who begins to wait. So a reader who adds the ledger up line by line never sees less than nothing, and sees what each
	// decision saw.
	if err := p.planMoves(reads, st, delta); err != nil {
		return nil, err
	}
	p.planOffers(func(d int64) bool { return d > 0 })
	p.planOffers(func(d int64) bool { return d <= 0 })
	p.planQuits()
	if err := p.planAttempts(reads, st, delta); err != nil {
		return nil, err
	}
	p.planJoins()
	return p, p.planTaken(reads, st, delta)
}

// checkRows asserts that sales and stock rows move by one version and that units add up.
func (p *plan) checkRows(reads *driver.Reads, st *driver.State) error {
	have, queued := map[driver.StockRef]int64{}, p.changes.Queued()
	waiting := map[driver.StockRef]int64{}
	for i, l := range st.Stock {
		if l != nil {
			have[reads.Stock[i]], waiting[reads.Stock[i]] = l.Version, l.Waiting
		}
	}
	for i := range p.changes.Stock {
		l := &p.changes.Stock[i]
		ref := driver.StockRef{Sale: l.Sale, SKU: l.SKU}
		version := have[ref]
		if l.Waiting != waiting[ref]+queued[ref] || l.Waiting < 0 {
			return fmt.Errorf("%w: stock row %+v, of which %d wait", errGuard, *l, waiting[ref]+queued[ref])
		}
		delete(queued, ref)
		if l.Version != version+1 || l.Available < 0 || l.Held < 0 || l.Sold < 0 || l.Offered-l.Withdrawn != l.Available+l.Held+l.Sold {
			return fmt.Errorf("%w: stock row %+v after version %d", errGuard, *l, version)
		}
		if version == 0 {
			p.stockNew++
		}
	}
	for ref, n := range queued {
		if n != 0 {
			return fmt.Errorf("%w: the list of %+v changes and its row does not", errGuard, ref)
		}
	}
	slices.SortFunc(p.changes.Stock, func(a, b driver.Stock) int {
		return cmp.Or(cmp.Compare(a.Sale, b.Sale), cmp.Compare(a.SKU, b.SKU))
	})
	sales := map[string]int64{}
	for i, s := range st.Sales {
		if s != nil {
			sales[reads.Sales[i]] = s.Version
		}
	}
	for i := range p.changes.Sales {
		s := &p.changes.Sales[i]
		if s.Version != sales[s.ID]+1 {
			return fmt.Errorf("%w: sale %q goes from version %d to %d", errGuard, s.ID, sales[s.ID], s.Version)
		}
	}
	return nil
}

// take reserves n numbers and returns the first.
func (p *plan) take(n int) uint64 {
	first := p.width
	p.width += uint64(n)
	return first
}

func (p *plan) planMoves(reads *driver.Reads, st *driver.State, delta map[driver.TakenRef]int64) error {
	if len(p.changes.Moves) == 0 {
		return nil
	}
	state := map[ident.ID]driver.ClaimState{}
	claims := map[ident.ID]*driver.Attempt{}
	for i, c := range st.Claims {
		if c != nil {
			claims[reads.Claims[i]], state[reads.Claims[i]] = c, c.State
		}
	}
	for i := range p.changes.Moves {
		m := &p.changes.Moves[i]
		c := claims[m.ID]
		if c == nil || state[m.ID] != m.From {
			return fmt.Errorf("%w: claim %d is not %s", errGuard, m.ID, m.From)
		}
		state[m.ID] = m.To
		e, kind := edge{from: m.From, to: m.To}, driver.Sell
		if m.To == driver.Released {
			e.why, kind = m.Why, driver.Release
			for _, l := range c.Lines {
				delta[driver.TakenRef{Sale: c.Key.Sale, SKU: l.SKU, User: c.Key.User}] -= l.Quantity
			}
		}
		p.moves[e] = append(p.moves[e], m.ID)
		p.journal = append(p.journal, journalRow{
			seq: p.take(len(c.Lines)), kind: kind, at: toMicro(p.now), ref: m.ID, why: m.Why, trace: m.Trace,
		})
	}
	return nil
}

func (p *plan) planOffers(now func(delta int64) bool) {
	for i := range p.changes.Offers {
		o := &p.changes.Offers[i]
		if !now(o.Delta) {
			continue
		}
		kind := driver.OfferKind
		if o.Delta < 0 {
			kind = driver.Withdraw
		}
		seq := p.take(1)
		p.offers = append(p.offers, offerRow{seq, o})
		p.journal = append(p.journal, journalRow{seq: seq, kind: kind, at: toMicro(p.now)})
	}
}

func (p *plan) planAttempts(reads *driver.Reads, st *driver.State, delta map[driver.TakenRef]int64) error {
	bound := make(map[driver.Key]bool, len(reads.Keys))
	for i, k := range reads.Keys {
		bound[k] = st.Known[i] != nil
	}
	used := make(map[driver.PassRef]bool, len(reads.Passes))
	for i, pass := range reads.Passes {
		used[pass] = st.Used[i]
	}
	for _, a := range p.changes.Attempts {
		if a.Pass != 0 {
			pass := a.PassRef()
			if used[pass] {
				return fmt.Errorf("%w: pass %+v is used already", errGuard, pass)
			}
			used[pass] = true
		}
		if bound[a.Key] || a.Key.User == "" || len(a.Lines) == 0 {
			return fmt.Errorf("%w: key %+v is bound already, has no user or binds no lines", errGuard, a.Key)
		}
		bound[a.Key] = true
		items, err := json.Marshal(a.Lines)
		if err != nil {
			return fmt.Errorf("%w: %w", errGuard, err)
		}
		p.items[a.ID] = items
		kind := driver.Refuse
		if a.Won() {
			kind = driver.Hold
			for _, l := range a.Lines {
				delta[driver.TakenRef{Sale: a.Key.Sale, SKU: l.SKU, User: a.Key.User}] += l.Quantity
			}
		}
		p.journal = append(p.journal, journalRow{seq: p.take(len(a.Lines)), kind: kind, at: toMicro(a.At), ref: a.ID, bound: a})
	}
	p.attempts = slices.SortedFunc(slices.Values(p.changes.Attempts), func(a, b *driver.Attempt) int { return cmp.Compare(a.ID, b.ID) })
	return nil
}

// planTaken asserts that no allowance that was read goes below zero. What a closed sale has forgotten is not taken off any more: see prune.go.
func (p *plan) planTaken(reads *driver.Reads, st *driver.State, delta map[driver.TakenRef]int64) error {
	closed := map[string]bool{}
	for i, s := range st.Sales {
		closed[reads.Sales[i]] = s != nil && !s.ClosedAt.IsZero()
	}
	for i, ref := range reads.Taken {
		if st.Taken[i] == 0 && delta[ref] < 0 && closed[ref.Sale] {
			delete(delta, ref)
		}
		if st.Taken[i]+delta[ref] < 0 {
			return fmt.Errorf("%w: allowance %+v goes from %d to %d", errGuard, ref, st.Taken[i], st.Taken[i]+delta[ref])
		}
	}
	p.listTaken(delta)
	return nil
}

func (p *plan) listTaken(delta map[driver.TakenRef]int64) {
	for _, ref := range slices.SortedFunc(maps.Keys(delta), compareTaken) {
		if delta[ref] != 0 {
			p.taken = append(p.taken, takenRow{ref, delta[ref]})
		}
	}
}
