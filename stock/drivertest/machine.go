package drivertest

import (
	"maps"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"penstock/errs"
	"penstock/internal/ident"
	"penstock/stock"
	"penstock/stock/driver"
)

// machine runs one random history of a sale against the model, in a database of its own so that a failure can be shortened.
type machine struct {
	s *shop
	m *model
	// list says that the sale keeps a waiting list; then it has begun, and little is on offer.
	list bool
	// tried are earlier requests, so that keys come again with the same items.
	tried []stock.Request
}

// Whatever a few users, an operator, the clock and restarts do to a sale, every answer is one that the rules allow and the
// database holds exactly what they lead to.
func modelAgrees(t testing.TB, h Harness) {
	run(t, h, false, func(*machine) map[string]func(*rapid.T) { return nil })
}

// The same with a waiting list: the model serves its own, and places, offers and claims are those of the database after every
// step.
func listModelAgrees(t testing.TB, h Harness) {
	run(t, h, true, func(m *machine) map[string]func(*rapid.T) {
		return map[string]func(*rapid.T){"join": m.join, "join2": m.join, "join3": m.join, "leave": m.leave, "release2": m.release}
	})
}

func run(t testing.TB, h Harness, list bool, more func(*machine) map[string]func(*rapid.T)) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newShop(t, h)
		m := &machine{s: s, list: list}
		m.begin(rt)
		actions := map[string]func(*rapid.T){
			"":         m.levels,
			"attempt":  m.attempt,
			"attempt2": m.attempt,
			"retry":    m.retry,
			"sell":     m.sell,
			"release":  m.release,
			"offer":    m.offer,
			"change":   m.change,
			"advance":  m.advance,
			"look up":  m.lookup,
			"restart":  m.restart,
			"tidy":     m.tidy,
		}
		maps.Copy(actions, more(m))
		rt.Repeat(actions)
		m.end(rt)
		s.audit()
		s.stop()
		if err := s.drv.Close(); err != nil {
			rt.Fatalf("close: %v", err)
		}
	})
}

func (m *machine) begin(rt *rapid.T) {
	now := m.s.clk.Now()
	sale := driver.Sale{
		ID: "s", Title: "t", StartsAt: now.Add(time.Duration(rapid.IntRange(-1, 1).Draw(rt, "start")) * time.Minute),
		EndsAt: now.Add(time.Hour), Window: 10 * time.Minute, Grace: time.Minute, Admission: "open",
	}
	offers, most := map[string]int64{}, int64(4)
	if m.list {
		sale.StartsAt, sale.WaitingList, most = now, true, 2
	}
	for _, sku := range []string{"a", "b"} {
		limit := rapid.SampledFrom([]int64{0, 1, 3}).Draw(rt, "limit "+sku)
		sale.Items = append(sale.Items, driver.SaleItem{SKU: sku, Title: sku, Price: int64(len(sale.Items)*7 + 5), Currency: "CNY", Limit: limit})
		offers[sku] = rapid.Int64Range(0, most).Draw(rt, "stock "+sku)
	}
	created, err := m.s.p.CreateSale(m.s.Context(), sale, offers, by("create"))
	if err != nil {
		rt.Fatalf("create: %v", err)
	}
	m.m = newModel(created, offers)
}

func (m *machine) attempt(rt *rapid.T) {
	r := stock.Request{
		Sale: "s", User: rapid.SampledFrom([]string{"u", "v", "w"}).Draw(rt, "user"),
		Key: rapid.SampledFrom([]string{"1", "2", "3", "4"}).Draw(rt, "key"),
	}
	for _, sku := range rapid.SampledFrom([][]string{{"a"}, {"b"}, {"a", "b"}, {"a", "zz"}}).Draw(rt, "skus") {
		r.Items = append(r.Items, item(sku, rapid.SampledFrom([]int64{1, 1, 2, 3}).Draw(rt, "quantity")))
	}
	m.tried = append(m.tried, r)
	m.send(rt, r)
}

func (m *machine) retry(rt *rapid.T) {
	if len(m.tried) == 0 {
		rt.Skip()
	}
	m.send(rt, rapid.SampledFrom(m.tried).Draw(rt, "again"))
}

func (m *machine) send(rt *rapid.T, r stock.Request) {
	a := m.s.p.Attempt(m.s.Context(), r)
	if err := m.m.attempted(r, m.s.clk.Now(), a); err != nil {
		rt.Fatal(err)
	}
}

func (m *machine) claim(rt *rapid.T) ident.ID {
	ids := m.m.claimIDs()
	if len(ids) == 0 {
		rt.Skip()
	}
	return ids[rapid.IntRange(0, len(ids)-1).Draw(rt, "claim")]
}

func (m *machine) moved(rt *rapid.T, what string, r stock.MoveResult, err error, want bool) {
	if err != nil || r.Claim == nil || r.Moved != want {
		rt.Fatalf("%s: %+v, %v, want moved %v", what, r, err, want)
	}
	if err := m.m.sameClaim(r.Claim); err != nil {
		rt.Fatalf("%s: %v", what, err)
	}
}

func (m *machine) sell(rt *rapid.T) {
	id := m.claim(rt)
	r, err := m.s.p.Sell(m.s.Context(), id, "", "")
	m.moved(rt, "sell", r, err, m.m.sold(id, m.s.clk.Now()))
	m.handedOver(rt)
}

func (m *machine) release(rt *rapid.T) {
	id := m.claim(rt)
	from, why := driver.Held, rapid.SampledFrom([]string{stock.WhyExpired, stock.WhyCancelled}).Draw(rt, "why")
	if rapid.Bool().Draw(rt, "refund") {
		from, why = driver.Sold, stock.WhyRefunded
	}
	r, err := m.s.p.Release(m.s.Context(), id, from, why, "")
	m.moved(rt, "release from "+from.String(), r, err, m.m.released(id, from, why))
	m.handedOver(rt)
}

