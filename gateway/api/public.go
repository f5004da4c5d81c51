package api

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"penstock/gateway"
)

// bearer marks a call that needs a token.
func bearer() []map[string][]string { return []map[string][]string{{"bearer": {}}} }

// Public returns the handler of the buyers' listener. Without Sales it has no calls about sales and attempts, without Orders
// none about orders and payments: another process answers those.
func Public(d Deps) (*gateway.Gateway, error) {
	sales, orders := d.Sales != nil, d.Orders != nil
	err := need("public", map[string]bool{
		"Verifier": d.Verifier != nil, "Sales, Orders or Forwards": sales || orders || d.Forwards,
		"Waiting": !sales || d.Waiting != nil,
		"Passes":  !sales || d.Passes != nil, "Gateway.Attempts": !sales || d.Gateway.Attempts != nil,
		"Payments": !orders || d.Payments != nil, "Balances": !orders || d.Balances != nil, "Events": !orders || d.Events != nil,
	})
	if err != nil {
		return nil, err
	}
	d = d.withDefaults()
	document, err := Document()
	if err != nil {
		return nil, err
	}
	s := newSurface(d, newSpec(), gateway.ByAnyone)
	if sales {
		s.buying()
	}
	if orders {
		s.owning()
	}
	if d.Apps != nil {
		s.oauthCalls()
	}
	s.handle("GET /openapi.json", gateway.ByAnyone, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(document)
	})
	s.handle("GET /problems/{name}", gateway.ByAnyone, problemPage)
	s.face(d.Face, gateway.ShopRoute)
	s.demoCalls()
	g, err := gateway.New(d.Verifier, s, d.Gateway)
	if err != nil {
		return nil, err
	}
	if !sales {
		return g, nil
	}
	// An attempt whose path is percent-encoded comes by the slow way.
	s.handle(gateway.AttemptRoute, gateway.ByUser, func(_ http.ResponseWriter, r *http.Request) {
		g.ServeAttempt(gateway.FromContext(r.Context()), r.PathValue("sale"))
	})
	return g, nil
}

// publicCalls registers every call of the public listener that the document describes.
func publicCalls(d Deps, spec *huma.OpenAPI) *surface {
	s := newSurface(d, spec, gateway.ByAnyone)
	s.buying()
	s.owning()
	s.oauthCalls()
	return s
}

// buying registers the calls about sales and attempts.
func (s *surface) buying() {
	s.saleCalls()
	s.attemptCalls()
	s.waitingCalls()
	s.lineCalls()
}

// owning registers the calls about what a buyer has.
func (s *surface) owning() {
	s.orderCalls()
	s.paymentCalls()
	s.balanceCalls()
	s.eventCalls()
}
