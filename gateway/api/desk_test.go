package api

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"penstock/breaker"
	"penstock/console"
	"penstock/errs"
	"penstock/internal/ident"
	"penstock/order"
	"penstock/order/payment"
	"penstock/sale"
	"penstock/stock/driver"
)

// deskRoom has one payment of ann's order, a breaker "bank" and one rehearsal, "r1".
type deskRoom struct{ *rooms }

func withDesk(t testing.TB, d *Deps, r *rooms) {
	withLive(t, d)
	d.Desk.Sales, d.Desk.Payments, d.Desk.Breakers, d.Desk.Rehearsals, d.Desk.Works = deskRoom{r}, deskRoom{r}, deskRoom{r}, deskRoom{r}, console.NewWorks()
}

func (deskRoom) Preview(d sale.Definition) (sale.Detail, error) {
	if d.Title == "" {
		e := errs.New(errs.Invalid, "the sale is not valid")
		e.Fields = []errs.Field{{Pointer: "/title", Detail: "is required"}}
		return sale.Detail{}, e
	}
	return sale.Detail{View: sale.View{ID: d.ID, Title: d.Title}, Levels: []driver.Stock{{Sale: d.ID, SKU: "a", Offered: 5, Available: 5}}}, nil
}

func (deskRoom) ByOrder(_ context.Context, id ident.ID) ([]payment.Payment, error) {
	return []payment.Payment{{ID: 77, Order: id, State: payment.Captured, Provider: "sandbox", Amount: 9900, Captured: 9900, Refunded: 900, Currency: "CNY", At: start.Add(time.Minute)}}, nil
}

func (deskRoom) Refunds(_ context.Context, id ident.ID) ([]payment.RefundView, error) {
	return []payment.RefundView{{ID: 88, Payment: id, Amount: 900, State: payment.Captured}}, nil
}

func (r deskRoom) Force(_ context.Context, who, name string, open bool, why string) (breaker.State, error) {
	r.note(fmt.Sprintf("force %s %s %v %s", who, name, open, why))
	if name != "bank" {
		return "", errs.New(errs.NotFound, "no such breaker")
	}
	return map[bool]breaker.State{true: breaker.Open, false: breaker.Closed}[open], nil
}

func (r deskRoom) Start(_ context.Context, who, saleID string, p RehearsalPlan) (Rehearsal, error) {
	if saleID != "flash" {
		return Rehearsal{}, noSale()
	}
	r.note(fmt.Sprintf("rehearse %s %s %v", who, saleID, p.Rate))
	return Rehearsal{ID: "r1", Sale: saleID, State: "preparing", Reasons: []RehearsalReason{}}, nil
}

func (r deskRoom) Get(saleID, id string) (Rehearsal, error) {
	for _, x := range r.List(saleID) {
		if x.ID == id {
			return x, nil
		}
	}
	return Rehearsal{}, errs.New(errs.NotFound, "no such rehearsal")
}

func (deskRoom) List(saleID string) []Rehearsal {
	if saleID != "flash" {
		return nil
	}
	return []Rehearsal{{ID: "r1", Sale: "flash", State: "done", Verdict: "go", Reasons: []RehearsalReason{}}}
}

var deskCallsByAccess = []call{
	{"GET /admin/v1/live", 401, 403, 403, 400, 403, 403},
	{"POST /admin/v1/sales/validate {\"title\":\"t\",\"startsAt\":\"2026-11-11T00:00:00Z\",\"endsAt\":\"2026-11-12T00:00:00Z\",\"items\":[]}", 401, 403, 403, 200, 403, 403},
	{"GET " + adminOrder + "/timeline", 401, 403, 403, 200, 403, 403},
	{`POST /admin/v1/gateway/breakers/bank {"action":"trip","reason":"r"}`, 401, 403, 403, 200, 403, 403},
	{`POST /admin/v1/sales/flash/rehearsals {"rate":10,"seconds":1,"reason":"r"}`, 401, 403, 403, 202, 403, 403},
	{"GET /admin/v1/sales/flash/rehearsals", 401, 403, 403, 200, 403, 403},
	{"GET /admin/v1/sales/flash/rehearsals/r1", 401, 403, 403, 200, 403, 403},
}

// A definition with mistakes is answered with their places, a good one with the sale that it would make.
func TestPreview(t *testing.T) {
	t.Parallel()
	h := setup(t)
	const rest = `"startsAt":"2026-11-11T00:00:00Z","endsAt":"2026-11-12T00:00:00Z","items":[]}`
	bad := object(t, h.ask(h.admin, "operator", `POST /admin/v1/sales/validate {"id":"x","title":"",`+rest), http.StatusOK)
	if bad["valid"] != false || bad["findings"].([]any)[0].(map[string]any)["pointer"] != "/title" {
		t.Errorf("got %v", bad)
	}
	good := object(t, h.ask(h.admin, "operator", `POST /admin/v1/sales/validate {"id":"x","title":"T",`+rest), http.StatusOK)
	if good["valid"] != true || good["sale"].(map[string]any)["title"] != "T" || len(good["sale"].(map[string]any)["stock"].([]any)) != 1 {
		t.Errorf("got %v", good)
	}
}

