package drivertest

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"penstock/errs"
	"penstock/internal/ident"
	"penstock/stock"
	"penstock/stock/driver"
)

// forged is a stock with one planted mistake in Attempt, Lookup, Release or Snapshot.
type forged struct {
	port
	attempt  func(p port, ctx context.Context, r stock.Request) stock.Answer
	lookup   func(p port, ctx context.Context, sale, user, key string) (stock.Answer, bool, error)
	release  func(p port, ctx context.Context, id ident.ID, from driver.ClaimState, why string) (stock.MoveResult, error)
	snapshot func(p port, ctx context.Context) (*driver.Snapshot, error)
}

func (f *forged) Attempt(ctx context.Context, r stock.Request) stock.Answer {
	if f.attempt == nil {
		return f.port.Attempt(ctx, r)
	}
	return f.attempt(f.port, ctx, r)
}

func (f *forged) Lookup(ctx context.Context, sale, user, key string) (stock.Answer, bool, error) {
	if f.lookup == nil {
		return f.port.Lookup(ctx, sale, user, key)
	}
	return f.lookup(f.port, ctx, sale, user, key)
}

func (f *forged) Release(ctx context.Context, id ident.ID, from driver.ClaimState, why, trace string) (stock.MoveResult, error) {
	if f.release == nil {
		return f.port.Release(ctx, id, from, why, trace)
	}
	return f.release(f.port, ctx, id, from, why)
}

func (f *forged) Snapshot(ctx context.Context) (*driver.Snapshot, error) {
	if f.snapshot == nil {
		return f.port.Snapshot(ctx)
	}
	return f.snapshot(f.port, ctx)
}

// oversells tells a buyer he won though nothing was left: every time, or once in n refusals.
func oversells(n int64) *forged {
	var refused atomic.Int64
	return &forged{attempt: func(p port, ctx context.Context, r stock.Request) stock.Answer {
		a := p.Attempt(ctx, r)
		if a.Reason == errs.StockHeld && refused.Add(1)%n == 0 {
			k := driver.Key{Sale: r.Sale, User: r.User, Key: r.Key}
			return stock.Answer{State: stock.Won, Attempt: &driver.Attempt{ID: ident.ID(refused.Load()), Key: k, State: driver.Held}}
		}
		return a
	}}
}

// rewrites changes every request before it is decided.
func rewrites(f func(*stock.Request)) *forged {
	return &forged{attempt: func(p port, ctx context.Context, r stock.Request) stock.Answer {
		f(&r)
		return p.Attempt(ctx, r)
	}}
}

// answers changes every answer.
func answers(f func(*stock.Answer)) *forged {
	return &forged{attempt: func(p port, ctx context.Context, r stock.Request) stock.Answer {
		a := p.Attempt(ctx, r)
		f(&a)
		return a
	}}
}

// bindsRefusals remembers a refusal that binds nothing and repeats it for ever.
func bindsRefusals() *forged {
	var mu sync.Mutex
	held := map[driver.Key]stock.Answer{}
	return &forged{attempt: func(p port, ctx context.Context, r stock.Request) stock.Answer {
		k := driver.Key{Sale: r.Sale, User: r.User, Key: r.Key}
		mu.Lock()
		defer mu.Unlock()
		if a, ok := held[k]; ok {
			return a
		}
		a := p.Attempt(ctx, r)
		if a.Reason == errs.StockHeld {
			held[k] = a
		}
		return a
	}}
}

// staleReads answers every snapshot with the one before.
func staleReads() *forged {
	var mu sync.Mutex
	var last *driver.Snapshot
	return &forged{snapshot: func(p port, ctx context.Context) (*driver.Snapshot, error) {
		mu.Lock()
		defer mu.Unlock()
		now, err := p.Snapshot(ctx)
		if last == nil {
			last = now
		}
		now, last = last, now
		return now, err
	}}
}

// refusesBeforeLooking answers a pause to known keys too.
func refusesBeforeLooking() *forged {
	return &forged{attempt: func(p port, ctx context.Context, r stock.Request) stock.Answer {
		if s, err := p.Snapshot(ctx); err == nil {
			for _, sale := range s.Sales {
				if sale.ID == r.Sale && sale.Paused {
					return lost(errs.SalePaused)
				}
			}
		}
		return p.Attempt(ctx, r)
	}}
}

func everyNth() func(*stock.Request) {
	var n atomic.Int64
	return func(r *stock.Request) { r.Key += strings.Repeat("+", int(n.Add(1))) }
}

