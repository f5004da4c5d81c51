package sale

import (
	"context"
	"time"

	"penstock/errs"
	"penstock/internal/clock"
	"penstock/stock"
	"penstock/stock/driver"
	"penstock/stock/gate"
)

// Gate is the filter in front of the decision (packages stock/gate and redisgate).
type Gate interface {
	Admit(ctx context.Context, now time.Time, r *stock.Request) gate.Verdict
	// Done is told what became of an attempt that went on to the decision.
	Done(r *stock.Request, a *stock.Answer)
	Sale(id string) *driver.Sale
	Level(sale, sku string) *driver.Stock
}

// Throttle says whether a user may make another attempt now, and if not, when. A refusal does not count.
type Throttle interface {
	Allow(user string) (ok bool, retryAfter time.Duration)
}

// Options tunes [Sales]. The zero value works.
type Options struct {
	Clock clock.Clock
	// Throttle limits attempts per user; nil means no limit.
	Throttle Throttle
	// Window is the payment window of a sale that names none; 0 means 15 min.
	Window time.Duration
	// Grace is what a sale without one adds to the window before stock comes back; 0 means 30 s.
	Grace time.Duration
	// LookUp is how long an attempt waits for the look-up of its key before it is answered Unknown; 0 means as long as it takes,
	// which is right only where look-ups are made in memory.
	LookUp time.Duration
	// Passed says of a sale with a line or a draw whether the user may ever have had a pass for it; nobody else can have a key
	// bound there. It may wait a moment to be sure. nil means anybody may.
	Passed func(ctx context.Context, sale, user string) bool
}

// Sales is the room.
type Sales struct {
	stock *stock.Stock
	gate  Gate
	opt   Options
	ring  refusals
}

// New returns the room over a stock and its gate.
func New(st *stock.Stock, g Gate, o Options) *Sales {
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.Window == 0 {
		o.Window = 15 * time.Minute
	}
	if o.Grace == 0 {
		o.Grace = 30 * time.Second
	}
	return &Sales{stock: st, gate: g, opt: o}
}

// Attempt takes an attempt through the gate and the throttle to the decision. A refusal of either binds nothing and is
// overruled when the key is bound or in flight.
func (s *Sales) Attempt(ctx context.Context, r stock.Request) stock.Answer {
	now := s.opt.Clock.Now()
	var v gate.Verdict
	var stage string
	if doc := s.gate.Sale(r.Sale); admitted(doc, &r) {
		if v, stage = s.gate.Admit(ctx, now, &r), stageGate; v.Say == gate.Pass {
			v, stage = s.filter(doc, &r)
		}
	} else {
		v, stage = s.outsider(ctx, now, doc, &r)
		r.Replay = true // the call that made the look-up find the key may bind nothing
	}
	if v.Say == gate.Ask {
		known, err := s.known(ctx, &r)
		if err != nil {
			return stock.Answer{State: stock.Unknown, RetryAfter: time.Second}
		}
		if !known {
			v.Say = gate.Refuse
		}
	}
	if v.Say == gate.Refuse {
		s.ring.add(&r, now, stage, v.Answer.Reason)
		return v.Answer
	}
	a := s.stock.Attempt(ctx, r)
	s.gate.Done(&r, &a)
	if a.State == stock.Lost && a.Attempt == nil {
		s.ring.add(&r, now, stageDecision, a.Reason)
	}
	return a
}

// filter is what this process itself knows of the user.
func (s *Sales) filter(doc *driver.Sale, r *stock.Request) (gate.Verdict, string) {
	if sku, left, yes := s.stock.UsedUp(doc, r); yes {
		return gate.Verdict{Say: gate.Ask, Answer: stock.Answer{State: stock.Lost, Reason: errs.LimitReached, SKU: sku, Left: left}}, stageGate
	}
	if s.opt.Throttle != nil {
		if ok, wait := s.opt.Throttle.Allow(r.User); !ok {
			return gate.Verdict{Say: gate.Ask, Answer: stock.Answer{State: stock.Lost, Reason: errs.QuotaExceeded, RetryAfter: wait}}, stageThrottle
		}
	}
	return gate.Verdict{}, stageGate
}

func (s *Sales) known(ctx context.Context, r *stock.Request) (bool, error) {
	if s.gate.Sale(r.Sale) == nil {
		return false, nil
	}
	if s.opt.LookUp > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.opt.LookUp) // real time, because it bounds I/O
		defer cancel()
	}
	_, known, err := s.stock.Lookup(ctx, r.Sale, r.User, r.Key)
	return known, err
}

// Lookup finds what a key is bound to; false means not executed so far. An unknown sale is errs.NotFound.
func (s *Sales) Lookup(ctx context.Context, saleID, user, key string) (stock.Answer, bool, error) {
	if s.gate.Sale(saleID) == nil {
		return stock.Answer{}, false, notFound(saleID)
	}
	return s.stock.Lookup(ctx, saleID, user, key)
}

func notFound(id string) error { return errs.New(errs.NotFound, "there is no sale %q", id) }
