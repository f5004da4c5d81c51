package app

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"penstock/auth"
	bus "penstock/bus/driver"
	"penstock/check"
	"penstock/config"
	"penstock/console"
	"penstock/errs"
	"penstock/gateway/api"
	"penstock/order"
	"penstock/order/payment"
	"penstock/sale"
	"penstock/stock/driver"
	"penstock/storm"
)

// rehearsals are storms against copies of sales. The buyers come over a listener of their own on loopback, which believes what
// addresses they say they have, so that they pass the same chain with the same policy as real ones from everywhere.
type rehearsals struct {
	*App
	stop context.CancelFunc
	life context.Context
	done sync.WaitGroup

	mu   sync.Mutex
	url  string // of the listener; "" until the first rehearsal
	shut func(context.Context) error
	all  []*api.Rehearsal // newest last
	left map[string]*remnant
}

const (
	rehearsalsKept = 20
	rehearsalWho   = "rehearsal"
	rehearsalTitle = "Rehearsal of "
	rehearsalTail  = 2 * time.Minute // the copy's life beyond the arrivals
	rehearsalPay   = 0.8
	rehearsalP99   = 1000.0 // milliseconds
)

// rehearsals is nil where no buyers are served.
func (a *App) rehearsals() *rehearsals {
	if !a.cfg.Has(config.RoleSale) || !a.cfg.Has(config.RoleOrder) || !a.cfg.Has(config.RoleAdmin) {
		return nil
	}
	r := &rehearsals{App: a, left: map[string]*remnant{}}
	r.life, r.stop = context.WithCancel(context.Background())
	r.watch()
	return r
}

// end breaks off what runs and waits until its copy is closed.
func (r *rehearsals) end(ctx context.Context) error {
	r.stop()
	r.done.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.shut == nil {
		return nil
	}
	return r.shut(ctx)
}

// Start copies the sale and lets the storm begin.
func (r *rehearsals) Start(ctx context.Context, who, saleID string, plan api.RehearsalPlan) (api.Rehearsal, error) {
	d, err := r.sales.Detail(ctx, saleID)
	if err == nil {
		err = r.allowed(ctx, saleID, plan)
	}
	if err != nil {
		return api.Rehearsal{}, err
	}
	plan = planned(plan, r.opt.Clock.Now())
	shadow := api.RehearsalSales + strings.ToLower(rand.Text())
	one := &api.Rehearsal{
		ID: shadow[len(api.RehearsalSales):], Sale: saleID, Shadow: shadow, State: "preparing", StartedAt: r.opt.Clock.Now().UTC().Truncate(time.Millisecond), Plan: plan,
		Arrivals: int64(plan.Rate * plan.Seconds), Answers: map[string]int64{}, Reasons: []api.RehearsalReason{},
	}
	if !r.add(one) {
		return api.Rehearsal{}, errs.New(errs.Conflict, "another rehearsal runs")
	}
	after, _ := json.Marshal(plan) // always has a JSON form
	err = r.stock.Record(ctx, driver.Audit{Who: who, Act: "sale.rehearse", Object: "sale/" + saleID, Why: plan.Reason, After: string(after), ID: "rehearsal-" + one.ID})
	if err != nil {
		r.set(one, func() { one.State, one.Note = "failed", "the act could not be recorded" })
		return api.Rehearsal{}, err
	}
	started := r.copy(one)
	r.done.Go(func() { r.run(one, d) })
	return started, nil
}

// allowed refuses what could hurt buyers, unless the operator says that it may.
func (r *rehearsals) allowed(ctx context.Context, saleID string, plan api.RehearsalPlan) error {
	if strings.HasPrefix(saleID, api.RehearsalSales) {
		return errs.New(errs.Invalid, "this is the copy of a rehearsal itself")
	}
	all, err := r.sales.Details(ctx)
	if err != nil || plan.WhileOpen {
		return err
	}
	for _, d := range all {
		if d.State == sale.Open && !strings.HasPrefix(d.ID, api.RehearsalSales) {
			return errs.New(errs.Conflict, "the sale %q is open, and the storm would take capacity from its buyers; say whileOpen to rehearse all the same", d.ID)
		}
	}
	return nil
}

