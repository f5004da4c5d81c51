package gateway

import (
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"

	"penstock/limit"
)

// Gateway is the chain of stages with the attempt path and a router behind it.
type Gateway struct {
	o       Options
	verify  Verifier
	router  Router
	ip      *limit.Limiter[netip.Addr]
	user    *limit.Limiter[string]
	chain   Handler
	calls   atomic.Uint64
	buffers sync.Pool
}

// Handler answers a call.
type Handler func(*Call)

// stage is one step of the chain: it answers the call itself or hands it on.
type stage func(next Handler) Handler

// New returns the gateway as an HTTP handler.
func New(v Verifier, router Router, o Options) (*Gateway, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	o = o.withDefaults()
	g := &Gateway{
		o: o, verify: v, router: router,
		ip:   limit.New[netip.Addr](o.IP, limit.Options{Clock: o.Clock}),
		user: limit.New[string](o.User, limit.Options{Clock: o.Clock}),
	}
	g.buffers.New = func() any { return new(buffer) }
	g.chain = g.dispatch
	stages := g.stages()
	for i := len(stages) - 1; i >= 0; i-- {
		g.chain = stages[i](g.chain)
	}
	return g, nil
}

// stages is the order in which a call passes them. A stage may use what the ones above it have set.
func (g *Gateway) stages() []stage {
	return []stage{
		g.observe,      // outermost: it must see every answer, also the one to a panic
		g.identify,     // request id and trace: the answer to a panic already carries them
		g.recoverPanic, // before anything that could panic
		g.bound,        // sizes and encodings: nothing below looks at more than it may
		g.locate,       // the client's address
		g.route,        // what is asked, and who may ask it
		g.limitAddress, // before the token: checking signatures is work
		g.authenticate, // who asks
		g.limitUser,    // needs the user
	}
}

// ServeHTTP passes the request through the chain.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.chain(&Call{W: w, R: r, g: g})
}

// Sweep forgets idle keys of the limits; call it now and then, so that memory returns after a storm.
func (g *Gateway) Sweep() {
	g.ip.Sweep()
	g.user.Sweep()
}
