package api

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"penstock/errs"
	"penstock/gateway"
	"penstock/gateway/policy"
)

// policyRoom has a policy that cannot be reloaded by "eve".
type policyRoom struct{ *rooms }

func (policyRoom) View() policy.PolicyView {
	return policy.PolicyView{Status: policy.Status{Version: 3, Hash: "aa"}, Routes: []policy.RouteView{}}
}

func (p policyRoom) Reload(_ context.Context, who, why string) (policy.PolicyView, error) {
	p.note("reload " + who + " " + why)
	if why == "bad" {
		return policy.PolicyView{}, errs.New(errs.Invalid, "nothing has changed: gateway.yaml: line 3: limits[0].rate")
	}
	return p.View(), nil
}

func (p policyRoom) Explain(_ context.Context, q gateway.Question) (gateway.Explanation, error) {
	p.note("explain " + q.Method + " " + q.Path + " " + q.From.String())
	return gateway.Explanation{Verdict: gateway.Passes, Opinions: []gateway.Opinion{}}, nil
}

// A reload names who asked for it and why, a bad file is told with its line, and a question is passed on as it is; an address
// that is none is refused by its place.
func TestPolicyCalls(t *testing.T) {
	t.Parallel()
	h := setup(t)
	if w := h.ask(h.admin, "operator", `POST /admin/v1/gateway/reload {"reason":"new lists"}`); w.Code != http.StatusOK || h.rooms.last() != "reload root new lists" {
		t.Errorf("%d after %q: %s", w.Code, h.rooms.last(), w.Body)
	}
	if p := problem(t, h.ask(h.admin, "operator", `POST /admin/v1/gateway/reload {"reason":"bad"}`), errs.Invalid); !strings.Contains(p["detail"].(string), "line 3") {
		t.Errorf("%v", p)
	}
	if w := h.ask(h.admin, "operator", `POST /admin/v1/gateway/explain {"method":"GET","path":"/v1/orders","from":"2001:db8::7"}`); w.Code != http.StatusOK || h.rooms.last() != "explain GET /v1/orders 2001:db8::7" {
		t.Errorf("%d after %q: %s", w.Code, h.rooms.last(), w.Body)
	}
	if w := h.ask(h.admin, "operator", `POST /admin/v1/gateway/explain {"method":"GET","path":"/","from":"home"}`); w.Code != errs.Invalid.Status() || !strings.Contains(w.Body.String(), `"/from"`) {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
}

// Every call of the public listener that the document describes is a route that a policy can name.
func TestPublicRoutesAreThoseOfTheDocument(t *testing.T) {
	t.Parallel()
	routes := PublicRoutes()
	for _, op := range documented(t) {
		if _, ok := routes[op]; !ok && !strings.Contains(op, adminPrefix) {
			t.Errorf("a policy cannot name %s", op)
		}
	}
	if routes[gateway.AttemptRoute] != gateway.ByUser {
		t.Errorf("attempts are for %v", routes[gateway.AttemptRoute])
	}
}