func planned(p api.RehearsalPlan, now time.Time) api.RehearsalPlan {
	if p.Pay == 0 {
		p.Pay = rehearsalPay
	}
	if p.MaxP99 == 0 {
		p.MaxP99 = rehearsalP99
	}
	if p.Seed == 0 {
		p.Seed = now.UnixMicro()
	}
	return p
}

// add remembers a rehearsal; false while another one runs.
func (r *rehearsals) add(one *api.Rehearsal) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.life.Err() != nil || slices.ContainsFunc(r.all, func(x *api.Rehearsal) bool { return x.State != "done" && x.State != "failed" }) {
		return false
	}
	r.all = append(r.all, one)
	if len(r.all) > rehearsalsKept {
		r.all = r.all[1:]
	}
	return true
}

func (r *rehearsals) set(_ *api.Rehearsal, f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

func (r *rehearsals) copy(one *api.Rehearsal) api.Rehearsal {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := *one
	out.Reasons = slices.Clone(one.Reasons)
	out.Answers = map[string]int64{}
	for k, v := range one.Answers {
		out.Answers[k] = v
	}
	return out
}

// Get returns a rehearsal as it is now. A sale of "" means any.
func (r *rehearsals) Get(saleID, id string) (api.Rehearsal, error) {
	for _, one := range r.List(saleID) {
		if one.ID == id {
			return one, nil
		}
	}
	return api.Rehearsal{}, errs.New(errs.NotFound, "this process remembers no such rehearsal")
}

// List returns the rehearsals of a sale, newest first.
func (r *rehearsals) List(saleID string) []api.Rehearsal {
	r.mu.Lock()
	all := slices.Clone(r.all)
	r.mu.Unlock()
	var out []api.Rehearsal
	for _, one := range slices.Backward(all) {
		if c := r.copy(one); saleID == "" || c.Sale == saleID {
			out = append(out, c)
		}
	}
	return out
}

// run is the whole of a rehearsal. Whatever happens, the copy is closed at the end.
func (r *rehearsals) run(one *api.Rehearsal, d sale.Detail) {
	rep, err := r.storm(r.life, one, d)
	r.set(one, func() { one.State = "cleaning" })
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.life), time.Minute)
	defer cancel()
	cleaned := r.clean(ctx, one)
	if cleaned == nil {
		cleaned = r.stock.Record(ctx, driver.Audit{Who: rehearsalWho, Act: "sale.rehearsal.end", Object: "sale/" + one.Sale, Why: "the rehearsal is over", ID: "rehearsal-end-" + one.ID})
	}
	if err = errors.Join(err, cleaned); err != nil {
		r.log.Warn("a rehearsal could not be finished", "rehearsal", one.ID, "sale", one.Sale, "error", err.Error())
	}
	r.set(one, func() {
		one.State = "done"
		if err != nil {
			one.State, one.Note = "failed", err.Error()
			one.Reasons = append(one.Reasons, api.RehearsalReason{What: "storm", Detail: err.Error()})
		}
		if rep != nil {
			one.Reasons = append(judged(one, rep), one.Reasons...)
		}
		one.Verdict = "go"
		if rep == nil || slices.ContainsFunc(one.Reasons, func(x api.RehearsalReason) bool { return !x.Good }) {
			one.Verdict = "no-go"
		}
	})
}

