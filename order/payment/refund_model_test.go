package payment_test

import (
	"context"
	"errors"
	"flag"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"penstock/errs"
	"penstock/internal/engines"
	"penstock/internal/ident"
	"penstock/order"
	"penstock/order/payment"
	"penstock/stock/driver"
)

// TestMain runs the model fewer times than rapid would, because every case syncs files; -rapid.checks=N runs it N times.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		if err := flag.Set("rapid.checks", "25"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// What a bank does with a call.
const (
	bankDoes     = iota
	bankDeaf     // the call does not arrive
	bankMute     // the answer does not arrive
	bankWaits    // it has not decided yet; a charge is done, and nobody hears of it
	bankDeclines // it never will; a charge is not heard
	bankMoods
)

var errLine = errors.New("the line is dead")

// bank is a provider that is the truth about money; what it does with the next calls is planned, and then it does what it is told.
type bank struct {
	mu       sync.Mutex
	moods    []int
	captured map[ident.ID]int64
	back     map[ident.ID]payment.RefundCall
	declined map[ident.ID]bool
}

func newBank() *bank {
	return &bank{captured: map[ident.ID]int64{}, back: map[ident.ID]payment.RefundCall{}, declined: map[ident.ID]bool{}}
}

func (b *bank) plan(moods []int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.moods = moods
}

// mood is called with the lock held.
func (b *bank) mood() int {
	if len(b.moods) == 0 {
		return bankDoes
	}
	m := b.moods[0]
	b.moods = b.moods[1:]
	return m
}

// gave sums up what went back of a payment.
func (b *bank) gave(id ident.ID) (sum int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.back {
		if r.Payment == id {
			sum += r.Amount
		}
	}
	return sum
}

func (b *bank) Check(payment.Begin) error { return nil }

func (b *bank) Charge(_ context.Context, c payment.Charge) (payment.Result, error) {
	b.mu.Lock()
	mood := b.mood()
	if mood != bankDeaf && mood != bankDeclines {
		b.captured[c.Payment] = c.Amount
	}
	b.mu.Unlock()
	if mood != bankDoes {
		return payment.Result{}, errLine
	}
	return b.Query(context.Background(), c.Payment)
}

func (b *bank) Query(_ context.Context, id ident.ID) (payment.Result, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	amount, ok := b.captured[id]
	if !ok {
		return payment.Result{Status: payment.Absent}, nil
	}
	return payment.Result{Status: payment.Taken, Ref: "bank-" + id.String(), Amount: amount, Currency: "EUR"}, nil
}

func (b *bank) Refund(_ context.Context, r payment.RefundCall) (payment.Result, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	mood := b.mood()
	if _, done := b.back[r.Refund]; !done && !b.declined[r.Refund] {
		switch mood {
		case bankDoes, bankMute:
			b.back[r.Refund] = r
		case bankDeclines:
			b.declined[r.Refund] = true
		}
	}
	switch {
	case mood == bankDeaf || mood == bankMute:
		return payment.Result{}, errLine
	case b.declined[r.Refund]:
		return payment.Result{Status: payment.Declined, Why: "no"}, nil
	case b.back[r.Refund].Amount == 0:
		return payment.Result{Status: payment.Waiting}, nil
	}
	return payment.Result{Status: payment.Returned, Amount: r.Amount, Currency: r.Currency}, nil
}

func (b *bank) Event(http.Header, []byte) (payment.Event, error) { return payment.Event{}, errLine }

// refunding is the machine: an order, what was done with it, and the bank.
type refunding struct {
	w     *world
	bank  *bank
	order ident.ID
	pay   payment.Payment
}

