package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"penstock/errs"
)

// call is one row of the access matrix: what anonymous, the owner, another user, an operator, the owner's pass and a pass for
// another sale get.
type call struct {
	what                             string
	anonymous, user, other, operator int
	pass, stray                      int
}

const order1 = "/v1/orders/123456789012345678"

var publicCallsByAccess = []call{
	{"GET /v1/sales", 200, 200, 200, 200, 200, 200},
	{"GET /v1/sales/flash", 200, 200, 200, 200, 200, 200},
	{"GET /v1/sales/nope", 404, 404, 404, 404, 404, 404},
	{"POST /v1/sales/flash/pass", 401, 200, 200, 200, 403, 403},
	{`POST /v1/sales/flash/attempts {"sku":"sku-1","quantity":1}`, 401, 201, 201, 201, 201, 403},
	{`POST /v1/sales/fl%61sh/attempts {"sku":"sku-1","quantity":1}`, 401, 201, 201, 201, 201, 403},
	{"GET /v1/sales/flash/attempts/k%2F1", 401, 200, 404, 404, 200, 403},
	{"GET /v1/sales/flash/attempts/k%2F1/why", 401, 200, 404, 404, 200, 403},
	{`POST /v1/sales/flash/waiting {"sku":"sku-1","quantity":1}`, 401, 201, 201, 201, 201, 403},
	{"GET /v1/sales/flash/waiting/17", 401, 200, 404, 404, 200, 403},
	{"DELETE /v1/sales/flash/waiting/17", 401, 200, 404, 404, 200, 403},
	{"GET /v1/orders", 401, 200, 200, 200, 200, 200},
	{"GET " + order1, 401, 200, 404, 404, 200, 200},
	{"GET /v1/orders/1", 401, 404, 404, 404, 404, 404},
	{"GET /v1/orders/x", 401, 404, 404, 404, 404, 404},
	{"POST " + order1 + `/payments {"method":"sandbox"}`, 401, 201, 404, 404, 201, 201},
	{"POST " + order1 + "/cancellation", 401, 200, 404, 404, 200, 200},
	{"POST " + order1 + "/refunds {}", 401, 200, 404, 404, 200, 200},
	{"POST /v1/payment-callbacks/sandbox {}", 401, 401, 401, 401, 401, 401},
	{"GET /v1/balance", 401, 200, 200, 200, 200, 200},
	{"GET /v1/balance/entries", 401, 200, 200, 200, 200, 200},
	{"GET /openapi.json", 200, 200, 200, 200, 200, 200},
	{"GET /problems/sold-out", 200, 200, 200, 200, 200, 200},
	{"GET /problems/nope", 404, 404, 404, 404, 404, 404},
	{"POST /v1/sales/flash/line {}", 401, 201, 201, 201, 201, 403},
	{"GET /v1/sales/flash/line/1-2", 401, 200, 404, 404, 200, 403},
	{"DELETE /v1/sales/flash/line/1-2", 401, 200, 404, 404, 200, 403},
	{"GET /v1/sales/flash/draw", 200, 200, 200, 200, 200, 200},
	{"DELETE /v1/sales", 405, 405, 405, 405, 405, 405},
}

const adminOrder = "/admin/v1/orders/123456789012345678"

