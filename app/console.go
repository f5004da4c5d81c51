package app

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"penstock/breaker"
	"penstock/console"
	"penstock/errs"
	"penstock/gateway"
	"penstock/gateway/api"
	"penstock/gateway/policy"
	"penstock/line"
	"penstock/order/payment"
	"penstock/sale"
	"penstock/stock/driver"
)

// live is what the operators' pages watch.
type live struct {
	meter  *console.Meter
	orders atomic.Int64 // changes of orders that this process made
	lamp   lamp
}

func newLive(now func() time.Time) *live { return &live{meter: console.NewMeter(now)} }

// answered counts the answer to an attempt where somebody watches its sale.
func (l *live) answered(r *gateway.Record) {
	if r.Route == gateway.AttemptRoute {
		l.meter.Count(r.Sale, r.Code, r.Duration)
	}
}

// Pauses between looks at what costs a query.
const (
	slowLook   = time.Second
	sharedLook = 500 * time.Millisecond // stock rows that other processes change too
)

// consoleDesk is what the console needs; stop ends its streams and rehearsals.
func (a *App) consoleDesk() (desk api.Desk, stop func(context.Context) error) {
	works, shows := console.NewWorks(), a.rehearsals()
	hub := a.hub(works, shows)
	desk = api.Desk{Live: hub, Sales: a.sales, Payments: a.payments, Works: works, Breakers: breakers{a}}
	if shows == nil {
		return desk, func(context.Context) error { hub.Stop(); return nil }
	}
	desk.Rehearsals = shows
	return desk, func(ctx context.Context) error { hub.Stop(); return shows.end(ctx) }
}

// breakers are those of the policy, as operators force them.
type breakers struct{ *App }

// Force trips or resets a breaker and records the act.
func (b breakers) Force(ctx context.Context, who, name string, open bool, why string) (breaker.State, error) {
	one := b.policy.Breaker(name)
	if one == nil {
		return "", errs.New(errs.NotFound, "the policy has no breaker %q", name)
	}
	before, act := one.State(), "breaker.reset"
	if open {
		act = "breaker.trip"
		one.Trip()
	} else {
		one.Reset()
	}
	now := one.State()
	return now, b.stock.Record(ctx, driver.Audit{Who: who, Act: act, Object: "breaker/" + name, Why: why, Before: strconv.Quote(string(before)), After: strconv.Quote(string(now))})
}

// hub returns the topics of the console.
func (a *App) hub(works *console.Works, shows *rehearsals) *console.Hub {
	stock := time.Duration(0)
	if a.cfg.Shared() {
		stock = sharedLook
	}
	return console.New(map[string]console.Kind{
		"sale":         {Open: a.saleTopic, Every: stock},
		"line":         {Open: a.lineTopic},
		"orders":       {Open: always(a.ordersTopic)},
		"dead-letters": {Open: always(a.lettersTopic), Every: slowLook},
		"cases":        {Open: always(a.casesTopic), Every: slowLook},
		"limits":       {Open: always(a.limitsTopic)},
		"breakers":     {Open: always(a.breakersTopic)},
		"shed":         {Open: always(a.shedTopic)},
		"monitor":      {Open: always(a.monitorTopic)},
		"work":         works.Kind(),
		"rehearsal":    {Open: shows.topic},
	}, console.Options{Clock: a.opt.Clock, Logger: a.log})
}

// always is a kind that is one topic.
func always(read console.Source) func(context.Context, string) (console.Source, func(), error) {
	return func(_ context.Context, arg string) (console.Source, func(), error) {
		if arg != "" {
			return nil, nil, errs.New(errs.Invalid, "this topic takes no name")
		}
		return read, nil, nil
	}
}

// saleNow is the present of a sale.
type saleNow struct {
	ID            string     `json:"id"`
	Title         string     `json:"title"`
	State         sale.State `json:"state"`
	StartsAt      time.Time  `json:"startsAt"`
	EndsAt        time.Time  `json:"endsAt"`
	Admission     string     `json:"admission"`
	Version       int64      `json:"version"`
	Paused        bool       `json:"paused"`
	ForcedSoldOut bool       `json:"forcedSoldOut"`
	Stock         []stockNow `json:"stock"`
	Answers       answersNow `json:"answers"`
	Line          *lineNow   `json:"line"`
	Lamp          lampNow    `json:"lamp"`
}

type stockNow struct {
	SKU       string `json:"sku"`
	Offered   int64  `json:"offered"`
	Available int64  `json:"available"`
	Held      int64  `json:"held"`
	Sold      int64  `json:"sold"`
	Withdrawn int64  `json:"withdrawn"`
}

// answersNow are of the attempts that came to this process; Scope says so, and Others how many processes beside it may answer too.
type answersNow struct {
	Scope  string `json:"scope"`
	Others int    `json:"others"`
	console.Answers
}

// backlogNow is what orders are behind.
type backlogNow struct {
	Messages int64 `json:"messages"`
	Parked   int64 `json:"parked"`
	Letters  int64 `json:"deadLetters"`
}

func (a *App) saleTopic(ctx context.Context, id string) (console.Source, func(), error) {
	if _, err := a.sales.Detail(ctx, id); err != nil {
		return nil, nil, err
	}
	answers, closed := a.live.meter.Watch(id)
	return func(ctx context.Context) (any, error) {
		d, err := a.sales.Detail(ctx, id)
		if err != nil {
			return nil, err
		}
		now := saleNow{
			ID: d.ID, Title: d.Title, State: d.State, StartsAt: d.StartsAt.UTC(), EndsAt: d.EndsAt.UTC(), Admission: d.Admission, Version: d.Version,
			Paused: d.Paused, ForcedSoldOut: d.ForcedSoldOut, Answers: answersNow{"process", a.others(ctx), answers()}, Lamp: a.lampNow(),
		}
		for _, l := range d.Levels {
			now.Stock = append(now.Stock, stockNow{l.SKU, l.Offered, l.Available, l.Held, l.Sold, l.Withdrawn})
		}
		now.Line, err = a.lineNow(ctx, id)
		return now, err
	}, closed, nil
}

