package sale_test

import (
	"context"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"penstock/errs"
	"penstock/sale"
	"penstock/stock"
	"penstock/stock/driver"
	"penstock/stock/gate"
	"penstock/stock/sqlitestock"
)

// counting counts look-ups, and holds decisions back while wait is not nil.
type counting struct {
	driver.Driver
	lookups atomic.Int64
	wait    atomic.Pointer[chan struct{}]
	waiting atomic.Int64
}

func (c *counting) Attempt(ctx context.Context, k driver.Key) (*driver.Attempt, error) {
	c.lookups.Add(1)
	return c.Driver.Attempt(ctx, k)
}

func (c *counting) Decide(ctx context.Context, reads *driver.Reads, decide func(*driver.State) *driver.Changes) error {
	if w := c.wait.Load(); w != nil {
		c.waiting.Add(1)
		<-*w
	}
	return c.Driver.Decide(ctx, reads, decide)
}

// asked counts what a gate is asked.
type asked struct {
	*gate.Memory
	n atomic.Int64
}

func (g *asked) Admit(ctx context.Context, now time.Time, r *stock.Request) gate.Verdict {
	g.n.Add(1)
	return g.Memory.Admit(ctx, now, r)
}

// hall is a sale with a line of which only ann ever had passes.
type hall struct {
	*sale.Sales
	drv  *counting
	gate *asked
	t    *testing.T
}

func openHall(t *testing.T) *hall {
	t.Helper()
	drv, err := sqlitestock.Open(t.Context(), filepath.Join(t.TempDir(), "stock.db"), sqlitestock.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := &hall{drv: &counting{Driver: drv}, gate: &asked{Memory: gate.New(0)}, t: t}
	st, err := stock.New(t.Context(), h.drv, stock.Options{OnCommit: h.gate.Observe})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = st.Close(context.Background()), drv.Close() })
	h.Sales = sale.New(st, h.gate, sale.Options{Passed: func(_ context.Context, _, user string) bool { return user == "ann" }})
	now := time.Now()
	if _, err := h.Create(t.Context(), "op", sale.Definition{
		ID: "s", Title: "T", StartsAt: now.Add(-time.Hour), EndsAt: now.Add(time.Hour), Admission: driver.AdmitLine,
		Items: []sale.ItemDefinition{{SKU: "tea", Title: "Tea", Price: 990, Currency: "CNY", Stock: 9}},
	}); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *hall) attempt(user, key string, pass uint64) stock.Answer {
	r := stock.Request{Sale: "s", User: user, Key: key, Items: []stock.Item{{SKU: "tea", Quantity: 1}}, Pass: pass}
	if pass != 0 {
		r.PassSKU = "tea"
	}
	return h.Attempt(h.t.Context(), r)
}

// Attempts without a pass cost no look-up and no question to the gate, which may be shared and count units, unless their user may have
// something bound; who has, is told what it is.
func TestAttemptsWithoutAPassCostNothing(t *testing.T) {
	t.Parallel()
	h := openHall(t)
	for range 100 {
		if a := h.attempt("eve", "k", 0); a.Reason != errs.PassRequired {
			t.Fatalf("without a pass: %v", a.Reason)
		}
	}
	if n := h.drv.lookups.Load() + h.gate.n.Load(); n != 0 {
		t.Errorf("a hundred attempts without a pass cost %d look-ups and questions", n)
	}
	won := h.attempt("ann", "k", 7)
	if again := h.attempt("ann", "k", 0); won.State != stock.Won || again.State != stock.Won || !again.Replayed {
		t.Errorf("with the pass %v, again without it %v", won, again)
	}
	if other := h.attempt("ann", "k2", 0); other.Reason != errs.PassRequired {
		t.Errorf("another key without a pass: %v", other)
	}
}

// A call without a pass does not win in the shadow of one with a used pass and the same key that is being decided.
func TestNoWinInTheShadowOfAUsedPass(t *testing.T) {
	t.Parallel()
	h := openHall(t)
	if a := h.attempt("ann", "k", 7); a.State != stock.Won {
		t.Fatalf("with the pass: %v", a)
	}
	held := make(chan struct{})
	h.drv.wait.Store(&held)
	answers := make(chan stock.Answer, 2)
	go func() { answers <- h.attempt("ann", "k2", 7) }()
	for h.drv.waiting.Load() == 0 {
		time.Sleep(time.Millisecond) // polling until the first call is being decided
	}
	go func() { answers <- h.attempt("ann", "k2", 0) }()
	for h.drv.lookups.Load() == 0 {
		time.Sleep(time.Millisecond) // polling until the second has found the key in flight
	}
	h.drv.wait.Store(nil)
	close(held)
	for range 2 {
		if a := <-answers; a.Reason != errs.PassUsed && a.Reason != errs.PassRequired {
			t.Errorf("told %v %s", a.State, a.Reason)
		}
	}
}

// A draw whose order could be tried out in advance is not accepted: it must name the public value that it waits for.
func TestADrawNeedsAPublicSource(t *testing.T) {
	t.Parallel()
	h := openHall(t)
	now := time.Now()
	d := sale.Definition{
		ID: "d", Title: "T", StartsAt: now, EndsAt: now.Add(time.Hour), Admission: driver.AdmitDraw,
		Items: []sale.ItemDefinition{{SKU: "tea", Title: "Tea", Price: 990, Currency: "CNY", Stock: 9}},
	}
	for _, l := range []*driver.LineRules{nil, {ClosesAt: now.Add(time.Minute)}} {
		d.Line = l
		if _, err := h.Create(t.Context(), "op", d); err == nil || !errs.Is(err, errs.Invalid) || err.(*errs.Error).Fields[0].Pointer != "/line/publicSource" {
			t.Errorf("line %+v: %v", l, err)
		}
	}
	d.Line = &driver.LineRules{PublicSource: "drand quicknet round 4711"}
	if _, err := h.Create(t.Context(), "op", d); err != nil {
		t.Error(err)
	}
	d.ID, d.Line = "e", &driver.LineRules{PublicSource: strings.Repeat("x", 201)}
	if _, err := h.Create(t.Context(), "op", d); !errs.Is(err, errs.Invalid) {
		t.Errorf("a source of 201 bytes: %v", err)
	}
}