var adminCallsByAccess = []call{
	{"GET /admin/v1/sales", 401, 403, 403, 200, 403, 403},
	{`POST /admin/v1/sales {"title":"t","startsAt":"2026-11-11T00:00:00Z","endsAt":"2026-11-12T00:00:00Z","items":[{"sku":"a","title":"A","price":1,"currency":"CNY","stock":1,"limitPerUser":1}]}`, 401, 403, 403, 201, 403, 403},
	{"GET /admin/v1/sales/flash", 401, 403, 403, 200, 403, 403},
	{`PATCH /admin/v1/sales/flash {"title":"t"}`, 401, 403, 403, 428, 403, 403},
	{`POST /admin/v1/sales/flash/stock {"sku":"sku-1","delta":1,"reason":"test"}`, 401, 403, 403, 200, 403, 403},
	{`POST /admin/v1/sales/flash/actions {"action":"pause","reason":"test"}`, 401, 403, 403, 200, 403, 403},
	{"GET /admin/v1/sales/flash/line", 401, 403, 403, 200, 403, 403},
	{`POST /admin/v1/sales/flash/draw {"value":"8f2c","reason":"test"}`, 401, 403, 403, 200, 403, 403},
	{"GET /admin/v1/stock?sale=flash", 401, 403, 403, 200, 403, 403},
	{"GET /admin/v1/orders", 401, 403, 403, 200, 403, 403},
	{"GET " + adminOrder, 401, 403, 403, 200, 403, 403},
	{"POST " + adminOrder + "/fulfilment", 401, 403, 403, 200, 403, 403},
	{"POST " + adminOrder + "/cancellation", 401, 403, 403, 200, 403, 403},
	{"POST " + adminOrder + "/refunds {}", 401, 403, 403, 200, 403, 403},
	{"GET /admin/v1/dead-letters", 401, 403, 403, 200, 403, 403},
	{"GET /admin/v1/dead-letters/7", 401, 403, 403, 200, 403, 403},
	{"POST /admin/v1/dead-letters/7/replay", 401, 403, 403, 200, 403, 403},
	{"POST /admin/v1/dead-letters/7/discard", 401, 403, 403, 200, 403, 403},
	{`POST /admin/v1/dead-letters/7/edit {"payload":{},"reason":"r"}`, 401, 403, 403, 200, 403, 403},
	{`POST /admin/v1/dead-letters/replay {"all":true}`, 401, 403, 403, 200, 403, 403},
	{`POST /admin/v1/dead-letters/discard {"all":true,"reason":"r"}`, 401, 403, 403, 200, 403, 403},
	{"GET /admin/v1/cases", 401, 403, 403, 200, 403, 403},
	{"GET /admin/v1/cases/7", 401, 403, 403, 200, 403, 403},
	{`POST /admin/v1/cases/7/resolve {"action":"accept","reason":"test"}`, 401, 403, 403, 200, 403, 403},
	{`POST /admin/v1/statements {"provider":"sandbox","lines":[]}`, 401, 403, 403, 200, 403, 403},
	{"GET /admin/v1/ledger?provider=sandbox&day=2026-11-11", 401, 403, 403, 200, 403, 403},
	{"GET /admin/v1/reconcile", 401, 403, 403, 200, 403, 403},
	{"POST /admin/v1/reconcile", 401, 403, 403, 200, 403, 403},
	{"GET /admin/v1/audit", 401, 403, 403, 200, 403, 403},
	{"GET /admin/v1/drained", 401, 403, 403, 200, 403, 403},
	{"GET /admin/v1/export/orders", 401, 403, 403, 200, 403, 403},
	{"GET /admin/v1/sales/flash/report.html", 401, 403, 403, 200, 403, 403},
	{"GET /admin/v1/sales/flash/report.json", 401, 403, 403, 200, 403, 403},
	{"GET /admin/v1/sales/flash/report.xlsx", 401, 403, 403, 200, 403, 403},
	{"GET /admin/v1/webhooks", 401, 403, 403, 200, 403, 403},
	{`POST /admin/v1/webhooks {"url":"https://a.example","events":["*"]}`, 401, 403, 403, 201, 403, 403},
	{"GET " + hook1, 401, 403, 403, 200, 403, 403},
	{"PATCH " + hook1 + ` {"rate":1}`, 401, 403, 403, 200, 403, 403},
	{"DELETE " + hook1, 401, 403, 403, 204, 403, 403},
	{"POST " + hook1 + "/enable", 401, 403, 403, 200, 403, 403},
	{"POST " + hook1 + "/disable", 401, 403, 403, 200, 403, 403},
	{"POST " + hook1 + "/rotate", 401, 403, 403, 200, 403, 403},
	{"POST " + hook1 + "/ping", 401, 403, 403, 200, 403, 403},
	{"GET " + hook1 + "/deliveries", 401, 403, 403, 200, 403, 403},
	{"POST " + hook1 + "/deliveries/7/replay", 401, 403, 403, 200, 403, 403},
	{"POST " + hook1 + `/replay {"since":"2026-11-11T00:00:00Z"}`, 401, 403, 403, 200, 403, 403},
	{"GET /admin/v1/apps", 401, 403, 403, 200, 403, 403},
	{`POST /admin/v1/apps {"name":"n","apis":["sales.read"]}`, 401, 403, 403, 201, 403, 403},
	{"GET " + app1, 401, 403, 403, 200, 403, 403},
	{"PATCH " + app1 + ` {"perMinute":1}`, 401, 403, 403, 200, 403, 403},
	{"DELETE " + app1, 401, 403, 403, 204, 403, 403},
	{"POST " + app1 + "/enable", 401, 403, 403, 200, 403, 403},
	{"POST " + app1 + "/disable", 401, 403, 403, 200, 403, 403},
	{"POST " + app1 + `/rotate {"use":"signing"}`, 401, 403, 403, 200, 403, 403},
	{"DELETE " + app1 + "/secrets/sk_1", 401, 403, 403, 200, 403, 403},
	{"GET /admin/v1/transactions?state=needs_human", 401, 403, 403, 200, 403, 403},
	{"POST /admin/v1/transactions {" + oneBranch + "}", 401, 403, 403, 201, 403, 403},
	{"GET /admin/v1/transactions/t-1", 401, 403, 403, 200, 403, 403},
	{"GET /admin/v1/transactions/t-2", 401, 403, 403, 404, 403, 403},
	{`POST /admin/v1/transactions/t-1/resolve {"action":"retry","reason":"test"}`, 401, 403, 403, 200, 403, 403},
	{`POST /admin/v1/participants/stock/try {"transaction":"t","branch":"b","payload":{}}`, 401, 403, 403, 200, 403, 403},
	{`POST /admin/v1/participants/stock/confirm {"transaction":"t","branch":"b","payload":{}}`, 401, 403, 403, 200, 403, 403},
	{`POST /admin/v1/participants/stock/cancel {"transaction":"t","branch":"b","payload":{}}`, 401, 403, 403, 200, 403, 403},
	{"GET " + balance1, 401, 403, 403, 200, 403, 403},
	{"GET " + balance1 + "/entries", 401, 403, 403, 200, 403, 403},
	{"POST " + balance1 + `/entries {"currency":"EUR","amount":1,"reason":"test"}`, 401, 403, 403, 201, 403, 403},
	{"PUT " + balance1 + `/limits/EUR {"limit":1,"reason":"test"}`, 401, 403, 403, 200, 403, 403},
	{"GET /admin/v1/gateway", 401, 403, 403, 200, 403, 403},
	{"POST /admin/v1/gateway/reload", 401, 403, 403, 200, 403, 403},
	{`POST /admin/v1/gateway/explain {"method":"GET","path":"/v1/orders"}`, 401, 403, 403, 200, 403, 403},
	{"GET /admin/v1/nope", 401, 403, 403, 404, 403, 403},
	{"DELETE /admin/v1/sales", 401, 403, 403, 405, 403, 403},
}

