package payment_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock/errs"
	"penstock/internal/clock"
	"penstock/internal/fault"
	"penstock/internal/ident"
	"penstock/order"
	"penstock/order/payment"
	"penstock/order/payment/sandbox"
	"penstock/order/payment/sandbox/client"
	"penstock/stock"
	"penstock/stock/driver"
	"penstock/webhook/standard"
)

const price = 1999

// shop is the smallest stock and order room that keeps their promises: a claim moves by compare-and-set, an order follows.
type shop struct {
	clk *clock.Fake
	ids *ident.Generator

	mu     sync.Mutex
	claims map[ident.ID]*driver.Attempt
	orders map[ident.ID]*order.Order
	sells  map[ident.ID]int
	asked  map[ident.ID]chan struct{}
	free   int             // units that late money can claim again
	dumb   bool            // nobody knows what becomes of claims that are made
	refuse map[string]bool // not nil: the keys that were refused once
}

// isAsked returns what is closed when the claim is about to be sold for the first time.
func (s *shop) isAsked(id ident.ID) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked[id] == nil {
		s.asked[id] = make(chan struct{})
	}
	return s.asked[id]
}

func (s *shop) sell(user string) ident.ID {
	now := s.clk.Now()
	id := s.ids.Next(now, ident.SlotOf(user))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claims[id] = &driver.Attempt{
		ID: id, Key: driver.Key{Sale: "s", User: user}, At: now, Amount: price, Currency: "EUR", State: driver.Held,
		PayBefore: now.Add(time.Minute), ReleaseAt: now.Add(time.Minute + 10*time.Second),
	}
	s.orders[id] = &order.Order{ID: id, User: user, State: order.PendingPayment, Amount: price, Currency: "EUR", PayBefore: now.Add(time.Minute)}
	return id
}

func (s *shop) Claim(_ context.Context, id ident.ID) (*driver.Attempt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.claims[id]; c != nil {
		cp := *c
		return &cp, nil
	}
	return nil, nil
}

func (s *shop) Sell(_ context.Context, id ident.ID, _, _ string) (stock.MoveResult, error) {
	asked := s.isAsked(id)
	s.mu.Lock()
	if s.sells[id]++; s.sells[id] == 1 {
		close(asked)
	}
	s.mu.Unlock()
	return s.move(id, driver.Held, driver.Sold, "")
}

func (s *shop) Release(_ context.Context, id ident.ID, from driver.ClaimState, why, _ string) (stock.MoveResult, error) {
	return s.move(id, from, driver.Released, why)
}

func (s *shop) move(id ident.ID, from, to driver.ClaimState, why string) (stock.MoveResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.claims[id]
	if c == nil {
		return stock.MoveResult{}, errs.New(errs.NotFound, "there is no claim %s", id)
	}
	if c.State == from {
		c.State, c.Why = to, why
	}
	cp := *c
	return stock.MoveResult{Claim: &cp, Moved: c.State == to && c.Why == why}, nil
}

func (s *shop) Get(_ context.Context, user string, id ident.ID) (order.Order, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.orders[id]
	if o == nil || user != "" && o.User != user {
		return order.Order{}, errs.New(errs.NotFound, "there is no order %s", id)
	}
	return *o, nil
}

func (s *shop) Follow(_ context.Context, c *driver.Attempt) (order.Order, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.orders[stock.OrderOf(c)]
	switch {
	case stock.OrderOf(c) != c.ID && o.State == order.Expired && c.State == driver.Sold:
		o.State = order.Paid
	case o.State == order.PendingPayment && c.State == driver.Sold:
		o.State = order.Paid
	case o.State == order.PendingPayment && c.State == driver.Released:
		o.State = order.Expired
	}
	return *o, nil
}

func (s *shop) AddRefund(_ context.Context, id ident.ID, r order.Refund) (order.Order, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.orders[id]
	if o.Refunded == r.Before+r.Amount {
		return *o, nil
	}
	if o.Refunded != r.Before {
		return *o, &order.WrongSum{Has: o.Refunded, Expected: r.Before}
	}
	if o.State != order.Paid && o.State != order.Refunded || o.Refunded+r.Amount > o.Amount {
		return *o, errs.New(errs.RefundTooLarge, "order %s is %s, refunded %d", id, o.State, o.Refunded)
	}
	if o.Refunded += r.Amount; o.Refunded == o.Amount || r.Returned {
		o.State = order.Refunded
	}
	return *o, nil
}

