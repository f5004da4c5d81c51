package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"penstock/auth"
	messages "penstock/bus"
	bus "penstock/bus/driver"
	"penstock/errs"
	"penstock/gateway"
	"penstock/internal/clock"
	"penstock/internal/ident"
	"penstock/order"
	"penstock/order/payment"
	"penstock/reconcile"
	"penstock/saga/participant"
	"penstock/sale"
	"penstock/stock"
	"penstock/stock/driver"
)

var start = time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC)

const annsOrder = ident.ID(123456789012345678)

func noSale() error   { return errs.New(errs.NotFound, "no such sale") }
func noOrder() error  { return errs.New(errs.NotFound, "no such order") }
func noLetter() error { return errs.New(errs.NotFound, "no such dead letter") }

// rooms stands in for all rooms: one sale "flash", one order, ann's, and one dead letter, 7. It remembers its calls.
type rooms struct {
	mu     sync.Mutex
	calls  []string
	export func(w io.Writer) error
	events chan order.Order
	drain  map[string]int64
	live   error
}

func (r *rooms) note(call string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, call)
}

func (r *rooms) last() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.calls) == 0 {
		return ""
	}
	return r.calls[len(r.calls)-1]
}

func theSale(id string) (sale.View, error) {
	if id != "flash" {
		return sale.View{}, noSale()
	}
	return sale.View{
		ID: "flash", Title: "Flash", State: sale.Open, StartsAt: start, EndsAt: start.Add(time.Hour), ServerTime: start.Add(1234567), Admission: "open",
		Items: []sale.ItemView{{SKU: "sku-1", Title: "One", Price: 9900, Currency: "CNY", LimitPerUser: 1, Availability: sale.Plenty}},
	}, nil
}

func theWin() *driver.Attempt {
	return &driver.Attempt{
		ID: annsOrder, Key: driver.Key{Sale: "flash", User: "ann", Key: "k/1"}, At: start, Amount: 9900, Currency: "CNY",
		Lines: []driver.Line{{SKU: "sku-1", Quantity: 1, Price: 9900}}, PayBefore: start.Add(15*time.Minute + 1234567),
	}
}

func theOrder() order.Order {
	return order.Order{
		ID: annsOrder, User: "ann", Sale: "flash", Key: "k/1", Lines: theWin().Lines, State: order.Accepted, Amount: 9900, Currency: "CNY",
		CreatedAt: start, PayBefore: start.Add(15 * time.Minute), Version: 1, Events: []order.Event{{N: 1, At: start, To: order.Accepted}}, Shard: 3, Table: 7,
	}
}

type salesRoom struct{ *rooms }

func (r salesRoom) List(context.Context) ([]sale.View, error) {
	v, err := theSale("flash")
	return []sale.View{v}, err
}
func (r salesRoom) View(_ context.Context, id string) (sale.View, error) { return theSale(id) }
func (r salesRoom) Lookup(_ context.Context, saleID, user, key string) (stock.Answer, bool, error) {
	switch {
	case saleID != "flash":
		return stock.Answer{}, false, noSale()
	case user != "ann":
		return stock.Answer{}, false, nil
	case key == "k/1":
		return stock.Answer{State: stock.Won, Attempt: theWin(), Replayed: true}, true, nil
	case key == "late":
		return stock.Answer{State: stock.Lost, Reason: errs.SoldOut, Attempt: &driver.Attempt{ID: 9, Reason: errs.SoldOut}}, true, nil
	case key == "open":
		return stock.Answer{State: stock.Unknown, RetryAfter: 1500 * time.Millisecond}, true, nil
	}
	return stock.Answer{}, false, nil
}
func (r salesRoom) Why(_ context.Context, saleID, user, key string) (sale.Why, error) {
	if saleID != "flash" || user != "ann" || key != "k/1" {
		return sale.Why{}, noSale()
	}
	return sale.Why{Key: key, Arrived: start, Place: 1, Rule: "first come"}, nil
}
func (r salesRoom) Details(ctx context.Context) ([]sale.Detail, error) {
	d, err := r.Detail(ctx, "flash")
	return []sale.Detail{d}, err
}
func (r salesRoom) Detail(_ context.Context, id string) (sale.Detail, error) {
	v, err := theSale(id)
	return sale.Detail{View: v, Version: 3, Levels: []driver.Stock{{Sale: "flash", SKU: "sku-1", Offered: 10, Available: 9, Held: 1, Version: 2}}}, err
}
func (r salesRoom) Create(ctx context.Context, who string, d sale.Definition) (sale.Detail, error) {
	r.note("create " + who + " " + d.Title)
	return r.Detail(ctx, "flash")
}
func (r salesRoom) Patch(ctx context.Context, who, id string, version int64, _ sale.Patch) (sale.Detail, error) {
	r.note("patch " + who)
	if version != 3 {
		return sale.Detail{}, errs.New(errs.VersionMismatch, "the sale has version 3")
	}
	return r.Detail(ctx, id)
}
func (r salesRoom) Act(ctx context.Context, who, id string, a sale.Action, reason string) (sale.Detail, error) {
	r.note("act " + who + " " + string(a) + " " + reason)
	return r.Detail(ctx, id)
}
func (r salesRoom) Offer(_ context.Context, who, id, sku string, _ int64, key, reason string) (driver.Stock, error) {
	r.note("offer " + who + " " + key + " " + reason)
	if id != "flash" {
		return driver.Stock{}, noSale()
	}
	return driver.Stock{Sale: id, SKU: sku, Offered: 11, Available: 10, Held: 1, Version: 3}, nil
}
func (r salesRoom) Levels(context.Context, string) ([]driver.Stock, error) {
	return []driver.Stock{{Sale: "flash", SKU: "sku-1", Offered: 10, Available: 9, Held: 1, Version: 2}}, nil
}