// Every route answers each kind of caller as the matrix says, every refusal is a problem, and the matrix leaves no call of the
// document out.
func TestAccessMatrix(t *testing.T) {
	t.Parallel()
	h := setup(t)
	tried := map[string]bool{}
	for listener, calls := range map[http.Handler][]call{h.public: publicCallsByAccess, h.admin: append(append(adminCallsByAccess, peopleByAccess...), deskCallsByAccess...)} {
		for _, c := range calls {
			want := map[string]int{"anonymous": c.anonymous, "user": c.user, "other": c.other, "operator": c.operator, "pass": c.pass, "stray pass": c.stray}
			for caller, status := range want {
				w := h.ask(listener, caller, c.what)
				if w.Code != status {
					t.Errorf("%s by %s: %d, want %d: %.200s", c.what, caller, w.Code, status, w.Body)
				}
				if w.Code >= 400 {
					var p struct{ Type string }
					if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || !strings.HasPrefix(p.Type, "/problems/") {
						t.Errorf("%s by %s: %d is no problem: %s", c.what, caller, w.Code, w.Body)
					}
				}
			}
			tried[shape(c.what)] = true
		}
	}
	for _, op := range documented(t) {
		if !tried[shape(op)] && op != "GET /v1/events" && op != "POST /oauth2/token" { // TestTokenCall has the latter, whose errors OAuth2 fixes
			t.Errorf("the matrix leaves out %s", op)
		}
	}
}