func (m *machine) offer(rt *rapid.T) {
	r := stock.OfferRequest{
		Sale: "s", SKU: rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "sku"), Why: "w",
		Delta: rapid.SampledFrom([]int64{-3, -1, 1, 2}).Draw(rt, "delta"), Key: rapid.SampledFrom([]string{"", "o1", "o2"}).Draw(rt, "key"),
	}
	_, err := m.s.p.Offer(m.s.Context(), r, by("offer"))
	if errs.Is(err, errs.SaleClosed) && m.m.closed(m.s.clk.Now()) {
		return
	}
	if want := m.m.offered(r); errs.CodeOf(err) != want {
		rt.Fatalf("offer %+v: %v, want %q", r, err, want)
	}
	m.handedOver(rt)
}

func (m *machine) change(rt *rapid.T) {
	what := rapid.SampledFrom([]string{"pause", "resume", "resume", "sold out", "close", "reopen", "extend", "extend"}).Draw(rt, "what")
	change := func(x *driver.Sale) {
		switch what {
		case "pause":
			x.Paused = true
		case "resume":
			x.Paused, x.SoldOut = false, false
		case "sold out":
			x.SoldOut = true
		case "close":
			x.ClosedAt = m.s.clk.Now()
		case "reopen":
			x.ClosedAt = time.Time{}
		case "extend":
			x.EndsAt = m.s.clk.Now().Add(time.Hour)
		}
		x.Items = slices.Clone(x.Items)
		x.Items[0].Price++
	}
	seen := rapid.SampledFrom([]int64{0, m.m.sale.Version, m.m.sale.Version - 1}).Draw(rt, "version seen")
	got, err := m.s.p.UpdateSale(m.s.Context(), "s", seen, func(x *driver.Sale) error { change(x); return nil }, by(what))
	if seen != 0 && seen != m.m.sale.Version {
		if !errs.Is(err, errs.VersionMismatch) {
			rt.Fatalf("%s under version %d: %v", what, seen, err)
		}
		return
	}
	if errs.Is(err, errs.SaleClosed) && m.m.closed(m.s.clk.Now()) {
		return
	}
	if err != nil {
		rt.Fatalf("%s: %v", what, err)
	}
	ended := m.m.closed(m.s.clk.Now())
	change(&m.m.sale)
	m.m.sale.Version++
	if ended {
		m.m.sale.ClosedAt = got.ClosedAt // tidying closes for good what had ended
	}
	if ended && !m.m.closed(m.s.clk.Now()) {
		rt.Fatalf("%s opened a closed sale again", what)
	}
	if diff := gocmp.Diff(m.m.sale, got, opts); diff != "" {
		rt.Fatalf("the changed sale (-want +got):\n%s", diff)
	}
	m.handedOver(rt)
}

func (m *machine) advance(rt *rapid.T) {
	m.s.clk.advance(rapid.SampledFrom([]time.Duration{time.Millisecond, time.Minute, 10 * time.Minute, 11 * time.Minute, 3 * time.Hour}).Draw(rt, "by"))
}

func (m *machine) lookup(rt *rapid.T) {
	if len(m.tried) == 0 {
		rt.Skip()
	}
	r := rapid.SampledFrom(m.tried).Draw(rt, "of")
	a, ok, err := m.s.p.Lookup(m.s.Context(), r.Sale, r.User, r.Key)
	b := m.m.keys[driver.Key{Sale: r.Sale, User: r.User, Key: r.Key}]
	if err != nil || ok != (b != nil) {
		rt.Fatalf("look up %+v: %+v, %v, %v, bound to %+v", r, a, ok, err, b)
	}
	if b != nil && (a.State != b.answer.State || a.Reason != b.answer.Reason || a.Attempt == nil || a.Attempt.ID != b.answer.Attempt.ID) {
		rt.Fatalf("look up %+v: %+v, bound to %+v", r, a, b.answer)
	}
	if b != nil {
		if err := m.m.sameClaim(a.Attempt); err != nil {
			rt.Fatal(err)
		}
	}
}

// restart is rare: it is the most expensive step.
func (m *machine) restart(rt *rapid.T) {
	if rapid.IntRange(0, 9).Draw(rt, "restart") != 0 {
		rt.Skip()
	}
	m.s.restart()
}

func (m *machine) tidy(rt *rapid.T) {
	if m.s.h.Tidy == nil {
		rt.Skip()
	}
	m.s.h.Tidy(m.s, m.s.drv)
}

func (m *machine) levels(rt *rapid.T) {
	got := m.s.levels("s")
	for sku, want := range m.m.levels {
		if got[sku] != want {
			rt.Fatalf("stock of %s is %+v, want %+v", sku, got[sku], want)
		}
	}
}

// end compares what only a full read shows: due claims, claims, allowances.
func (m *machine) end(rt *rapid.T) {
	now := m.s.clk.Now()
	want := m.m.due(now)
	for _, id := range m.s.due(now, 1<<20) {
		if c := m.s.db.claim(id); c.Key.Sale == "s" && !want[id] {
			rt.Fatalf("claim %v is due, the model says no", id)
		}
		delete(want, id)
	}
	if len(want) > 0 {
		rt.Fatalf("claims %v are not due, the model says they are", want)
	}
	for id := range m.m.claims {
		if err := m.m.sameClaim(m.s.db.claim(id)); err != nil {
			rt.Fatal(err)
		}
	}
	for ref, n := range m.m.taken {
		if got := m.s.taken(ref); got != n {
			rt.Fatalf("allowance %+v is %d, want %d", ref, got, n)
		}
	}
}