func (r *rehearsals) storm(ctx context.Context, one *api.Rehearsal, d sale.Detail) (*storm.Report, error) {
	url, err := r.listener()
	if err != nil {
		return nil, err
	}
	if _, err = r.sales.Create(ctx, rehearsalWho, shadowOf(one, d, r.opt.Clock.Now())); err != nil {
		return nil, fmt.Errorf("copy the sale: %w", err)
	}
	token, err := r.Token(rehearsalWho, auth.Operator, time.Hour)
	if err != nil {
		return nil, err
	}
	pay := one.Plan.Pay
	if r.pays["sandbox"] == nil {
		pay = 0
		r.set(one, func() { one.Note = "there is no sandbox here: nothing is paid" })
	}
	rep, err := storm.Run(ctx, storm.Config{
		URL: url, AdminURL: loopback(r.Addrs()["admin"]), AdminToken: token, Sale: one.Shadow, Users: max(int(one.Arrivals), 1), Rate: one.Plan.Rate,
		For: time.Duration(one.Plan.Seconds * float64(time.Second)), Seed: one.Plan.Seed, Pay: pay, Cancel: min(0.1, 1-pay), Retry: 1, Double: 0.05, Pass: 0.9,
		Linger: time.Second, Settle: 20 * time.Second, Conns: 128, Progress: func(p storm.Progress) { r.progress(one, p) },
		Identity: func(n int) (storm.Identity, error) {
			user := fmt.Sprintf("%s-%d", one.Shadow, n+1)
			token, err := r.Token(user, "", time.Hour)
			return storm.Identity{User: user, Token: token}, err
		},
	})
	if err != nil {
		return nil, fmt.Errorf("the storm did not end: %w", err)
	}
	return &rep, nil
}

func (r *rehearsals) progress(one *api.Rehearsal, p storm.Progress) {
	r.set(one, func() {
		if p.Phase != storm.Done {
			one.State = string(p.Phase)
		}
		one.Arrived, one.Paid = p.Buyers.Arrived, p.Buyers.Paid
		for kind, n := range p.Total {
			one.Answers[storm.Kind(kind).String()] = n
		}
	})
}

// shadowOf is the copy: the same items and limits, all that the sale offers, and a short time to pay.
func shadowOf(one *api.Rehearsal, d sale.Detail, now time.Time) sale.Definition {
	none := int64(0)
	def := sale.Definition{
		ID: one.Shadow, Title: rehearsalTitle + d.ID, StartsAt: now.Add(-time.Second), EndsAt: now.Add(time.Duration(one.Plan.Seconds*float64(time.Second)) + rehearsalTail),
		PaymentWindowSeconds: 60, GraceSeconds: &none, Admission: driver.AdmitOpen, WaitingList: d.WaitingList,
	}
	if d.Admission == driver.AdmitLine {
		def.Admission, def.Line = d.Admission, d.Line
	}
	for _, it := range d.Items {
		item := sale.ItemDefinition{SKU: it.SKU, Title: it.Title, Price: it.Price, Currency: it.Currency, LimitPerUser: it.LimitPerUser}
		for _, l := range d.Levels {
			if l.SKU == it.SKU {
				item.Stock = l.Offered - l.Withdrawn
			}
		}
		def.Items = append(def.Items, item)
	}
	return def
}

// listener opens the loopback listener of rehearsals, once.
func (r *rehearsals) listener() (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.url != "" {
		return r.url, nil
	}
	d, err := r.publicDeps()
	if err != nil {
		return "", err
	}
	d.Gateway.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	g, err := api.Public(d)
	if err != nil {
		return "", err
	}
	if err := r.policy.Attach(g); err != nil {
		return "", err
	}
	shut, err := r.serve("rehearsal", "127.0.0.1:0", g)
	if err != nil {
		return "", err
	}
	r.url, r.shut = loopback(r.Addrs()["rehearsal"]), shut
	return r.url, nil
}

// loopback is how this process reaches a listener of its own.
func loopback(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip, bad := netip.ParseAddr(host); err == nil && bad == nil && ip.IsUnspecified() {
		addr = net.JoinHostPort("127.0.0.1", port)
	}
	return "http://" + addr
}

// clean closes the copy and takes back what was sold: what is not paid is cancelled, what is paid is refunded.
func (r *rehearsals) clean(ctx context.Context, one *api.Rehearsal) error {
	_, err := r.sales.Act(ctx, rehearsalWho, one.Shadow, sale.DoClose, "the rehearsal is over")
	if errs.Is(err, errs.NotFound) {
		return nil // it never came to be
	}
	if errs.Is(err, errs.IllegalTransition) || errs.Is(err, errs.SaleClosed) {
		err = nil
	}
	var failed int
	for cursor := ""; err == nil; {
		var page []order.Order
		if page, cursor, err = r.orders.List(ctx, "", cursor, 200); err != nil {
			break
		}
		for i := range page {
			if page[i].Sale == one.Shadow && r.takeBack(ctx, &page[i]) != nil {
				failed++
			}
		}
		if cursor == "" || before(page, one.StartedAt.Add(-clocksApart)) { // pages may be full of what other sales sold meanwhile
			break
		}
	}
	if failed > 0 {
		err = errors.Join(err, fmt.Errorf("%d orders of the copy could not be taken back", failed))
	}
	return err
}