// others counts the processes beside this one; 0 also where that cannot be asked now, because the figures are shown all the same.
func (a *App) others(ctx context.Context) int {
	if a.stockDB.shared == nil {
		return 0
	}
	_, n, err := a.stockDB.shared.Others(ctx)
	if err != nil {
		return 0
	}
	return n
}

// lineNow is how long the line or draw of a sale is, over its SKUs.
type lineNow struct {
	Waiting  int     `json:"waiting"`
	Away     int     `json:"away"`
	Called   int     `json:"called"`
	Admitted int     `json:"admitted"`
	Used     int     `json:"used"`
	Rate     float64 `json:"ratePerSecond"`
	Draw     string  `json:"draw,omitempty"`
}

func (a *App) lineTopic(ctx context.Context, id string) (console.Source, func(), error) {
	if _, err := a.sales.Detail(ctx, id); err != nil {
		return nil, nil, err
	}
	return func(ctx context.Context) (any, error) { return a.lineNow(ctx, id) }, nil, nil
}

// lineNow is nil for a sale without one.
func (a *App) lineNow(ctx context.Context, id string) (*lineNow, error) {
	all, err := a.lines.Standing(ctx, id)
	if errs.Is(err, errs.NoLine) {
		return nil, nil
	}
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return sumOf(all), nil
}

func sumOf(all []line.Line) *lineNow {
	var n lineNow
	for _, l := range all {
		n.Waiting, n.Away, n.Called, n.Admitted, n.Used = n.Waiting+l.Waiting, n.Away+l.Away, n.Called+l.Called, n.Admitted+l.Admitted, n.Used+l.Used
		n.Rate, n.Draw = n.Rate+l.Rate, l.Draw
	}
	return &n
}

// ordersTopic says that something has changed, not what: the page asks for what it shows.
func (a *App) ordersTopic(ctx context.Context) (any, error) {
	now := struct {
		Changes int64      `json:"changes"`
		Newest  string     `json:"newest,omitempty"`
		Backlog backlogNow `json:"backlog"`
	}{Changes: a.live.orders.Load()}
	if a.cfg.Shared() { // others change orders too
		newest, _, err := a.orders.List(ctx, "", "", 1)
		if err != nil {
			return nil, err
		}
		for _, o := range newest {
			now.Newest = o.ID.String()
		}
	}
	var err error
	now.Backlog, err = a.behind(ctx)
	return now, err
}

func (a *App) behind(ctx context.Context) (b backlogNow, err error) {
	all, err := a.bus.Numbers(ctx)
	for _, n := range all {
		if n.Group == orderGroup {
			b.Messages, b.Parked, b.Letters = b.Messages+n.Lag, b.Parked+n.Waiting, b.Letters+n.Letters
		}
	}
	return b, err
}

func (a *App) lettersTopic(ctx context.Context) (any, error) { return a.behind(ctx) }

// shownCases is where counting ends.
const shownCases = 100

func (a *App) casesTopic(ctx context.Context) (any, error) {
	open, err := a.payments.ListCases(ctx, payment.CaseQuery{Limit: shownCases})
	if err != nil {
		return nil, err
	}
	newest := int64(0)
	for _, c := range open {
		newest = max(newest, c.Seq)
	}
	return struct {
		Open   int   `json:"open"`
		More   bool  `json:"more"`
		Newest int64 `json:"newest"`
	}{len(open), len(open) == shownCases, newest}, nil
}

func (a *App) limitsTopic(context.Context) (any, error) {
	v := a.policy.View()
	return struct {
		Version int    `json:"version"`
		Hash    string `json:"hash"`
		Error   string `json:"lastError,omitempty"`
		Rules   any    `json:"rules"`
	}{v.Version, v.Hash, v.LastError, v.Limits}, nil
}

func (a *App) breakersTopic(context.Context) (any, error) { return a.policy.View().Breakers, nil }

func (a *App) shedTopic(context.Context) (any, error) {
	return struct {
		Shedding *policy.SheddingView `json:"shedding"`
	}{a.policy.View().Shedding}, nil
}

func (a *App) monitorTopic(context.Context) (any, error) { return a.lampNow(), nil }

// lamp remembers what the monitor said last.
type lamp struct {
	mu     sync.Mutex
	looked time.Time
	kinds  map[string]int
}

// lampNow is the invariant lamp: ok, bad (violations stand), late (nobody has looked for three rounds), or off (not watched, or watched by another process).
type lampNow struct {
	State      string         `json:"state"`
	Violations map[string]int `json:"violations"`
}

// standing is told by the monitor after each of its rounds.
func (a *App) standing(kind string, n int) {
	a.metrics.Violations(kind, n)
	l := &a.live.lamp
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kinds == nil {
		l.kinds = map[string]int{}
	}
	l.kinds[kind], l.looked = n, a.opt.Clock.Now()
}

func (a *App) lampNow() lampNow {
	l := &a.live.lamp
	l.mu.Lock()
	defer l.mu.Unlock()
	now := lampNow{State: "ok", Violations: map[string]int{}}
	for kind, n := range l.kinds {
		if n > 0 {
			now.State, now.Violations[kind] = "bad", n
		}
	}
	switch every := a.cfg.Monitor.Every; {
	case every == 0 || !a.leader.leads():
		now.State = "off"
	case a.opt.Clock.Now().Sub(l.looked) > 3*every+time.Second:
		now.State = "late"
	}
	return now
}