// A timeline tells events, payments and refunds in order, and offers only what the order's state allows.
func TestTimeline(t *testing.T) {
	t.Parallel()
	h := setup(t)
	got := object(t, h.ask(h.admin, "operator", "GET "+adminOrder+"/timeline"), http.StatusOK)
	kinds := map[any]int{}
	for _, e := range got["entries"].([]any) {
		kinds[e.(map[string]any)["kind"]]++
	}
	if kinds["payment"] != 1 || kinds["refund"] != 1 || kinds["event"] == 0 || len(got["payments"].([]any)) != 1 {
		t.Errorf("got %v", got)
	}
	problem(t, h.ask(h.admin, "operator", "GET /admin/v1/orders/1/timeline"), errs.NotFound)
	for state, want := range map[order.State]string{
		order.Accepted: "cancel", order.PendingPayment: "cancel", order.Paid: "fulfil refund", order.Fulfilled: "refund",
		order.Cancelled: "", order.Expired: "", order.Refunded: "",
	} {
		var names []string
		for _, a := range actionsOf(state, 100) {
			names = append(names, a.Action)
		}
		if strings.Join(names, " ") != want {
			t.Errorf("%s: %v, want %q", state, names, want)
		}
	}
	if len(actionsOf(order.Fulfilled, 0)) != 0 {
		t.Error("a refund of nothing is offered")
	}
}

// manyOrders are 500 orders of ten users, newest first; every hundredth has the key "rare".
type manyOrders struct{ Orders }

func (manyOrders) List(_ context.Context, user, cursor string, limit int) (page []order.Order, next string, err error) {
	var all []order.Order
	for i := 500; i > 0; i-- {
		o := order.Order{ID: ident.ID(i), User: fmt.Sprint("u", i%10), Sale: "flash", State: order.Paid, Key: "k"}
		if i%100 == 0 {
			o.Key = "rare"
		}
		if user == "" || o.User == user {
			all = append(all, o)
		}
	}
	if cursor != "" {
		at := slices.IndexFunc(all, func(o order.Order) bool { return order.CursorAfter(o.ID) == cursor })
		all = all[at+1:]
	}
	if len(all) > limit {
		return all[:limit], order.CursorAfter(all[limit-1].ID), nil
	}
	return all, "", nil
}

func (manyOrders) Get(_ context.Context, _ string, id ident.ID) (order.Order, error) {
	if id < 1 || id > 500 {
		return order.Order{}, noOrder()
	}
	return order.Order{ID: id, State: order.Paid}, nil
}

// A search finds an order by its id, all of a user, and all with a key, over as many pages as it takes, none twice and none
// left out.
func TestOrderSearch(t *testing.T) {
	t.Parallel()
	h := setup(t, func(d *Deps) { d.Orders = manyOrders{d.Orders} })
	for query, want := range map[string]int{
		"q=7": 1, "q=u3": 50, "q=rare": 5, "key=rare": 5, "user=u0&key=rare": 5, "user=u1&key=rare": 0, "q=nobody": 0, "state=paid": 500, "state=expired": 0, "": 500,
		"sale=flash&user=u2": 50, "q=7&state=expired": 0,
	} {
		seen := map[any]bool{}
		cursor := ""
		for pages := 0; ; pages++ {
			got := object(t, h.ask(h.admin, "operator", "GET /admin/v1/orders?limit=3&cursor="+cursor+"&"+query), http.StatusOK)
			items := got["items"].([]any)
			for _, o := range items {
				id := o.(map[string]any)["id"]
				if seen[id] {
					t.Fatalf("%q: %v twice", query, id)
				}
				seen[id] = true
			}
			if cursor, _ = got["next"].(string); cursor == "" || len(items) > 3 || pages > 200 {
				break
			}
		}
		if len(seen) != want {
			t.Errorf("%q: %d orders, want %d", query, len(seen), want)
		}
	}
	problem(t, h.ask(h.admin, "operator", "GET /admin/v1/orders?q=u3&cursor=zz"), errs.Invalid)
}

// longTrail is a trail with gaps: acts at every seventh number up to 7 × n.
type longTrail struct{ n uint64 }

