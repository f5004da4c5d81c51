// Package report tells the whole story of a sale when it is over, or while it runs: what was sold to whom and when, what became of
// it, the money, and the proof that the records agree. One collection gives three forms: a page of HTML that needs nothing else,
// JSON, and a workbook of the orders.
//
// What it promises: it computes from the exports alone, reads each once from front to back, and says "not recorded" where nothing
// was kept. What it does not: attempts that were refused leave no row, so they are counted only by the process that is asked, since
// its start. Memory: about 100 bytes per order of the sale, beside the 300 of the check. Safe for concurrent use.
package report

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"penstock/check"
	"penstock/check/ndjson"
	"penstock/errs"
	"penstock/internal/clock"
)

// Source is where the records come from.
type Source struct {
	check.Source
	// Answers counts the answers to attempts by result, of this process since its start and over all sales; nil means not recorded.
	Answers func() map[string]int64
	Clock   clock.Clock
}

// Report is the story of one sale, and the object that the JSON holds. Amounts are minor units, by currency.
type Report struct {
	Sale      string    `json:"sale"`
	State     string    `json:"state"`
	StartsAt  time.Time `json:"startsAt"`
	EndsAt    time.Time `json:"endsAt"`
	At        time.Time `json:"at"`
	SKUs      []SKU     `json:"skus"`
	Funnel    Funnel    `json:"funnel"`
	Money     []Money   `json:"money"`
	LateMoney Late      `json:"lateMoney"`
	// Refused is nil when nothing was recorded.
	Refused []Count `json:"refused"`
	// LatencyBySecond is always nil: no process keeps it.
	LatencyBySecond []Count      `json:"latencyBySecond"`
	Timeline        []Moment     `json:"timeline"`
	StepSeconds     int64        `json:"stepSeconds"`
	Proof           check.Report `json:"proof"`
	NotRecorded     []string     `json:"notRecorded"`
}

// SKU is one kind of thing: offered − withdrawn = available + held + sold.
type SKU struct {
	SKU       string `json:"sku"`
	Price     int64  `json:"price"`
	Currency  string `json:"currency"`
	Offered   int64  `json:"offered"`
	Withdrawn int64  `json:"withdrawn"`
	Available int64  `json:"available"`
	Held      int64  `json:"held"`
	Sold      int64  `json:"sold"`
}

// Funnel counts what became of the winners' orders. Won = Open + Paid + Expired + Cancelled + Refunded.
type Funnel struct {
	Buyers    int64 `json:"buyers"`
	Won       int64 `json:"won"`
	Open      int64 `json:"open"`
	Paid      int64 `json:"paid"`
	Expired   int64 `json:"expired"`
	Cancelled int64 `json:"cancelled"`
	Refunded  int64 `json:"refunded"`
	// PartlyRefunded are among Paid.
	PartlyRefunded int64 `json:"partlyRefunded"`
	// ExpiredUnits came back to the stock because nobody paid for them.
	ExpiredUnits int64 `json:"expiredUnits"`
}

// Money is what was ordered, captured and given back in one currency.
type Money struct {
	Currency string `json:"currency"`
	Won      int64  `json:"won"`
	Captured int64  `json:"captured"`
	Refunded int64  `json:"refunded"`
}

// Late is money that came when the order was over.
type Late struct {
	Payments int64 `json:"payments"`
	Returned int64 `json:"returned"`
}

// Count is how often something happened.
type Count struct {
	Name string `json:"name"`
	N    int64  `json:"n"`
}

// Moment is one step of the timeline: the units that changed in it, and how they stood at its end.
type Moment struct {
	At       time.Time `json:"at"`
	Held     int64     `json:"held"`
	Sold     int64     `json:"sold"`
	Released int64     `json:"released"`
	Free     int64     `json:"free"`
	InHold   int64     `json:"inHold"`
	InSold   int64     `json:"inSold"`
}

// Collect reads the exports and judges them.
func Collect(ctx context.Context, src Source, sale string) (Report, error) {
	if src.Clock == nil {
		src.Clock = clock.Real{}
	}
	snap, err := src.Snapshot(ctx)
	if err != nil {
		return Report{}, err
	}
	c := &collector{Report: Report{Sale: sale, At: src.Clock.Now().UTC(), SKUs: []SKU{}, Money: []Money{}}, orders: map[string]string{}, buyers: map[string]struct{}{}, money: map[string]*Money{}}
	if err := c.sale(snap); err != nil {
		return Report{}, err
	}
	for _, part := range []struct {
		name string
		f    func([]byte) error
	}{{"stock-ledger", c.ledger}, {"claims", c.claim}, {"orders", c.order}, {"payments", c.payment}} {
		s := ndjson.NewSplitter(part.name, part.f)
		if err := src.Export(ctx, part.name, s); err != nil {
			return Report{}, fmt.Errorf("report: read %s: %w", part.name, err)
		}
		if err := s.Close(); err != nil {
			return Report{}, err
		}
	}
	if c.Proof, err = check.Run(ctx, src.Source, check.Options{Wait: -1, Clock: src.Clock}); err != nil {
		return Report{}, err
	}
	c.finish(src)
	return c.Report, nil
}