// openBank lets a bank be the provider of the world.
func (m *refunding) openBank(t testing.TB) {
	t.Helper()
	p, err := payment.Over(m.w.t.Context(), m.w.on.open(m.w.t, m.w.where, nil), payment.Deps{
		Orders: m.w.shop, Stock: m.w.shop, Providers: map[string]payment.Provider{"bank": m.bank, "sandbox": m.w.client},
	}, payment.Options{Clock: m.w.clk})
	if err == nil {
		err = p.Start(m.w.t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	m.w.pay.Store(p)
}

func (m *refunding) moods(t *rapid.T) {
	m.bank.plan(rapid.SliceOfN(rapid.IntRange(0, bankMoods-1), 0, 4).Draw(t, "moods"))
}

// capture pays the order, whatever becomes of the answer.
func (m *refunding) capture(t *rapid.T) {
	if m.pay.ID != 0 {
		t.Skip("begun")
	}
	m.moods(t)
	p, _, err := m.w.pay.Load().Begin(m.w.t.Context(), payment.Begin{Order: m.order, User: "u", Key: "k", Method: "bank"})
	if err != nil {
		t.Fatal(err)
	}
	m.pay = p
}

func drawRefund(t *rapid.T, id ident.ID) payment.Refund {
	return payment.Refund{
		Order: id, User: "u", Key: rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"}).Draw(t, "key"),
		Amount:      rapid.SampledFrom([]int64{0, 1, 100, 700, 1000, price, price + 1}).Draw(t, "amount"),
		ReturnStock: rapid.IntRange(0, 4).Draw(t, "return") == 0,
	}
}

// ask makes a call that may be answered in any way that a caller is told of.
func (m *refunding) ask(t *rapid.T, r payment.Refund) {
	_, _, err := m.w.pay.Load().Refund(m.w.t.Context(), r)
	if err != nil && !slices.Contains([]errs.Code{errs.RefundTooLarge, errs.IllegalTransition, errs.KeyReused, errs.Unknown}, errs.CodeOf(err)) {
		t.Errorf("%+v: %v", r, err)
	}
}

func (m *refunding) refund(t *rapid.T) {
	m.moods(t)
	m.ask(t, drawRefund(t, m.order))
}

// burst lets refunds race; some callers ask for the same.
func (m *refunding) burst(t *rapid.T) {
	m.moods(t)
	var all sync.WaitGroup
	var r payment.Refund
	for i := range rapid.IntRange(2, 6).Draw(t, "callers") {
		if i == 0 || rapid.Bool().Draw(t, "another") {
			r = drawRefund(t, m.order)
		}
		all.Go(func() { m.ask(t, r) })
	}
	all.Wait()
}

// tick lets the recovery loop have its way with a bank in any mood.
func (m *refunding) tick(t *rapid.T) {
	m.moods(t)
	m.w.clk.Advance(time.Duration(rapid.IntRange(1, 3).Draw(t, "seconds")) * time.Second)
}

func (m *refunding) restart(t *rapid.T) {
	if err := m.w.pay.Load().Stop(); err != nil {
		t.Fatal(err)
	}
	m.openBank(m.w.t)
}

// check is what must hold at any moment: nothing more went back, or is on its way back, than was captured.
func (m *refunding) check(t *rapid.T) {
	if m.pay.ID == 0 {
		return
	}
	all, err := m.w.pay.Load().Refunds(m.w.t.Context(), m.pay.ID)
	if err != nil {
		t.Fatal(err)
	}
	var claimed int64
	for _, r := range all {
		if r.State != payment.Failed {
			claimed += r.Amount
		}
	}
	got := m.w.payment(m.pay)
	if gave := m.bank.gave(m.pay.ID); claimed > got.Captured || gave > got.Captured || got.Refunded > gave {
		t.Errorf("captured %d, refunds of %d, the bank gave %d, known to be back %d", got.Captured, claimed, gave, got.Refunded)
	}
}

// end heals the bank and wants everybody to say the same.
func (m *refunding) end(t *rapid.T) {
	m.bank.plan(nil)
	if m.pay.ID == 0 {
		m.ask(t, payment.Refund{Order: m.order, Key: "early"})
		m.capture(t)
		m.bank.plan(nil)
	}
	m.w.settled()
	m.same(t)
	_, _, err := m.w.pay.Load().Refund(m.w.t.Context(), payment.Refund{Order: m.order, Key: "rest"})
	if got := m.w.payment(m.pay); err != nil && !errs.Is(err, errs.IllegalTransition) || got.Refunded != price || got.State != payment.Refunded {
		t.Errorf("the rest: %v, %+v", err, got)
	}
	if _, _, err = m.w.pay.Load().Refund(m.w.t.Context(), payment.Refund{Order: m.order, Key: "more", Amount: 1}); err == nil {
		t.Error("more went back than there was")
	}
	m.same(t)
}

func (m *refunding) same(t *rapid.T) {
	m.check(t)
	got, o := m.w.payment(m.pay), m.w.order(m.order)
	gave := m.bank.gave(m.pay.ID)
	var ledger, told int64
	now := m.w.clk.Now()
	for after := int64(0); ; {
		page, err := m.w.pay.Load().Moved(m.w.t.Context(), payment.Span{Provider: "bank", From: now.Add(-time.Hour * 1e4), To: now.Add(time.Hour), After: after, Limit: 500})
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range page {
			if after = line.Seq; line.Payment == m.pay.ID && line.Kind == "refund" {
				ledger += line.Amount
			}
		}
		if len(page) < 500 {
			break
		}
	}
	all, err := m.w.pay.Load().Refunds(m.w.t.Context(), m.pay.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if r.State == payment.Refunded {
			told += r.Amount
		} else if r.State != payment.Failed {
			t.Errorf("refund %s is %s at rest", r.ID, r.State)
		}
	}
	if got.Captured != price || got.Refunded != gave || ledger != gave || told != gave || o.Refunded != gave {
		t.Errorf("captured %d; the bank gave %d back, the payment says %d, the ledger %d, the refunds %d, the order %d", got.Captured, gave, got.Refunded, ledger, told, o.Refunded)
	}
	claim, err := m.w.shop.Claim(m.w.t.Context(), m.order)
	if err != nil || (claim.State == driver.Released || gave == price) != (o.State == order.Refunded) || gave == 0 && claim.State != driver.Sold {
		t.Errorf("%d went back, the order is %s, its claim %s, %v", gave, o.State, claim.State, err)
	}
}

func testRefundModel(t *testing.T, on engine) {
	w := setup(t, on, nil)
	w.step = time.Second
	if err := w.pay.Load().Stop(); err != nil {
		t.Fatal(err)
	}
	b := newBank()
	(&refunding{w: w, bank: b}).openBank(t)
	rapid.Check(t, func(t *rapid.T) {
		m := &refunding{w: w, bank: b, order: w.shop.sell("u")}
		t.Repeat(map[string]func(*rapid.T){
			"": m.check, "capture": m.capture, "refund": m.refund, "again": m.refund, "burst": m.burst, "tick": m.tick, "restart": m.restart,
		})
		m.end(t)
	})
}

// Whatever is asked in whatever order, and whatever the provider does with it, never more goes back than was captured; when all
// is quiet, provider, payment, ledger, refunds, order and claim say the same. Over SQLite.
func TestRefundModelOnSQLite(t *testing.T) {
	t.Parallel()
	testRefundModel(t, onSQLite)
}

// The same over MariaDB.
func TestRefundModelOnMySQL(t *testing.T) {
	t.Parallel()
	testRefundModel(t, onMySQL(engines.MariaDB(t)))
}