// shape cuts a call down to its method and the words of its path that are not values.
func shape(call string) string {
	method, rest, _ := strings.Cut(call, " ")
	path, _, _ := strings.Cut(rest, " ")
	path, _, _ = strings.Cut(path, "?")
	parts := strings.Split(path, "/")
	for i, p := range parts {
		switch parts[max(i-1, 0)] {
		case "sales", "attempts", "waiting", "orders", "dead-letters", "cases", "export", "payment-callbacks", "webhooks", "deliveries", "apps", "secrets", "transactions", "participants", "balances", "limits", "users", "line", "oidc-clients", "sessions", "breakers", "rehearsals":
			if p != "" {
				parts[i] = "*"
			}
		}
	}
	return method + " " + strings.Join(parts, "/")
}

func documented(t testing.TB) []string {
	t.Helper()
	text, err := Document()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	var out []string
	for path, methods := range doc.Paths {
		for m := range methods {
			out = append(out, strings.ToUpper(m)+" "+path)
		}
	}
	if len(out) < 30 {
		t.Fatalf("the document has %d calls only", len(out))
	}
	return out
}

// Nothing of one listener answers on another.
func TestListenersAreApart(t *testing.T) {
	t.Parallel()
	h := setup(t)
	for _, c := range append(adminCallsByAccess, call{what: "GET /metrics"}, call{what: "GET /health/live"}) {
		problem(t, h.ask(h.public, "operator", c.what), errs.NotFound)
	}
	for _, c := range append(publicCallsByAccess, call{what: "GET /metrics"}, call{what: "GET /health/live"}) {
		problem(t, h.ask(h.admin, "operator", c.what), errs.NotFound)
	}
	for _, c := range append(publicCallsByAccess, adminCallsByAccess...) {
		problem(t, h.ask(h.probe, "operator", c.what), errs.NotFound)
	}
}

// A path that is not in its simplest form is never redirected: it does not exist.
func TestCrookedPathsDoNotExist(t *testing.T) {
	t.Parallel()
	h := setup(t)
	for _, path := range []string{"/v1//sales", "//v1/sales", "/v1/./sales", "/v1/x/../sales", "/v1/sales/", "/", "/v1/sales/%2e%2e/sales"} {
		problem(t, h.ask(h.public, "user", "GET "+path), errs.NotFound)
	}
}

// The answer about another user's order, or about what hangs on it, is that of an order that does not exist, byte for byte
// but for the names in it.
func TestOthersOrdersLookMissing(t *testing.T) {
	t.Parallel()
	h := setup(t)
	for _, what := range []string{"GET %s", `POST %s/payments {"method":"sandbox"}`, "POST %s/cancellation", "POST %s/refunds {}"} {
		answer := func(caller, id string) map[string]any {
			p := problem(t, h.ask(h.public, caller, strings.ReplaceAll(what, "%s", "/v1/orders/"+id)), errs.NotFound)
			delete(p, "requestId")
			delete(p, "instance")
			return p
		}
		theirs, none, noID := answer("other", "123456789012345678"), answer("user", "5"), answer("user", "not-an-id")
		for _, p := range []map[string]any{none, noID} {
			if len(p) != len(theirs) || p["detail"] != theirs["detail"] {
				t.Errorf("%s: %v differs from %v", what, p, theirs)
			}
		}
	}
}