// Attempt claims again as long as there are free units; a key that has won has won.
func (s *shop) Attempt(_ context.Context, r stock.Request) stock.Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.claims {
		if c.Key.User == r.User && c.Key.Key == r.Key {
			cp := *c
			return stock.Answer{State: stock.Won, Attempt: &cp, Replayed: true}
		}
	}
	if s.dumb {
		return stock.Answer{State: stock.Unknown}
	}
	if s.refuse != nil && !s.refuse[r.Key] { // who asks first finds nothing, who asks next does
		s.refuse[r.Key] = true
		return stock.Answer{State: stock.Lost, Reason: errs.StockHeld}
	}
	if s.free == 0 {
		return stock.Answer{State: stock.Lost, Reason: errs.SoldOut}
	}
	s.free--
	now := s.clk.Now()
	c := &driver.Attempt{
		ID: s.ids.Next(now, ident.SlotOf(r.User)), Key: driver.Key{Sale: r.Sale, User: r.User, Key: r.Key}, At: now, Amount: price, Currency: "EUR",
		State: driver.Held, PayBefore: now.Add(time.Minute), ReleaseAt: now.Add(time.Minute + 10*time.Second),
	}
	s.claims[c.ID] = c
	cp := *c
	return stock.Answer{State: stock.Won, Attempt: &cp}
}

func (s *shop) sold(id ident.ID) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sells[id]
}

// expire releases the claim as the payment window does, and lets the order follow.
func (s *shop) expire(id ident.ID) {
	if res, _ := s.Release(context.Background(), id, driver.Held, stock.WhyExpired, ""); res.Moved {
		s.Follow(context.Background(), res.Claim)
	}
}

// expireAround expires the claim at once, or at the moment at which it is sold.
func (s *shop) expireAround(id ident.ID, sold bool) {
	if sold {
		<-s.isAsked(id)
	}
	s.expire(id)
}

// line is the network between payments and the sandbox; cut decides for each request whether it gets lost, and whether before
// or after the sandbox has seen it.
type line struct {
	wire http.Transport
	cut  atomic.Pointer[func(*http.Request) (before, after bool)]
}

func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	before, after := false, false
	if cut := l.cut.Load(); cut != nil {
		before, after = (*cut)(r)
	}
	if before {
		return nil, io.ErrUnexpectedEOF
	}
	resp, err := l.wire.RoundTrip(r)
	if err == nil && after {
		resp.Body.Close()
		return nil, io.ErrUnexpectedEOF
	}
	return resp, err
}

func (l *line) set(cut func(*http.Request) (before, after bool)) { l.cut.Store(&cut) }

// world is a shop, a sandbox with its real HTTP server, and payments between them, on one fake clock.
type world struct {
	t      testing.TB
	on     engine
	where  string
	clk    *clock.Fake
	shop   *shop
	secret standard.Secret
	sb     *sandbox.Service
	client *client.Client
	line   *line
	dir    string
	public *httptest.Server
	prov   *httptest.Server

	// step is how far until moves the clock at a time.
	step   time.Duration
	pay    atomic.Pointer[payment.Payments]
	also   atomic.Pointer[payment.Payments] // a second process that gets every other callback, or nil
	got    atomic.Int64                     // callbacks
	muted  atomic.Bool                      // callbacks do not arrive
	mu     sync.Mutex
	raised map[string]int
	late   map[string]int
	ended  map[bool]int
	// way is what payments opened from now on do with late money.
	way payment.LateMoney
}

func setup(t testing.TB, on engine, faults *fault.Points) *world {
	t.Helper()
	clk := clock.NewFake(time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC))
	w := &world{
		t: t, on: on, where: on.place(t), clk: clk, dir: t.TempDir(), line: &line{wire: http.Transport{MaxIdleConnsPerHost: 64}}, step: 50 * time.Millisecond, raised: map[string]int{}, late: map[string]int{}, ended: map[bool]int{},
		shop: &shop{clk: clk, ids: ident.NewGenerator(0, 0), claims: map[ident.ID]*driver.Attempt{}, orders: map[ident.ID]*order.Order{}, sells: map[ident.ID]int{}, asked: map[ident.ID]chan struct{}{}},
	}
	var err error
	if w.secret, err = standard.NewSecret(rand.Reader); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	w.sb, err = sandbox.New(ctx, filepath.Join(w.dir, "sandbox.db"), w.secret, sandbox.Options{Clock: clk})
	if err != nil {
		t.Fatal(err)
	}
	w.prov = httptest.NewServer(w.sb.Handler())
	w.public = httptest.NewServer(http.HandlerFunc(w.callback))
	w.client, err = client.New(func() string { return w.prov.URL }, func() string { return w.public.URL }, []standard.Secret{w.secret},
		client.Options{Clock: clk, Transport: w.line})
	if err != nil {
		t.Fatal(err)
	}
	w.open(faults)
	if err := w.sb.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.sb.Stop(); err != nil {
			t.Errorf("stop the sandbox: %v", err)
		}
		if err := w.pay.Load().Stop(); err != nil {
			t.Errorf("stop payments: %v", err)
		}
		w.public.Close()
		w.line.wire.CloseIdleConnections()
		w.prov.Close()
	})
	return w
}

