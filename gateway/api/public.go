package api

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"penstock/gateway"
)

// bearer marks a call that needs a token.
func bearer() []map[string][]string { return []map[string][]string{{"bearer": {}}} }

// Public returns the handler of the buyers' listener.
func Public(d Deps) (*gateway.Gateway, error) {
	err := need("public", map[string]bool{
		"Verifier": d.Verifier != nil, "Passes": d.Passes != nil, "Gateway.Attempts": d.Gateway.Attempts != nil, "Sales": d.Sales != nil,
		"Orders": d.Orders != nil, "Payments": d.Payments != nil, "Events": d.Events != nil,
	})
	if err != nil {
		return nil, err
	}
	d = d.withDefaults()
	document, err := Document()
	if err != nil {
		return nil, err
	}
	s := publicCalls(d, newSpec())
	s.handle("GET /openapi.json", gateway.ByAnyone, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(document)
	})
	s.handle("GET /problems/{name}", gateway.ByAnyone, problemPage)
	g, err := gateway.New(d.Verifier, s, d.Gateway)
	if err != nil {
		return nil, err
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
	s.saleCalls()
	s.attemptCalls()
	s.orderCalls()
	s.paymentCalls()
	s.eventCalls()
	return s
}
