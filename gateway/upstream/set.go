package upstream

import (
	"cmp"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"reflect"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	"penstock/breaker"
	"penstock/internal/clock"
)

// defaultTimeout is that of a route that names none.
const defaultTimeout = 15 * time.Second

// Caller is who calls, as the chain found out.
type Caller struct {
	// User, App and Role are "" where nobody must be known.
	User, App, Role string
	// Sandbox marks a sandbox app.
	Sandbox bool
	// Expires ends streams; zero means never.
	Expires   time.Time
	RequestID string
	// Trace is a W3C traceparent.
	Trace  string
	Client netip.Addr
}

// Breaker stops calls to what fails; *breaker.Breaker is one.
type Breaker interface {
	Allow() (done func(err error, took time.Duration), err error)
	State() breaker.State
}

// Deps is what a set needs of the world. Caller and Fail are required.
type Deps struct {
	Clock  clock.Clock
	Logger *slog.Logger
	// Dir is where relative paths of files begin.
	Dir    string
	Caller func(*http.Request) Caller
	// Fail answers with the problem of err.
	Fail func(r *http.Request, err error)
	// Switched is told that a connection was handed over to another protocol; nil means nobody is.
	Switched func(*http.Request)
	// Began is told that a stream has begun: the call does not hold up others from now on; nil means nobody is.
	Began func(*http.Request)
	// Still says whether the caller of a stream may go on; nil means that all may.
	Still func(*http.Request) error
	// Breaker returns the breaker of a name; false means that there is none.
	Breaker func(name string) (Breaker, bool)
	// Drain ends streams when it is closed; nil never is.
	Drain <-chan struct{}
	// Observe is told of each try (answered, error, failed, late), of retry, hedge, breaker (open), nobody (no process), default
	// and second (path). nil means nobody is.
	Observe func(upstream, what string)
	// Random gives random bits; nil means the runtime's.
	Random func() uint64
}

func (d Deps) withDefaults() Deps {
	if d.Clock == nil {
		d.Clock = clock.Real{}
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Breaker == nil {
		d.Breaker = func(string) (Breaker, bool) { return nil, false }
	}
	if d.Observe == nil {
		d.Observe = func(string, string) {}
	}
	if d.Still == nil {
		d.Still = func(*http.Request) error { return nil }
	}
	if d.Began == nil {
		d.Began = func(*http.Request) {}
	}
	if d.Switched == nil {
		d.Switched = func(*http.Request) {}
	}
	if d.Random == nil {
		d.Random = rand.Uint64
	}
	return d
}

// Entry is a route as the chain sees it.
type Entry struct {
	// Name is the pattern. Access is user, anyone, app or operator.
	Name     string
	Access   Access
	Handler  http.Handler
	Validate func(*http.Request) error // nil without a document
	// Passes and Sandbox say whether callers by a pass and sandbox apps may be let in: the service behind takes passes for what they
	// are, or knows what a sandbox is.
	Passes, Sandbox bool
}

// Set is all routes of one policy.
type Set struct {
	d       Deps
	pools   map[string]*pool
	entries map[string]Entry
	mux     *http.ServeMux
	routes  map[string]*route
}

// New makes the routes. Files are read; nothing is asked and nothing runs. before may be nil: it lends the connections and the
// state of the upstreams that have not changed. Errors are *Invalid.
func New(upstreams map[string]Upstream, routes []Route, d Deps, before *Set) (*Set, error) {
	s := &Set{d: d.withDefaults(), pools: map[string]*pool{}, entries: map[string]Entry{}, mux: http.NewServeMux(), routes: map[string]*route{}}
	for name, spec := range upstreams {
		key := "upstreams." + name
		if err := spec.check(key); err != nil {
			return nil, err
		}
		if spec.Breaker != "" {
			if _, ok := s.d.Breaker(spec.Breaker); !ok {
				return nil, bad(key+".breaker", "breakers: {"+spec.Breaker+": {failures: 5, open: 30s}}", "is not among breakers")
			}
		}
		if before != nil && before.pools[name] != nil && reflect.DeepEqual(before.pools[name].spec, spec) {
			s.pools[name] = before.pools[name]
			continue
		}
		made, err := newPool(name, spec, s.d)
		if err != nil {
			return nil, err
		}
		s.pools[name] = made
	}
	for i, spec := range routes {
		if err := s.add("routes["+strconv.Itoa(i)+"]", spec); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// add makes a route.
func (s *Set) add(key string, spec Route) error {
	if err := spec.check(key); err != nil {
		return err
	}
	if s.routes[spec.Match] != nil {
		return bad(key+".match", "match: GET /v1/products/{id}", "is the match of another route too")
	}
	r, err := s.route(key, spec)
	if err != nil {
		return err
	}
	if err := register(s.mux, spec.Match, r); err != nil {
		return bad(key+".match", "match: GET /v1/products/{id}", "%v", err)
	}
	s.routes[spec.Match] = r
	// The mux hands a pattern's requests on with the values of its wildcards; nothing else does.
	s.entries[spec.Match] = Entry{Name: spec.Match, Access: cmp.Or(spec.Access, "user"), Handler: s.mux, Validate: r.validator(), Passes: spec.Credentials == "pass", Sandbox: spec.Sandbox}
	return nil
}

// registeredAt is what net/http says about our source, which is no news to whoever writes a policy.
var registeredAt = regexp.MustCompile(` \(registered at [^)]*\)`)

func register(mux *http.ServeMux, pattern string, h http.Handler) (err error) {
	defer func() {
		if p := recover(); p != nil {
			what, _, _ := strings.Cut(registeredAt.ReplaceAllString(fmt.Sprint(p), ""), ":\n") // an explanation of net/http follows
			err = fmt.Errorf("cannot be: %s", strings.Join(strings.Fields(what), " "))
		}
	}()
	mux.Handle(pattern, h)
	return nil
}

// Entries lists all routes by their names.
func (s *Set) Entries() []Entry {
	all := make([]Entry, 0, len(s.entries))
	for _, e := range s.entries {
		all = append(all, e)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all
}

// Match finds the route of a request. Paths that two readers could take for two things have none.
func (s *Set) Match(r *http.Request) (Entry, bool) {
	if !plainPath(r.URL) {
		return Entry{}, false
	}
	_, pattern := s.mux.Handler(r)
	e, ok := s.entries[pattern]
	return e, ok
}

// Start begins the health checks of upstreams whose checks do not run yet.
func (s *Set) Start() {
	if s == nil {
		return
	}
	for _, p := range s.pools {
		p.start()
	}
}

// Retire ends what next, which may be nil, does not go on with. Calls in flight end by themselves.
func (s *Set) Retire(next *Set) {
	if s == nil {
		return
	}
	for name, p := range s.pools {
		if next == nil || next.pools[name] != p {
			p.retire()
		}
	}
}

// States lists the processes of all upstreams.
func (s *Set) States() []TargetState {
	if s == nil {
		return nil
	}
	var all []TargetState
	for _, p := range s.pools {
		all = append(all, p.states(s.d.Clock)...)
	}
	sort.Slice(all, func(i, j int) bool {
		return all[i].Upstream+" "+all[i].Target < all[j].Upstream+" "+all[j].Target
	})
	return all
}