// clocksApart is more than the clocks of the processes that number orders are apart.
const clocksApart = time.Minute

// before says whether a page of orders, newest first, has come to those that are older than a moment.
func before(page []order.Order, t time.Time) bool {
	return len(page) == 0 || page[len(page)-1].CreatedAt.Before(t)
}

func (r *rehearsals) takeBack(ctx context.Context, o *order.Order) error {
	const why = "the rehearsal is over"
	var err error
	switch o.State {
	case order.Accepted, order.PendingPayment:
		_, err = r.orders.Cancel(ctx, "", o.ID, rehearsalWho, why, "")
	case order.Paid:
		_, _, err = r.payments.Refund(ctx, payment.Refund{Order: o.ID, Key: "rehearsal-" + o.ID.String(), ReturnStock: true, Reason: why, Who: rehearsalWho})
	}
	if errs.Is(err, errs.Unknown) || errs.Is(err, errs.PaymentInProgress) { // it goes on by itself
		return nil
	}
	return err
}

// ofRehearsal says whether a message is about a buyer of a copy, who is named for it. Other systems would ship what they hear was sold.
func ofRehearsal(m *bus.Message) bool {
	name, ok := strings.CutPrefix(m.User, api.RehearsalSales)
	copied, number, numbered := strings.Cut(name, "-")
	return ok && numbered && number != "" && len(copied) == len(rand.Text())
}

// judged says go or no-go for each of what a night stands on.
func judged(one *api.Rehearsal, rep *storm.Report) []api.RehearsalReason {
	one.LatencyP50, one.LatencyP99 = rep.Latency.P50, rep.Latency.P99
	var broken []string
	for _, i := range rep.Invariants {
		if i.Verdict == check.Fail {
			broken = append(broken, i.ID+" "+i.Name)
		}
	}
	say := func(what string, good bool, format string, args ...any) api.RehearsalReason {
		return api.RehearsalReason{Good: good, What: what, Detail: fmt.Sprintf(format, args...)}
	}
	turned := rep.Shed + rep.Unknown
	return []api.RehearsalReason{
		say("invariants", len(broken) == 0 && rep.Verdict == check.Pass, "%d invariants looked at, broken: %s", len(rep.Invariants), orNone(broken)),
		say("answers", rep.Unresolved == 0, "%d of %d attempts ended without an answer", rep.Unresolved, rep.Attempts),
		say("capacity", turned*100 <= rep.Attempts, "%d of %d attempts were turned away for want of capacity or had no answer at first; 1 in 100 may be", turned, rep.Attempts),
		say("latency", rep.Latency.P99 <= one.Plan.MaxP99, "99 of 100 answers came within %.0f ms; %.0f ms may be", rep.Latency.P99, one.Plan.MaxP99),
		say("arrivals", rep.AchievedRate >= 0.95*rep.OfferedRate, "%.0f buyers a second came of %.0f planned", rep.AchievedRate, rep.OfferedRate),
		say("payments", rep.Buyers.Paid > 0 || rep.Buyers.Won == 0 || one.Note != "", "%d of %d winners paid", rep.Buyers.Paid, rep.Buyers.Won),
	}
}

func orNone(all []string) string {
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, "; ")
}

// topic tells how far a rehearsal is. There is none where no buyers are served.
func (r *rehearsals) topic(_ context.Context, id string) (console.Source, func(), error) {
	if r == nil {
		return nil, nil, errs.New(errs.NotFound, "this process serves no buyers; rehearse where one does")
	}
	if _, err := r.Get("", id); err != nil {
		return nil, nil, err
	}
	return func(context.Context) (any, error) { return r.Get("", id) }, nil, nil
}
