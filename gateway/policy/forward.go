package policy

import (
	"errors"
	"net/http"
	"strconv"

	"penstock/breaker"
	"penstock/gateway"
	"penstock/gateway/upstream"
)

// forwards are routes to other services as the chain sees them.
type forwards struct{ set *upstream.Set }

// access are the words of the file.
var access = map[upstream.Access]gateway.Access{
	"user": gateway.ByUser, "anyone": gateway.ByAnyone, "app": gateway.ByApp, "operator": gateway.ByOperator,
}

func route(e upstream.Entry) gateway.Route {
	return gateway.Route{
		Name: e.Name, Access: access[e.Access], Handler: e.Handler, Validate: e.Validate, NoPass: !e.Passes, NoSandbox: !e.Sandbox,
	}
}

// Routes lists them all.
func (f forwards) Routes() []gateway.Route {
	var all []gateway.Route
	for _, e := range f.set.Entries() {
		all = append(all, route(e))
	}
	return all
}

// Match finds the route of a request.
func (f forwards) Match(r *http.Request) (gateway.Route, bool) {
	e, ok := f.set.Match(r)
	return route(e), ok
}

// makeForwards makes the routes to other services.
func (b *built) makeForwards(r Rooms, before *built) error {
	f := b.file
	if r.Forward == nil {
		for key, empty := range map[string]bool{"upstreams": len(f.Upstreams) == 0, "routes": len(f.Routes) == 0} {
			if !empty {
				return f.at(key, "this process forwards no calls to other services")
			}
		}
		return nil
	}
	d := *r.Forward
	d.Caller, d.Fail, d.Switched, d.Began, d.Still = caller, fail, switched, began, still
	d.Breaker = func(name string) (upstream.Breaker, bool) {
		found := b.breakers[name]
		return found, found != nil
	}
	made, err := upstream.New(f.Upstreams, f.Routes, d, before.forwards)
	if bad, ok := errors.AsType[*upstream.Invalid](err); ok {
		p := f.at(bad.Key, bad.What)
		p.Example = bad.Example
		return p
	}
	if err != nil {
		return f.at("routes", err.Error())
	}
	for _, e := range made.Entries() {
		if _, taken := r.Routes[e.Name]; taken {
			for i, spec := range f.Routes {
				if spec.Match == e.Name {
					return f.at("routes["+strconv.Itoa(i)+"].match", "is a call of our own: it would never be forwarded")
				}
			}
		}
	}
	b.forwards = made
	return nil
}

// upstreams is nil where nothing is forwarded, so that calls do not pay for it.
func (b *built) upstreams() gateway.Upstreams {
	if b.forwards == nil || len(b.forwards.Entries()) == 0 {
		return nil
	}
	return forwards{b.forwards}
}

func caller(r *http.Request) upstream.Caller {
	c := gateway.FromContext(r.Context())
	return upstream.Caller{
		User: c.Who.User, App: c.Who.App, Role: c.Who.Role, Sandbox: c.Who.Sandbox, Expires: c.Who.Expires,
		RequestID: c.RequestID, Trace: c.Trace, Client: c.Client,
	}
}

func fail(r *http.Request, err error) { gateway.FromContext(r.Context()).Fail(err) }

func still(r *http.Request) error { return gateway.FromContext(r.Context()).Still() }

func began(r *http.Request) { gateway.FromContext(r.Context()).Streams() }

// switched keeps the call from being taken for one without an answer: what is said from now on goes past it.
func switched(r *http.Request) {
	gateway.FromContext(r.Context()).Status = http.StatusSwitchingProtocols
}

var _ upstream.Breaker = (*breaker.Breaker)(nil)

// Upstreams tells how the processes of all upstreams are.
func (l *Live) Upstreams() []upstream.TargetState {
	l.mu.Lock()
	b := l.now
	l.mu.Unlock()
	return b.forwards.States()
}