// Each mistake planted above the driver fails the case that is about it.
func TestPortCasesCatchMistakes(t *testing.T) {
	t.Parallel()
	for _, m := range []struct {
		mistake, name string
		plant         func() *forged
	}{
		{"one unit too many is sold in a storm", "2 units and 20 buyers", func() *forged { return oversells(5) }},
		{"one unit too many is sold in a history", "histories are linearizable", func() *forged { return oversells(4) }},
		{"one unit too many is sold in a model run", "the model agrees", func() *forged { return oversells(1) }},
		{"keys are forgotten in a history", "histories are linearizable", func() *forged { return rewrites(everyNth()) }},
		{"keys are forgotten", "a known key gets its answer whatever happened since", func() *forged { return rewrites(everyNth()) }},
		{"keys are forgotten in a model run", "the model agrees", func() *forged { return rewrites(everyNth()) }},
		{"reads are stale", "histories are linearizable", staleReads},
		{"a pause comes before replay", "a known key gets its answer whatever happened since", refusesBeforeLooking},
		{"a held-for-now binds", "released units can be bought again", bindsRefusals},
		{"a held-for-now binds in a history", "histories are linearizable", bindsRefusals},
		{"carts are torn", "a cart is all or nothing", func() *forged {
			return rewrites(func(r *stock.Request) { r.Items = r.Items[:1] })
		}},
		{"the limit counts per key", "rule: over what is left of the limit", func() *forged {
			return rewrites(func(r *stock.Request) { r.User += r.Key })
		}},
		{"unknown is told as refused", "a deadline is answered unknown and settles", func() *forged {
			return answers(func(a *stock.Answer) {
				if a.State == stock.Unknown {
					*a = lost(errs.StockHeld)
				}
			})
		}},
		{"everything empty is sold out", "rule: all held", func() *forged {
			return answers(func(a *stock.Answer) {
				if a.Reason == errs.StockHeld {
					a.Reason = errs.SoldOut
				}
			})
		}},
		{"replays are not marked", "rule: all sold", func() *forged {
			return answers(func(a *stock.Answer) { a.Replayed = false })
		}},
		{"lookup misses refusals", "lookup tells what a key is bound to", func() *forged {
			return &forged{lookup: func(p port, ctx context.Context, sale, user, key string) (stock.Answer, bool, error) {
				a, ok, err := p.Lookup(ctx, sale, user, key)
				return a, ok && a.State == stock.Won, err
			}}
		}},
		{"a release always says it moved", "pay and expire have one winner", func() *forged {
			return &forged{release: func(p port, ctx context.Context, id ident.ID, from driver.ClaimState, why string) (stock.MoveResult, error) {
				r, err := p.Release(ctx, id, from, why, "")
				r.Moved = true
				return r, err
			}}
		}},
		{"a release takes back what is sold", "moves follow the claim's states", func() *forged {
			return &forged{release: func(p port, ctx context.Context, id ident.ID, from driver.ClaimState, why string) (stock.MoveResult, error) {
				if c, err := p.Claim(ctx, id); err == nil && c != nil && c.State == driver.Sold {
					from = driver.Sold
				}
				return p.Release(ctx, id, from, why, "")
			}}
		}},
	} {
		t.Run(m.mistake, func(t *testing.T) {
			t.Parallel()
			h := memHarness("")
			h.wrap = func(p port) port {
				f := m.plant()
				f.port = p
				return f
			}
			if !fails(t, caseNamed(t, PortCases(), m.name), h) {
				t.Errorf("the case %q does not notice that %s", m.name, m.mistake)
			}
		})
	}
}

// Mistakes of a driver show above it too.
func TestPortCasesCatchDriverMistakes(t *testing.T) {
	t.Parallel()
	for mistake, name := range map[string]string{
		"release keeps the allowance":  "released units can be bought again",
		"passes are forgotten":         "a pass binds one key",
		"opening forgets allowances":   "answers survive a restart",
		"a crash loses the last entry": "answers survive a restart",
		"offers leave no key":          "an offer counts once and never takes what is held",
		"due is late by one":           "nothing is sold after its release time",

		"the last comes first":              "what comes back goes to who waits first",
		"a big wish stops the list":         "a wish too big keeps its place",
		"the list does not know allowances": "an entry over the limit is skipped",
		"a join forgets its key":            "a join is known by its key",
		"positions count who has left":      "who leaves a list gets nothing",
		"lists of all skus are one":         "the model agrees on waiting lists",
		"who has left still waits":          "the model agrees on waiting lists",
	} {
		t.Run(mistake, func(t *testing.T) {
			t.Parallel()
			if !fails(t, caseNamed(t, PortCases(), name), memHarness(mistake)) {
				t.Errorf("the case %q does not notice that %s", name, mistake)
			}
		})
	}
}
