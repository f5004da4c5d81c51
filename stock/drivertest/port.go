package drivertest

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"penstock/internal/ident"
	"penstock/stock"
	"penstock/stock/driver"
)

// port is stock.Stock as the cases see it, so that the suite's own tests can plant mistakes in between.
type port interface {
	buyer
	mover
	operator
	waitingRoom
	InFlight() int64
	Close(ctx context.Context) error
}

type buyer interface {
	Attempt(ctx context.Context, r stock.Request) stock.Answer
	Lookup(ctx context.Context, sale, user, key string) (stock.Answer, bool, error)
}

type waitingRoom interface {
	Join(ctx context.Context, r stock.JoinRequest) (stock.Entry, error)
	Leave(ctx context.Context, sale, user string, entry uint64) (stock.Entry, error)
	Waiting(ctx context.Context, sale, user string, entry uint64) (stock.Entry, error)
}

type mover interface {
	Sell(ctx context.Context, id ident.ID, why, trace string) (stock.MoveResult, error)
	Release(ctx context.Context, id ident.ID, from driver.ClaimState, why, trace string) (stock.MoveResult, error)
	Claim(ctx context.Context, id ident.ID) (*driver.Attempt, error)
}

type operator interface {
	CreateSale(ctx context.Context, s driver.Sale, offers map[string]int64, a driver.Audit) (driver.Sale, error)
	UpdateSale(ctx context.Context, id string, version int64, change func(*driver.Sale) error, a driver.Audit) (driver.Sale, error)
	Offer(ctx context.Context, r stock.OfferRequest, a driver.Audit) (driver.Stock, error)
	Record(ctx context.Context, a driver.Audit) error
	Snapshot(ctx context.Context) (*driver.Snapshot, error)
}

// Terms of the sales that tests make.
const (
	window = 10 * time.Minute
	grace  = time.Minute
	// unhurried is a deadline that is never reached.
	unhurried = time.Minute
)

// shop is a stock.Stock over a database under test. Its db reads below the port.
type shop struct {
	*db
	p    port
	opts stock.Options
}

func newShop(t testing.TB, h Harness) *shop {
	return newShopWith(t, h, stock.Options{Deadline: unhurried})
}

func newShopWith(t testing.TB, h Harness, o stock.Options) *shop {
	t.Helper()
	s := &shop{db: newDB(t, h), opts: o}
	s.opts.Clock, s.opts.Node = s.clk, 1
	s.start()
	t.Cleanup(s.stop)
	return s
}

func (s *shop) start() {
	s.Helper()
	st, err := stock.New(s.Context(), s.drv, s.opts)
	if err != nil {
		s.Fatalf("start stock: %v", err)
	}
	s.p = st
	if s.h.wrap != nil {
		s.p = s.h.wrap(st)
	}
}

func (s *shop) stop() {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.p.Close(ctx); err != nil {
		s.Errorf("close stock: %v", err)
	}
}

// restart closes stock and database and opens both again.
func (s *shop) restart() {
	s.Helper()
	s.stop()
	s.reopen()
	s.start()
}

// crash abandons both and opens what a new process would find.
func (s *shop) crash() {
	s.Helper()
	s.drv = s.h.Crash(s, s.drv, s.clk, s.faults)
	s.start()
}

// goods is one SKU of a sale to open.
type goods struct {
	sku                 string
	units, limit, price int64
}

// open stores a sale that runs for an hour from now.
func (s *shop) open(id string, items ...goods) driver.Sale {
	s.Helper()
	now := s.clk.Now()
	sale := driver.Sale{
		ID: id, Title: id, StartsAt: now, EndsAt: now.Add(time.Hour), Window: window, Grace: grace, Admission: "open",
	}
	offers := map[string]int64{}
	for _, g := range items {
		sale.Items = append(sale.Items, driver.SaleItem{SKU: g.sku, Title: g.sku, Price: g.price, Currency: "CNY", Limit: g.limit})
		offers[g.sku] = g.units
	}
	got, err := s.p.CreateSale(s.Context(), sale, offers, by("create"))
	if err != nil {
		s.Fatalf("create sale %q: %v", id, err)
	}
	return got
}

func by(act string) driver.Audit {
	return driver.Audit{Who: "op", Act: act, Object: "test", Why: "test"}
}

func item(sku string, n int64) stock.Item { return stock.Item{SKU: sku, Quantity: n} }

// buy attempts once in the sale "s".
func (s *shop) buy(user, key string, items ...stock.Item) stock.Answer {
	return s.p.Attempt(s.Context(), stock.Request{Sale: "s", User: user, Key: key, Items: items})
}