func (l longTrail) Audit(_ context.Context, after uint64, limit int) (page []driver.Audit, _ error) {
	for i := after/7 + 1; i <= l.n && len(page) < limit; i++ {
		page = append(page, driver.Audit{Seq: 7 * i, At: start.Add(time.Duration(i) * time.Second), Who: fmt.Sprint("op", i%3), Act: []string{"sale.pause", "order.cancel"}[i%2], Object: fmt.Sprint("sale/", i)})
	}
	return page, nil
}

// The trail reads the same in both directions, whatever its length, and each filter lets through what it says.
func TestTrailFilters(t *testing.T) {
	t.Parallel()
	for _, n := range []uint64{0, 1, 2, 499, 500, 501, 1203} {
		h := setup(t, func(d *Deps) { d.Audit = longTrail{n} })
		read := func(query string) (all []string) {
			cursor := ""
			for range 2000 {
				got := object(t, h.ask(h.admin, "operator", "GET /admin/v1/audit?limit=200&cursor="+cursor+"&"+query), http.StatusOK)
				for _, a := range got["items"].([]any) {
					all = append(all, a.(map[string]any)["seq"].(string))
				}
				if cursor, _ = got["next"].(string); cursor == "" {
					break
				}
			}
			return all
		}
		old, fresh := read(""), read("newest=true")
		slices.Reverse(fresh)
		if d := cmp.Diff(old, fresh); d != "" || uint64(len(old)) != n {
			t.Errorf("%d acts: %d read, %s", n, len(old), d)
		}
		if got := read("who=op1&act=sale&newest=true"); uint64(len(got)) != (n+2)/6 && uint64(len(got)) != (n+1)/6 && uint64(len(got)) != (n+3)/6 {
			t.Errorf("%d acts: %d of op1 about sales", n, len(got))
		}
		if got := read("object=" + fmt.Sprint("sale/", n)); n > 0 && len(got) != 1 {
			t.Errorf("%d acts: %v about the last sale", n, got)
		}
	}
}

// An export as a table has a file name, its columns, and no cell that a spreadsheet takes for a formula; its progress is told.
func TestExportAsTable(t *testing.T) {
	t.Parallel()
	var works *console.Works
	h := setup(t, func(d *Deps) { works = d.Desk.Works })
	h.rooms.export = func(w io.Writer) error {
		_, err := io.WriteString(w, `{"seq":"1","who":"=HYPERLINK(\"http://x\")","act":"+1","object":"@x","why":"-2,\"3\"","before":null,"after":{"a":1},"surprise":true}`+"\n")
		return err
	}
	w := h.ask(h.admin, "operator", "GET /admin/v1/export/audit?format=csv&work=w1")
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(w.Body.String(), "\ufeff"))).ReadAll()
	if err != nil || w.Header().Get("Content-Disposition") != `attachment; filename="audit-20261111-000000.csv"` {
		t.Fatalf("%v, %v", err, w.Header())
	}
	want := [][]string{
		{"seq", "at", "who", "act", "object", "why", "before", "after", "id", "more"},
		{"1", "", `'=HYPERLINK("http://x")`, "'+1", "'@x", `'-2,"3"`, "", `{"a":1}`, "", `{"surprise":true}`},
	}
	if d := cmp.Diff(want, rows); d != "" {
		t.Error(d)
	}
	if got := works.Get("w1"); got.State != "done" || got.Rows != 1 || got.Bytes == 0 {
		t.Errorf("progress: %+v", got)
	}
	if w := h.ask(h.admin, "operator", "GET /admin/v1/export/audit?format=xlsx"); w.Code != http.StatusOK || !strings.HasPrefix(w.Body.String(), "PK") {
		t.Errorf("xlsx: %d", w.Code)
	}
	problem(t, h.ask(h.admin, "operator", "GET /admin/v1/export/audit?format=pdf"), errs.Invalid)
	h.rooms.export = func(io.Writer) error { return errs.New(errs.ReducedCapacity, "down") }
	h.ask(h.admin, "operator", "GET /admin/v1/export/audit?format=csv&work=w2")
	if got := works.Get("w2"); got.State != "failed" {
		t.Errorf("progress of what failed: %+v", got)
	}
}

// Buyers do not see the copies of rehearsals, and nobody else can make a sale that looks like one.
func TestRehearsalSalesAreHidden(t *testing.T) {
	t.Parallel()
	h := setup(t)
	body := `{"id":"rehearsal-x","title":"t","startsAt":"2026-11-11T00:00:00Z","endsAt":"2026-11-12T00:00:00Z","items":[{"sku":"a","title":"A","price":1,"currency":"CNY","stock":1,"limitPerUser":1}]}`
	problem(t, h.ask(h.admin, "operator", "POST /admin/v1/sales "+body), errs.Invalid)
	if !rehearsed("rehearsal-x") || rehearsed("flash") {
		t.Error("ids of copies are not told apart")
	}
}
