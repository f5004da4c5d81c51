package api

import (
	"context"
	"net/http"
	"net/netip"

	"penstock/errs"
	"penstock/gateway"
	"penstock/gateway/policy"
)

// Policies is the gateway's policy as operators see and change it.
type Policies interface {
	View() policy.PolicyView
	// Reload reads the file again, and records who wanted it and why. After an error the policy in use stays.
	Reload(ctx context.Context, who, why string) (policy.PolicyView, error)
	// Explain tells what each stage of the public listener says to a call. Nothing is executed or counted.
	Explain(ctx context.Context, q gateway.Question) (gateway.Explanation, error)
}

type policyOutput struct{ Body policy.PolicyView }

func (s *surface) policyCalls() {
	register(s, operator("get-gateway", http.MethodGet, "/gateway", "Look at the gateway's policy in use, its breakers and its shedding, in this process"), func(context.Context, *struct{}) (*policyOutput, error) {
		return &policyOutput{s.d.Policy.View()}, nil
	})
	register(s, operator("reload-gateway", http.MethodPost, "/gateway/reload", "Read the policy file again; a bad file changes nothing"), func(ctx context.Context, in *struct{ Body *Reason }) (*policyOutput, error) {
		v, err := s.d.Policy.Reload(ctx, acting(ctx), in.Body.text())
		if err != nil {
			return nil, err
		}
		return &policyOutput{v}, nil
	})
	register(s, operator("explain-call", http.MethodPost, "/gateway/explain", "Tell what each stage says to a call, without executing or counting it"), s.explainCall)
}

type explanationOutput struct{ Body gateway.Explanation }

func (s *surface) explainCall(ctx context.Context, in *struct {
	Body struct {
		Method string `json:"method" maxLength:"16" example:"GET"`
		Path   string `json:"path" maxLength:"2048" example:"/v1/orders"`
		Token  string `json:"token,omitempty" maxLength:"8192" doc:"a bearer token or a pass; nobody's call when left out"`
		From   string `json:"from,omitempty" maxLength:"64" doc:"the client's address; 127.0.0.1 when left out"`
	}
}) (*explanationOutput, error) {
	q := gateway.Question{Method: in.Body.Method, Path: in.Body.Path, Token: in.Body.Token}
	if in.Body.From != "" {
		from, err := netip.ParseAddr(in.Body.From)
		if err != nil {
			e := errs.New(errs.Invalid, "the request does not follow the schema")
			e.Fields = []errs.Field{{Pointer: "/from", Detail: "must be an address, for example 203.0.113.7 or 2001:db8::1"}}
			return nil, e
		}
		q.From = from
	}
	x, err := s.d.Policy.Explain(ctx, q)
	if err != nil {
		return nil, err
	}
	return &explanationOutput{x}, nil
}

// Routes returns the name of each route with who may use it.
func (s *routes) Routes() map[string]gateway.Access { return s.access }

// PublicRouter returns a router with the routes of a public listener that has all of them. It finds routes; their handlers must
// not be called.
func PublicRouter() gateway.Router {
	s := publicCalls(Deps{}, newSpec())
	nobody := func(http.ResponseWriter, *http.Request) {}
	s.handle("GET /openapi.json", gateway.ByAnyone, nobody)
	s.handle("GET /problems/{name}", gateway.ByAnyone, nobody)
	s.handle(gateway.AttemptRoute, gateway.ByUser, nobody)
	s.handle(gateway.ShopRoute, gateway.ByAnyone, nobody)
	s.handle(DemoLoginRoute, gateway.ByAnyone, nobody)
	return s
}

// PublicRoutes returns the routes of the public listener with who may use them.
func PublicRoutes() map[string]gateway.Access {
	return PublicRouter().(interface {
		Routes() map[string]gateway.Access
	}).Routes()
}