type collector struct {
	Report
	orders map[string]string // id → currency, of this sale
	buyers map[string]struct{}
	money  map[string]*Money
	line   timeline
}

func (c *collector) sale(snap check.Snapshot) error {
	i := slices.IndexFunc(snap.Sales, func(s check.Sale) bool { return s.ID == c.Sale })
	if i < 0 {
		return errs.New(errs.NotFound, "no such sale")
	}
	s := snap.Sales[i]
	c.State, c.StartsAt, c.EndsAt = s.State, s.StartsAt.UTC(), s.EndsAt.UTC()
	if c.State == "" {
		c.State = "not open"
	}
	for _, r := range snap.Stock {
		if r.Sale != c.Sale {
			continue
		}
		k := SKU{SKU: r.SKU, Offered: r.Offered, Withdrawn: r.Withdrawn, Available: r.Available, Held: r.Held, Sold: r.Sold}
		if j := slices.IndexFunc(s.Items, func(it check.SaleItem) bool { return it.SKU == r.SKU }); j >= 0 {
			k.Price, k.Currency = s.Items[j].Price, s.Items[j].Currency
		}
		c.SKUs = append(c.SKUs, k)
	}
	return nil
}

func (c *collector) ledger(line []byte) error {
	var e struct {
		Sale, Kind string
		Delta      int64
		At         time.Time
	}
	if err := json.Unmarshal(line, &e); err != nil || e.Sale != c.Sale {
		return err
	}
	c.line.add(e.Kind, e.Delta, e.At)
	return nil
}

func (c *collector) claim(line []byte) error {
	var e struct {
		Order, User, Sale, Currency, Why string
		Quantity                         int64
	}
	if err := json.Unmarshal(line, &e); err != nil || e.Sale != c.Sale {
		return err
	}
	c.orders[e.Order], c.buyers[e.User] = e.Currency, struct{}{}
	if e.Why == "expired" {
		c.Funnel.ExpiredUnits += e.Quantity
	}
	return nil
}

func (c *collector) in(currency string) *Money {
	if c.money[currency] == nil {
		c.money[currency] = &Money{Currency: currency}
	}
	return c.money[currency]
}

func (c *collector) order(line []byte) error {
	o, err := readOrder(line)
	if err != nil || o.Sale != c.Sale {
		return err
	}
	c.in(o.Currency).Won += o.Amount
	f := &c.Funnel
	switch o.State {
	case "paid", "fulfilled":
		f.Paid++
		if o.Refunded > 0 {
			f.PartlyRefunded++
		}
	case "expired":
		f.Expired++
	case "cancelled":
		f.Cancelled++
	case "refunded":
		f.Refunded++
	}
	return nil
}

func (c *collector) payment(line []byte) error {
	var p struct {
		Order, Currency    string
		Captured, Refunded int64
		Late               bool
	}
	if err := json.Unmarshal(line, &p); err != nil {
		return err
	}
	if _, ours := c.orders[p.Order]; !ours {
		return nil
	}
	m := c.in(p.Currency)
	m.Captured, m.Refunded = m.Captured+p.Captured, m.Refunded+p.Refunded
	if p.Late {
		c.LateMoney.Payments++
		if p.Refunded > 0 && p.Refunded == p.Captured {
			c.LateMoney.Returned++
		}
	}
	return nil
}

// finish adds up. Winners whose order is not written yet are among the open.
func (c *collector) finish(src Source) {
	f := &c.Funnel
	f.Buyers, f.Won = int64(len(c.buyers)), int64(len(c.orders))
	f.Open = max(f.Won-f.Paid-f.Expired-f.Cancelled-f.Refunded, 0)
	for _, m := range c.money {
		c.Money = append(c.Money, *m)
	}
	slices.SortFunc(c.Money, func(a, b Money) int { return cmp.Compare(a.Currency, b.Currency) })
	c.Timeline, c.StepSeconds = c.line.moments()
	c.NotRecorded = []string{"latency by second", "refusals of other processes and of before the last start"}
	if src.Answers == nil {
		c.NotRecorded[1] = "refusals"
		return
	}
	c.Refused = []Count{}
	for name, n := range src.Answers() {
		if n > 0 && name != "won" {
			c.Refused = append(c.Refused, Count{name, n})
		}
	}
	slices.SortFunc(c.Refused, func(a, b Count) int { return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Name, b.Name)) })
}

// orderLine is a line of the export of orders.
type orderLine struct {
	ID, User, Sale, Currency, State string
	Items                           []struct {
		SKU             string
		Quantity, Price int64
	}
	Amount    int64
	Refunded  int64 `json:"refundedAmount"`
	CreatedAt time.Time
	PayBefore time.Time
}

func readOrder(line []byte) (orderLine, error) {
	var o orderLine
	err := json.Unmarshal(line, &o)
	return o, err
}

// JSON writes the report as one object.
func JSON(w io.Writer, r *Report) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func group(n int64) string {
	s := strconv.FormatInt(n, 10)
	digits := len(s)
	if n < 0 {
		digits--
	}
	for i := len(s) - 3; digits > 3; i, digits = i-3, digits-3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}