type ordersRoom struct{ *rooms }

func (r ordersRoom) Get(_ context.Context, user string, id ident.ID) (order.Order, error) {
	if id != annsOrder || user != "ann" && user != "" {
		return order.Order{}, noOrder()
	}
	return theOrder(), nil
}
func (r ordersRoom) List(_ context.Context, user, cursor string, limit int) ([]order.Order, string, error) {
	r.note("list " + user + " " + cursor)
	if user != "ann" && user != "" || limit == 0 {
		return nil, "", nil
	}
	if cursor == "half" {
		return []order.Order{theOrder()}, "more", &order.Missing{Shards: []int{2, 5}}
	}
	return []order.Order{theOrder()}, "more", nil
}
func (r ordersRoom) Cancel(ctx context.Context, user string, id ident.ID, who, why, trace string) (order.Order, error) {
	r.note("cancel " + user + "/" + who + " " + why)
	if len(trace) != 55 {
		return order.Order{}, errors.New("no trace")
	}
	return r.Get(ctx, user, id)
}
func (r ordersRoom) Fulfil(ctx context.Context, id ident.ID, who, why string) (order.Order, error) {
	r.note("fulfil " + who + " " + why)
	return r.Get(ctx, "", id)
}

type paymentsRoom struct{ *rooms }

func (r paymentsRoom) Begin(_ context.Context, b payment.Begin) (payment.Payment, bool, error) {
	r.note("pay " + b.User + " " + b.Key + " " + b.Outcome + " " + b.After.String())
	if b.Order != annsOrder || b.User != "ann" {
		return payment.Payment{}, false, noOrder()
	}
	return payment.Payment{ID: 5, Order: b.Order, Provider: b.Method, State: payment.Pending, Amount: 9900, Currency: "CNY"}, b.Key == "again", nil
}
func (r paymentsRoom) Callback(_ context.Context, provider string, h http.Header, body []byte) error {
	r.note("callback " + provider + " " + string(body))
	if h.Get("Webhook-Signature") != "v1,good" {
		return errs.New(errs.BadSignature, "the signature does not match")
	}
	return nil
}
func (r paymentsRoom) Refund(_ context.Context, f payment.Refund) (order.Order, bool, error) {
	r.note("refund " + f.User + "/" + f.Who + " " + f.Key)
	if f.Order != annsOrder || f.User != "ann" && f.User != "" {
		return order.Order{}, false, noOrder()
	}
	return theOrder(), false, nil
}

type lettersRoom struct{ *rooms }