// open starts payments on the world's database.
func (w *world) open(faults *fault.Points) {
	w.t.Helper()
	w.pay.Store(w.process(0, faults))
}

// process starts payments as one more process of the given node number would.
func (w *world) process(node int, faults *fault.Points) *payment.Payments {
	w.t.Helper()
	p, err := payment.Over(w.t.Context(), w.on.open(w.t, w.where, faults), payment.Deps{
		Orders: w.shop, Stock: w.shop, Providers: map[string]payment.Provider{"sandbox": w.client},
	}, payment.Options{
		Clock: w.clk, Fault: faults, Node: node, Late: w.way,
		Lately: func(outcome string) { w.mu.Lock(); w.late[outcome]++; w.mu.Unlock() },
		Raised: func(kind string) { w.mu.Lock(); w.raised[kind]++; w.mu.Unlock() },
		Ended:  func(_ string, ok bool) { w.mu.Lock(); w.ended[ok]++; w.mu.Unlock() },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := p.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *world) base() string { return w.prov.URL + "/charges" }

// restart is a crash: payments are closed where they stand and opened again from their database.
func (w *world) restart() {
	w.t.Helper()
	if err := w.pay.Load().Stop(); err != nil {
		w.t.Fatal(err)
	}
	w.open(nil)
}

func (w *world) callback(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || w.muted.Load() {
		rw.WriteHeader(http.StatusBadGateway)
		return
	}
	to := w.pay.Load()
	if also := w.also.Load(); also != nil && w.got.Add(1)%2 == 0 {
		to = also
	}
	if err := to.Callback(r.Context(), "sandbox", r.Header, body); err != nil {
		rw.WriteHeader(errs.CodeOf(err).Status())
	}
}

func (w *world) begin(id ident.ID, user, outcome string) payment.Payment {
	w.t.Helper()
	p, _, err := w.pay.Load().Begin(w.t.Context(), payment.Begin{Order: id, User: user, Key: "k-" + outcome, Method: "sandbox", Outcome: outcome})
	if err != nil {
		w.t.Fatalf("begin %s: %v", outcome, err)
	}
	return p
}

// report signs and delivers a callback of the given type.
func (w *world) report(p payment.Payment, kind, ref, msg string, amount int64) error {
	h, body := w.message(p.ID, kind, ref, msg, amount)
	return w.pay.Load().Callback(w.t.Context(), "sandbox", h, body)
}

func (w *world) message(id ident.ID, kind, ref, msg string, amount int64) (http.Header, []byte) {
	body, err := json.Marshal(sandbox.Event{Type: kind, Timestamp: w.clk.Now(), Data: sandbox.EventData{
		PaymentID: id.String(), ProviderRef: ref, Amount: amount, Currency: "EUR"}})
	if err != nil {
		w.t.Fatal(err)
	}
	h := http.Header{}
	standard.Sign(h, msg, w.clk.Now(), body, w.secret)
	return h, body
}

// until moves the clock in small steps until the condition holds; what it waits for is driven by timers of the fake clock and
// by real goroutines.
func (w *world) until(what string, cond func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if time.Now().After(deadline) {
			w.t.Fatalf("never: %s\n%s", what, w.export())
		}
		w.clk.Advance(w.step)
		<-tick.C
	}
}

func (w *world) idle() bool {
	n, err := w.pay.Load().InFlight(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	m, err := w.sb.Pending(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	return n == 0 && m == 0
}

func (w *world) settled() {
	w.t.Helper()
	w.until("nothing is in flight", w.idle)
}

func (w *world) export() string {
	var b bytes.Buffer
	if err := w.pay.Load().Export(context.Background(), &b); err != nil {
		w.t.Fatal(err)
	}
	return b.String()
}

func (w *world) payment(p payment.Payment) payment.Payment {
	w.t.Helper()
	all, err := w.pay.Load().ByOrder(w.t.Context(), p.Order)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, q := range all {
		if q.ID == p.ID {
			return q
		}
	}
	w.t.Fatalf("payment %s is gone", p.ID)
	return p
}

func (w *world) order(id ident.ID) order.Order {
	w.t.Helper()
	o, err := w.shop.Get(w.t.Context(), "", id)
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

// counted waits until so many payments ended well and badly; the count comes after the commit.
func (w *world) counted(good, bad int) {
	w.t.Helper()
	w.until(fmt.Sprintf("%d successes and %d failures", good, bad), func() bool { return w.endedOf(true) == good && w.endedOf(false) == bad })
}

// money is what the provider kept, in minor units.
func (w *world) money() int64 {
	w.t.Helper()
	all, err := w.sb.Totals(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return all["EUR"].Captured - all["EUR"].Refunded
}

func (w *world) raisedOf(kind string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.raised[kind]
}

func (w *world) endedOf(ok bool) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended[ok]
}
