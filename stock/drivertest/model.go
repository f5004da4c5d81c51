package drivertest

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"penstock/errs"
	"penstock/internal/ident"
	"penstock/stock"
	"penstock/stock/driver"
)

// model is the rules of one sale in memory, written from the documents and not from the code.
type model struct {
	sale   driver.Sale
	levels map[string]driver.Stock
	taken  map[driver.TakenRef]int64
	keys   map[driver.Key]*bound
	claims map[ident.ID]*claim
	offers map[string]stock.OfferRequest
	queue  queue
}

// bound is what a key is bound to.
type bound struct {
	items  []stock.Item
	answer stock.Answer
}

// claim is a win as the model follows it.
type claim struct {
	key       driver.Key
	items     []stock.Item
	releaseAt time.Time
	state     driver.ClaimState
	why       string
}

func newModel(sale driver.Sale, offers map[string]int64) *model {
	m := &model{
		sale: sale, levels: map[string]driver.Stock{}, taken: map[driver.TakenRef]int64{}, keys: map[driver.Key]*bound{},
		claims: map[ident.ID]*claim{}, offers: map[string]stock.OfferRequest{},
	}
	for sku, n := range offers {
		m.levels[sku] = driver.Stock{Sale: sale.ID, SKU: sku, Offered: n, Available: n}
	}
	return m
}

func lost(why errs.Code) stock.Answer { return stock.Answer{State: stock.Lost, Reason: why} }

// allowed returns the answers that the rules allow, without what they are bound to and without Retry-After. More than one is
// allowed only where the rules leave open which line of a cart is named.
func (m *model) allowed(r stock.Request, now time.Time) []stock.Answer {
	if b := m.keys[driver.Key{Sale: r.Sale, User: r.User, Key: r.Key}]; b != nil {
		if !slices.Equal(b.items, r.Items) {
			return []stock.Answer{lost(errs.KeyReused)}
		}
		again := b.answer
		again.Replayed = true
		return []stock.Answer{again}
	}
	if as := m.refusedBySale(now); len(as) > 0 {
		return as
	}
	var over, short []stock.Answer
	for _, it := range r.Items {
		i := slices.IndexFunc(m.sale.Items, func(x driver.SaleItem) bool { return x.SKU == it.SKU })
		if i < 0 {
			return []stock.Answer{lost(errs.Invalid)}
		}
		left := m.sale.Items[i].Limit - m.taken[driver.TakenRef{Sale: r.Sale, SKU: it.SKU, User: r.User}]
		if m.sale.Items[i].Limit > 0 && it.Quantity > left {
			over = append(over, stock.Answer{State: stock.Lost, Reason: errs.LimitReached, SKU: it.SKU, Left: max(left, 0)})
		}
		if a := m.shortOf(it); a.State == stock.Lost {
			short = append(short, a)
		}
	}
	switch {
	case m.sale.SoldOut:
		return append(over, lost(errs.SoldOut))
	case len(over) > 0:
		return over
	case len(short) > 0:
		return short
	}
	return []stock.Answer{{State: stock.Won}}
}

// refusedBySale returns the refusals for the sale's state. Whether a pause or the window is named first is left open.
func (m *model) refusedBySale(now time.Time) []stock.Answer {
	var as []stock.Answer
	switch {
	case m.closed(now):
		as = append(as, lost(errs.SaleClosed))
	case now.Before(m.sale.StartsAt):
		as = append(as, stock.Answer{State: stock.Lost, Reason: errs.SaleNotOpen, OpensAt: m.sale.StartsAt})
	}
	if m.sale.Paused {
		as = append(as, lost(errs.SalePaused))
	}
	return as
}

func (m *model) closed(now time.Time) bool {
	return !m.sale.ClosedAt.IsZero() || !now.Before(m.sale.EndsAt)
}

func (m *model) shortOf(it stock.Item) stock.Answer {
	row := m.levels[it.SKU]
	switch {
	case row.Available >= it.Quantity:
		return stock.Answer{}
	case row.Available > 0:
		return stock.Answer{State: stock.Lost, Reason: errs.NotEnoughLeft, SKU: it.SKU, Left: row.Available}
	case row.Held > 0:
		return stock.Answer{State: stock.Lost, Reason: errs.StockHeld, SKU: it.SKU}
	}
	return stock.Answer{State: stock.Lost, Reason: errs.SoldOut, SKU: it.SKU}
}

// attempted checks an answer against the rules and follows it.
func (m *model) attempted(r stock.Request, now time.Time, got stock.Answer) error {
	plain := got
	plain.Attempt, plain.RetryAfter = nil, 0
	forced := got.Reason == errs.SoldOut && m.sale.SoldOut && !got.Replayed
	if forced {
		plain.SKU, plain.Left = "", 0
	}
	allowed := m.allowed(r, now)
	i := slices.IndexFunc(allowed, func(a stock.Answer) bool {
		a.Attempt, a.OpensAt = nil, plain.OpensAt
		return a == plain
	})
	if i < 0 {
		return fmt.Errorf("%+v at %v: got %+v, allowed %+v", r, now, got, allowed)
	}
	if want := allowed[i]; !want.OpensAt.Equal(got.OpensAt) {
		return fmt.Errorf("%+v: opens at %v, want %v", r, got.OpensAt, want.OpensAt)
	} else if want.Replayed {
		if got.Attempt == nil || got.Attempt.ID != want.Attempt.ID {
			return fmt.Errorf("%+v: replays %+v, bound to %+v", r, got.Attempt, want.Attempt)
		}
		return m.sameClaim(got.Attempt)
	}
	if err := checkRetry(got); err != nil {
		return fmt.Errorf("%+v: %w", r, err)
	}
	final := got.State == stock.Won || got.Reason == errs.LimitReached || got.Reason == errs.SoldOut
	if got.Reason != errs.KeyReused && final != (got.Attempt != nil) && !forced {
		return fmt.Errorf("%+v: %s is bound to %+v", r, got.Reason, got.Attempt)
	}
	if final && got.Attempt != nil {
		m.bind(r, now, got)
	}
	return m.promised(r, now, got)
}

