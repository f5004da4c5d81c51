package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"penstock/auth"
	"penstock/internal/clock"
	"penstock/limit"
	"penstock/stock"
)

// Attempter decides attempts; the sale room is one. It returns within the deadline of its own choosing, and earlier with
// [stock.Unknown] when ctx ends first.
type Attempter interface {
	Attempt(ctx context.Context, r stock.Request) stock.Answer
}

// Verifier tells who a bearer token speaks for; *auth.Ring is one.
type Verifier interface {
	// Verify checks a token. Errors carry unauthenticated or reduced-capacity.
	Verify(token string) (auth.Identity, error)
	// VerifyPass checks a pass. Errors carry unauthenticated.
	VerifyPass(token string, now time.Time) (user, sale string, err error)
}

// Sessions knows browsers by their cookie.
type Sessions interface {
	// Session returns who the browser's session speaks for; false means that the request brought none. Errors carry
	// unauthenticated, forbidden (the call comes from another site) or reduced-capacity.
	Session(r *http.Request) (who auth.Identity, found bool, err error)
}

// Access says who may make a call.
type Access uint8

// Access levels. A route that is not marked otherwise needs a user.
const (
	ByUser Access = iota
	ByAnyone
	ByOperator
	// ByApp are calls that third-party apps make as themselves. On ByUser routes an app is a user like others.
	ByApp
	accessLevels
)

// Route is what a router found for a request.
type Route struct {
	// Name is the pattern, such as "GET /v1/orders/{order}": it labels metrics, so there must be few.
	Name    string
	Access  Access
	Handler http.Handler
	// NoPass and NoSandbox refuse passes and sandbox apps: whoever answers could not tell them from other users and apps.
	NoPass, NoSandbox bool
	// Validate refuses a request that does not follow the route's published schema; its body can be read as often as wanted.
	// nil means that the handler validates. Errors carry invalid-request.
	Validate func(r *http.Request) error
}

// Unmatched is the route name of what no route takes.
const Unmatched = "unmatched"

// Router finds the handler of every call that is not an attempt. It must return one for any request: unknown paths are routes
// that answer not-found. A router that also has Routes() map[string]Access tells the names of its routes beforehand; calls of
// other names pass a chain without rules of their own.
type Router interface {
	Route(r *http.Request) Route
}

// Options tunes a gateway. The zero value is good, without limits.
type Options struct {
	Clock clock.Clock
	// Sessions knows the browsers that logged in, for calls without an Authorization header; nil means tokens only.
	Sessions Sessions
	// May says which role may make an operator's call, by its pattern; nil means [auth.Operator] alone.
	May func(role, pattern string) bool
	// Attempts makes the gateway answer the attempt path; nil leaves that path to the router.
	Attempts Attempter
	// Policy is what applies until [Gateway.Use] brings another; nil means one made of IP and User.
	Policy *Policy
	// Apps makes the gateway take calls of third-party apps; nil means that there are none.
	Apps Apps
	// Classifier raises or lowers classes by what a caller holds; nil means that routes alone decide.
	Classifier Classifier
	// IP and User limit calls per client address and per user, where Policy is nil.
	IP, User limit.Rate
	// Attempt is the limit of attempts per user that Attempts keeps; here it is only told to those who were refused by it.
	Attempt limit.Rate
	// TrustedProxies are the networks whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// MaxBody is the longest request body in bytes; 0 means 64 KiB.
	MaxBody int64
	// ProblemBase is put before the names of problem types; "" means "/problems".
	ProblemBase string
	// LogEvery is how many calls of the attempt path share one log line; 0 means 100, 1 means all.
	LogEvery int
	// Sample is the share, 0 to 1, of the traces begun here that are sampled. The trace id decides, so that others who go by
	// it decide the same; a caller's own decision is respected.
	Sample float64
	// Observer is told of every call; nil means nobody is.
	Observer Observer
	// Logger takes recovered panics; nil means that they are only counted.
	Logger *slog.Logger
	// Drain makes answers ask the client to close the connection once it has begun; nil means never.
	Drain *Drain
	// Random gives random bits for trace ids and jitter; nil means the runtime's generator.
	Random func() uint64
}

// Validate names the field that is out of range.
func (o Options) Validate() error {
	switch {
	case o.MaxBody < 0 || o.MaxBody > 16<<20:
		return fmt.Errorf("option MaxBody is %d: it must be between 0 and 16 MiB", o.MaxBody)
	case o.LogEvery < 0:
		return fmt.Errorf("option LogEvery is %d: it must be 0 or more", o.LogEvery)
	case !(o.Sample >= 0 && o.Sample <= 1):
		return fmt.Errorf("option Sample is %v: it must be a share from 0 to 1", o.Sample)
	case strings.HasSuffix(o.ProblemBase, "/"):
		return fmt.Errorf("option ProblemBase is %q: leave out the last slash", o.ProblemBase)
	}
	for _, p := range o.TrustedProxies {
		if !p.IsValid() {
			return fmt.Errorf("option TrustedProxies has an invalid network: write networks such as 10.0.0.0/8")
		}
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.MaxBody == 0 {
		o.MaxBody = 64 << 10
	}
	if o.ProblemBase == "" {
		o.ProblemBase = "/problems"
	}
	if o.LogEvery == 0 {
		o.LogEvery = 100
	}
	if o.Observer == nil {
		o.Observer = nobody{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Drain == nil {
		o.Drain = NewDrain()
	}
	if o.Random == nil {
		o.Random = rand.Uint64
	}
	return o
}