func (r lettersRoom) List(_ context.Context, f bus.Filter, after int64, limit int) ([]bus.DeadLetter, error) {
	r.note("letters " + f.Topic + f.Group + f.User + f.Key + f.Type + f.Reason)
	if after >= 7 {
		return nil, nil
	}
	d, err := r.Get(context.Background(), 7)
	return []bus.DeadLetter{*d}[:min(1, limit)], err
}
func (r lettersRoom) Get(_ context.Context, id int64) (*bus.DeadLetter, error) {
	if id != 7 {
		return nil, nil
	}
	return &bus.DeadLetter{ID: 7, Group: "orders", Reason: "poison", Message: bus.Message{Payload: []byte("not json"), Topic: "stock", User: "ann"}, FailedAt: start, State: "dead"}, nil
}
func (r lettersRoom) Replay(_ context.Context, who string, id int64, reason string) error {
	r.note("replay " + who + " " + reason)
	if id != 7 {
		return noLetter()
	}
	return nil
}
func (r lettersRoom) Discard(_ context.Context, who string, _ int64, reason string) error {
	r.note("discard " + who + " " + reason)
	return nil
}

func (r lettersRoom) Edit(_ context.Context, who string, id int64, e messages.Edit) (bus.Message, error) {
	r.note("edit " + who + " " + string(e.Payload) + " " + e.Type + e.Version + " " + e.Reason)
	if id != 7 {
		return bus.Message{}, noLetter()
	}
	return bus.Message{ID: "edit-7"}, nil
}
func (r lettersRoom) ReplayAll(_ context.Context, who string, b messages.Bulk) (messages.Progress, error) {
	r.note(fmt.Sprintf("replay all %s %q %s %v %d %d", who, b.Filter.Reason, b.Reason, b.Rate, b.After, b.Upto))
	return messages.Progress{Settled: 2, Skipped: []messages.Skipped{{ID: 6, Why: "too often"}}, After: 7, Upto: 9, Done: b.After > 0}, nil
}
func (r lettersRoom) DiscardAll(_ context.Context, who string, b messages.Bulk) (messages.Progress, error) {
	r.note("discard all " + who + " " + b.Filter.Topic + " " + b.Reason)
	return messages.Progress{Done: true}, nil
}

type exportRoom struct{ *rooms }

func (r exportRoom) Write(_ context.Context, name string, w io.Writer) error {
	r.note("export " + name)
	return r.export(w)
}

type eventsRoom struct{ *rooms }

func (r eventsRoom) Subscribe(user string) (<-chan order.Order, func()) {
	r.note("subscribe " + user)
	return r.events, func() { r.note("unsubscribe " + user) }
}

type auditRoom struct{}

func (auditRoom) Audit(_ context.Context, after uint64, _ int) ([]driver.Audit, error) {
	if after > 0 {
		return nil, nil
	}
	return []driver.Audit{{Seq: 1, At: start, Who: "root", Act: "pause", Object: "sale flash", Why: "test", After: `{"paused":true}`}}, nil
}

type reconcileRoom struct{ *rooms }

func (r reconcileRoom) Report(context.Context) (reconcile.Report, error) {
	return reconcile.Report{
		Differences: []reconcile.Difference{{Kind: "gate", Object: "flash/sku-1", Expected: "9", Found: "8", At: start}},
		Waiting:     3, Gaps: []reconcile.Gap{{Kind: "claim-without-order", Count: 2, Why: "messages are on their way"}},
	}, nil
}
func (r reconcileRoom) Repair(ctx context.Context, who, reason string) (reconcile.Report, error) {
	r.note("repair " + who + " " + reason)
	return r.Report(ctx)
}

type attemptRoom struct{ *rooms }

func (r attemptRoom) Attempt(_ context.Context, q stock.Request) stock.Answer {
	r.note("attempt " + q.Sale + " " + q.User + " " + q.Key)
	return stock.Answer{State: stock.Won, Attempt: theWin()}
}

// house is both listeners and the probe over one set of rooms, and a token of each kind of caller.
type house struct {
	public, admin, probe *gateway.Gateway
	rooms                *rooms
	clock                *clock.Fake
	drain                *gateway.Drain
	tokens               map[string]string
}