func (m *model) bind(r stock.Request, now time.Time, got stock.Answer) {
	k := driver.Key{Sale: r.Sale, User: r.User, Key: r.Key}
	got.RetryAfter = 0
	m.keys[k] = &bound{items: r.Items, answer: got}
	if got.State != stock.Won {
		return
	}
	m.claims[got.Attempt.ID] = &claim{key: k, items: r.Items, state: driver.Held, releaseAt: now.Add(m.sale.Window + m.sale.Grace)}
	m.shift(k.User, r.Items, func(row *driver.Stock, n int64) int64 {
		row.Available -= n
		row.Held += n
		return n
	})
}

// shift changes the stock rows of items, and the user's allowances by what f returns.
func (m *model) shift(user string, items []stock.Item, f func(row *driver.Stock, n int64) (taken int64)) {
	for _, it := range items {
		row := m.levels[it.SKU]
		ref := driver.TakenRef{Sale: m.sale.ID, SKU: it.SKU, User: user}
		m.taken[ref] += f(&row, it.Quantity)
		m.levels[it.SKU] = row
	}
}

// promised checks price and times of a new win.
func (m *model) promised(r stock.Request, now time.Time, got stock.Answer) error {
	if got.State != stock.Won {
		return nil
	}
	want := int64(0)
	for _, it := range r.Items {
		i := slices.IndexFunc(m.sale.Items, func(x driver.SaleItem) bool { return x.SKU == it.SKU })
		want += it.Quantity * m.sale.Items[i].Price
	}
	a := got.Attempt
	pay := now.Add(m.sale.Window)
	if a.Amount != want || a.Currency != "CNY" || !a.At.Equal(now) || !a.PayBefore.Equal(pay) || !a.ReleaseAt.Equal(pay.Add(m.sale.Grace)) {
		return fmt.Errorf("%+v at %v is promised %+v, want amount %d", r, now, a, want)
	}
	return m.sameClaim(a)
}

func (m *model) sameClaim(a *driver.Attempt) error {
	c := m.claims[a.ID]
	if c == nil {
		if a.State != driver.None || a.Won() {
			return fmt.Errorf("%+v is no claim", a)
		}
		return nil
	}
	if a.State != c.state || c.state == driver.Released && a.Why != c.why {
		return fmt.Errorf("claim %v is %v %q, want %v %q", a.ID, a.State, a.Why, c.state, c.why)
	}
	return nil
}

// sold follows a Sell and returns whether it moves.
func (m *model) sold(id ident.ID, now time.Time) bool {
	c := m.claims[id]
	if c.state == driver.Held && !now.Before(c.releaseAt) {
		m.released(id, driver.Held, stock.WhyExpired)
		return false
	}
	if c.state == driver.Held {
		c.state = driver.Sold
		m.shift(c.key.User, c.items, func(row *driver.Stock, n int64) int64 {
			row.Held -= n
			row.Sold += n
			return 0
		})
	}
	return c.state == driver.Sold
}

// released follows a Release and returns whether it moves.
func (m *model) released(id ident.ID, from driver.ClaimState, why string) bool {
	c := m.claims[id]
	if c.state == driver.Released {
		return c.why == why
	}
	if c.state != from {
		return false
	}
	c.state, c.why = driver.Released, why
	m.shift(c.key.User, c.items, func(row *driver.Stock, n int64) int64 {
		if from == driver.Held {
			row.Held -= n
		} else {
			row.Sold -= n
		}
		row.Available += n
		return -n
	})
	return true
}

// offered follows an Offer and returns the code it is refused with.
func (m *model) offered(r stock.OfferRequest) errs.Code {
	if old, ok := m.offers[r.Key]; ok && r.Key != "" {
		if old != r {
			return errs.KeyReused
		}
		return ""
	}
	row := m.levels[r.SKU]
	if row.Available+r.Delta < 0 {
		return errs.StockInUse
	}
	row.Available += r.Delta
	if r.Delta > 0 {
		row.Offered += r.Delta
	} else {
		row.Withdrawn -= r.Delta
	}
	m.levels[r.SKU] = row
	m.offers[r.Key] = r
	return ""
}

// due lists the claims that are due.
func (m *model) due(now time.Time) map[ident.ID]bool {
	ids := map[ident.ID]bool{}
	for id, c := range m.claims {
		if c.state == driver.Held && !c.releaseAt.After(now) {
			ids[id] = true
		}
	}
	return ids
}

func (m *model) claimIDs() []ident.ID { return slices.Sorted(maps.Keys(m.claims)) }