// mustWin buys and ends the test unless it wins.
func (s *shop) mustWin(user, key string, items ...stock.Item) *driver.Attempt {
	s.Helper()
	a := s.buy(user, key, items...)
	if a.State != stock.Won || a.Attempt == nil || a.Reason != "" {
		s.Fatalf("%s's attempt %q for %v: %+v, want a win", user, key, items, a)
	}
	return a.Attempt
}

func (s *shop) mustSell(id ident.ID) {
	s.Helper()
	if r, err := s.p.Sell(s.Context(), id, "", ""); err != nil || !r.Moved || r.Claim.State != driver.Sold {
		s.Fatalf("sell %v: %+v, %v", id, r, err)
	}
}

func (s *shop) mustRelease(id ident.ID, from driver.ClaimState, why string) {
	s.Helper()
	if r, err := s.p.Release(s.Context(), id, from, why, ""); err != nil || !r.Moved || r.Claim.State != driver.Released {
		s.Fatalf("release %v from %v: %+v, %v", id, from, r, err)
	}
}

// change changes a sale whatever its version.
func (s *shop) change(id string, change func(*driver.Sale)) {
	s.Helper()
	_, err := s.p.UpdateSale(s.Context(), id, 0, func(sale *driver.Sale) error { change(sale); return nil }, by("update"))
	if err != nil {
		s.Fatalf("change %q: %v", id, err)
	}
}

func (s *shop) update(change func(*driver.Sale)) {
	s.Helper()
	s.change("s", change)
}

func (s *shop) mustOffer(sku string, delta int64) {
	s.Helper()
	if _, err := s.p.Offer(s.Context(), stock.OfferRequest{Sale: "s", SKU: sku, Delta: delta, Why: "test"}, by("offer")); err != nil {
		s.Fatalf("offer %d of %s: %v", delta, sku, err)
	}
}

// levels reads the stock rows of a sale by SKU, without versions.
func (s *shop) levels(sale string) map[string]driver.Stock {
	s.Helper()
	snap, err := s.p.Snapshot(s.Context())
	if err != nil {
		s.Fatalf("snapshot: %v", err)
	}
	rows := map[string]driver.Stock{}
	for _, row := range snap.Stock {
		if row.Sale == sale {
			row.Version = 0
			rows[row.SKU] = row
		}
	}
	return rows
}

// expectLevel fails the test unless a SKU of the sale "s" has these numbers.
func (s *shop) expectLevel(when, sku string, available, held, sold int64) {
	s.Helper()
	row := s.levels("s")[sku]
	if row.Available != available || row.Held != held || row.Sold != sold || row.Offered-row.Withdrawn != available+held+sold {
		s.Errorf("%s: %s is %+v, want available %d, held %d, sold %d", when, sku, row, available, held, sold)
	}
}

// audit fails the test unless everything in the database agrees with everything else: stock rows with the journal, claims
// with stock rows, allowances with claims, one binding per key.
func (s *shop) audit() {
	s.Helper()
	all := s.dump()
	checkSnapshot(s, &driver.Snapshot{Seq: all.Seq, Stock: all.Stock}, all.Journal)
	held, sold := map[driver.StockRef]int64{}, map[driver.StockRef]int64{}
	taken := map[driver.TakenRef]int64{}
	bound := map[driver.Key]int{}
	for _, e := range all.Journal {
		if e.Kind == driver.Hold || e.Kind == driver.Refuse {
			bound[e.Attempt.Key]++
		}
	}
	for k, n := range bound {
		if n != 1 {
			s.Errorf("key %q is bound %d times", k, n)
		}
	}
	for _, c := range all.Claims {
		if c == nil || c.State == driver.Released {
			continue
		}
		for _, l := range c.Lines {
			ref := driver.StockRef{Sale: c.Key.Sale, SKU: l.SKU}
			taken[driver.TakenRef{Sale: c.Key.Sale, SKU: l.SKU, User: c.Key.User}] += l.Quantity
			if c.State == driver.Held {
				held[ref] += l.Quantity
			} else {
				sold[ref] += l.Quantity
			}
		}
	}
	for _, row := range all.Stock {
		ref := driver.StockRef{Sale: row.Sale, SKU: row.SKU}
		if row.Held != held[ref] || row.Sold != sold[ref] {
			s.Errorf("the claims hold %d and sold %d of %+v", held[ref], sold[ref], row)
		}
	}
	if err := CheckLists(all.Sales, all.Journal); err != nil {
		s.Error(err)
	}
	maps.DeleteFunc(all.Taken, func(_ driver.TakenRef, n int64) bool { return n == 0 })
	same(s, "allowances against claims", all.Taken, taken)
	if ids := slices.Collect(maps.Keys(all.Claims)); len(ids) > 0 && slices.Max(ids) > all.LastID {
		s.Errorf("the snapshot's highest id is %v, claim %v is higher", all.LastID, slices.Max(ids))
	}
}
