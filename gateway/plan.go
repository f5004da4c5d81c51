package gateway

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"penstock/auth"
	"penstock/breaker"
	"penstock/limit"
	"penstock/shed"
)

// Policy is what an operator decides about the chain. It is never changed once a gateway uses it; another takes its place by
// [Gateway.Use].
type Policy struct {
	// Rule says how the calls of a route pass the chain; nil means that every route has the zero Rule. It is asked once for
	// each route, when the policy comes into use.
	Rule func(route string) Rule
	// Upstreams are the routes to other services; nil means none.
	Upstreams Upstreams
}

// Rule is how the calls of one route pass the chain. The zero Rule limits nothing.
type Rule struct {
	// Off are the stages that calls of the route skip.
	Off Stage
	// MaxBody is the longest request body in bytes; 0 means that of the options.
	MaxBody int64
	// Allow, unless nil, are the only addresses that may call. Deny are those that may not, whatever Allow says.
	Allow, Deny *Addresses
	// Address limits client addresses before anybody looks at a token; Limits limits all else, afterwards. nil means no limit.
	Address, Limits Limits
	// APIs are the named APIs that the route belongs to. An app may call the routes of the APIs that it was given, and no other.
	APIs []string
	// Class is how much a call matters when not all can be served. Exempt calls are never shed.
	Class   shed.Class
	Shedder Shedder
	Breaker Breaker
}

// Limits counts a call by every rule that applies to it, or by none; *limit.Set is one.
type Limits interface {
	Take(ctx context.Context, who limit.Subject) limit.Decision
	// Explain says what Take would say, and counts nothing.
	Explain(who limit.Subject) limit.Decision
}

// Apps knows the third-party apps. Each of its methods is called on the way of a call: it must answer from memory.
type Apps interface {
	// Signed reports whether a request claims to be signed by an app; it is then never taken for a bearer's.
	Signed(r *http.Request) bool
	// Verify checks the signature of a request over its head and its whole body. The identity has App and User set. Errors
	// carry unauthenticated, bad-signature or reduced-capacity.
	Verify(ctx context.Context, r *http.Request, body []byte) (auth.Identity, error)
	// Permit refuses an app that is disabled or may not call the API. Errors carry unauthenticated or forbidden.
	Permit(who auth.Identity, api string) error
}

// Classifier looks at what a caller holds; base is the class of the route, already raised for a pass.
type Classifier interface {
	Class(route string, who auth.Identity, base shed.Class) shed.Class
}

// Shedder lets calls in as long as there is room for their class; *shed.Shedder is one.
type Shedder interface {
	// Acquire takes a place, or returns an error with reduced-capacity and when to come back. release gives it back, once. who
	// is the user, or the address of nobody.
	Acquire(ctx context.Context, class shed.Class, who string) (release func(), err error)
	// State tells operators how it stands.
	State() shed.State
}

// Breaker stops calls to what fails; *breaker.Breaker is one.
type Breaker interface {
	// Allow lets a call go on, or refuses it with reduced-capacity and when to come back. Whoever is let on calls done once, with
	// how the call ended and how long it took.
	Allow() (done func(err error, took time.Duration), err error)
	// State tells operators how it stands.
	State() breaker.State
}

// Upstreams are routes to other services.
type Upstreams interface {
	// Routes lists them all.
	Routes() []Route
	// Match finds the route of a request that no call of our own takes.
	Match(r *http.Request) (Route, bool)
}

// Addresses is a set of addresses.
type Addresses struct{ spans []span }

// span is the addresses from first to last.
type span struct{ first, last netip.Addr }
