package gateway

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
)

// Gateway is the chain of stages with the attempt path and a router behind it.
type Gateway struct {
	o       Options
	verify  Verifier
	router  Router
	stages  []stage
	plans   atomic.Pointer[plans]
	calls   atomic.Uint64
	buffers sync.Pool
	sweep   func()
	fixed   fixed
}

// Handler answers a call.
type Handler func(*Call)

// New returns the gateway as an HTTP handler.
func New(v Verifier, router Router, o Options) (*Gateway, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	o = o.withDefaults()
	g := &Gateway{o: o, verify: v, router: router, sweep: func() {}, fixed: newFixed()}
	g.buffers.New = func() any { return new(buffer) }
	g.stages = g.chain()
	policy := o.Policy
	if policy == nil {
		var err error
		if policy, g.sweep, err = builtIn(o); err != nil {
			return nil, fmt.Errorf("gateway: %w", err)
		}
	}
	if err := g.Use(policy); err != nil {
		return nil, err
	}
	return g, nil
}

// chain is the order in which a call passes the stages. A stage may use what the ones above it have set.
func (g *Gateway) chain() []stage {
	return []stage{
		{name: StageLog, on: always, around: g.observe},                                          // outermost: it must see every answer, also the one to a panic
		{name: StageTrace, on: always, check: g.identify, say: g.sayTrace},                       // request id and trace: the answer to a panic already carries them
		{on: always, around: g.recoverPanic},                                                     // before anything that could panic; no policy may leave it out
		{name: StageBody, on: always, check: g.checkBody},                                        // sizes and encodings: nothing below looks at more than it may
		{name: StageAddress, on: always, check: g.locate, say: g.sayAddress},                     // the client's address
		{name: StageLists, on: hasLists, check: g.checkLists, say: g.sayLists},                   // who is not welcome costs nothing more
		{name: StageIPLimit, on: limitsAddresses, check: g.limitAddress, say: g.sayAddressLimit}, // before the token: checking signatures is work
		{name: StageToken, on: wantsCaller, check: g.authenticate, say: g.sayToken},              // who asks
		{name: StageApp, on: g.takesApps, check: g.checkApp, say: g.sayApp},                      // what an app may ask
		{name: StageValidation, on: hasSchema, check: g.validate, say: g.sayValidation},          // a malformed call uses up no quota
		{name: StageLimits, on: limitsCallers, check: g.limitCaller, say: g.sayLimits},           // needs user, app and API
		{name: StageShedding, on: g.hasShedder, around: g.makeRoom, say: g.sayShedding},          // whoever is within his quota may still come at a bad time
		{name: StageBreaker, on: hasBreaker, around: g.breakCircuit, say: g.sayBreaker},          // next to what it guards, so that it counts nothing but its answers
	}
}

// ServeHTTP passes the request through the chain of its route. A call that has begun ends by the policy it began with.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &Call{W: w, R: r, g: g}
	c.Start = g.o.Clock.Now()
	g.route(c, g.plans.Load())
	g.protect(c)
	c.plan.run(c)
}

// Sweep forgets idle keys of the limits that the options brought; call it now and then, so that memory returns after a storm.
func (g *Gateway) Sweep() { g.sweep() }