func setup(t testing.TB, edit ...func(*Deps)) *house {
	t.Helper()
	h := &house{clock: clock.NewFake(start), drain: gateway.NewDrain(), rooms: &rooms{events: make(chan order.Order, 8), drain: map[string]int64{"outbox": 0}}}
	h.rooms.export = func(w io.Writer) error { _, err := io.WriteString(w, "{\"n\":1}\n"); return err }
	ring, err := auth.Open(filepath.Join(t.TempDir(), "keys.json"), auth.Options{Clock: h.clock})
	if err != nil {
		t.Fatal(err)
	}
	h.tokens = map[string]string{"anonymous": ""}
	for caller, c := range map[string]auth.Claims{"user": {User: "ann"}, "other": {User: "bob"}, "operator": {User: "root", Role: auth.Operator}} {
		c.Expires = start.Add(time.Hour)
		if h.tokens[caller], err = ring.Sign(c); err != nil {
			t.Fatal(err)
		}
	}
	if h.tokens["pass"], err = ring.MintPass("ann", "flash", start, time.Minute); err != nil {
		t.Fatal(err)
	}
	if h.tokens["stray pass"], err = ring.MintPass("ann", "other", start, time.Minute); err != nil {
		t.Fatal(err)
	}
	r := h.rooms
	d := Deps{
		Gateway:  gateway.Options{Clock: h.clock, Attempts: attemptRoom{r}, Drain: h.drain},
		Verifier: ring, Passes: ring, Sales: salesRoom{r}, Waiting: waitingRoom{r}, Lines: linesRoom{r}, Orders: ordersRoom{r}, Payments: paymentsRoom{r}, Balances: balanceRoom{r}, Cases: casesRoom{}, Statements: statementsRoom{}, Events: eventsRoom{r},
		DeadLetters: lettersRoom{r}, Export: exportRoom{r}, Reconcile: reconcileRoom{r}, Audit: auditRoom{}, Webhooks: hooksRoom{r}, Apps: appsRoom{r}, Policy: policyRoom{r}, Reports: reportsRoom{r},
		Drained: func(context.Context) (map[string]int64, error) { return r.drain, nil },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "up 1\n") }),
	}
	d.Transactions, d.Participants = sagaRoom{r}, map[string]participant.Participant{"stock": sagaRoom{r}}
	d.Health.Live = func(context.Context) error { return r.live }
	d.Health.Ready, d.Health.Startup = d.Health.Live, d.Health.Live
	withPeople(t, &d, h.clock)
	withDesk(t, &d, r)
	for _, e := range edit {
		e(&d)
	}
	for listener, build := range map[**gateway.Gateway]func(Deps) (*gateway.Gateway, error){&h.public: Public, &h.admin: Admin, &h.probe: Probe} {
		if *listener, err = build(d); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// ask makes a call: "METHOD /path body" by a caller ("" is anonymous).
func (h *house) ask(g http.Handler, caller, call string, edit ...func(*http.Request)) *httptest.ResponseRecorder {
	method, rest, _ := strings.Cut(call, " ")
	path, body, _ := strings.Cut(rest, " ")
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if token := h.tokens[caller]; token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set("Idempotency-Key", `"key-1"`)
	for _, e := range edit {
		e(r)
	}
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	return w
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set(name, value)
		if value == "" {
			r.Header.Del(name)
		}
	}
}

// problem checks that an answer is the problem of a code and returns its members.
func problem(t testing.TB, w *httptest.ResponseRecorder, code errs.Code) map[string]any {
	t.Helper()
	var p map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("want %s; %d is not JSON: %v: %s", code, w.Code, err, w.Body)
	}
	if w.Code != code.Status() || p["type"] != "/problems/"+string(code) || w.Header().Get("Content-Type") != gateway.ProblemType {
		t.Fatalf("want the problem %s, got %d %s: %s", code, w.Code, w.Header().Get("Content-Type"), w.Body)
	}
	return p
}

// object checks that an answer is JSON with the status and returns its members.
func object(t testing.TB, w *httptest.ResponseRecorder, status int) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &o); w.Code != status || err != nil {
		t.Fatalf("want %d with an object, got %d (%v): %s", status, w.Code, err, w.Body)
	}
	return o
}

// serve listens for the public calls until the test ends.
func (h *house) serve(t *testing.T) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(h.public)
	t.Cleanup(srv.Close)
	return srv
}

// listen opens the user's stream of events, until the test ends; last is the id of the event seen last, or "".
func (h *house) listen(t *testing.T, srv *httptest.Server, last string) *http.Response {
	t.Helper()
	r, err := http.NewRequest("GET", srv.URL+"/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+h.tokens["user"])
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	res, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}
