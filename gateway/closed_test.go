package gateway

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"penstock/auth"
	"penstock/breaker"
	"penstock/engine/groupcommit"
	"penstock/identity"
	"penstock/internal/clock"
	"penstock/partner"
)

// cookies knows people by the sessions of the identity room.
type cookies struct{ people *identity.People }

func (s cookies) Session(r *http.Request) (auth.Identity, bool, error) {
	c, err := r.Cookie("session")
	if err != nil {
		return auth.Identity{}, false, nil
	}
	who, err := s.people.Check(r.Context(), c.Value)
	return auth.Identity{User: who.User.Name, Role: string(who.User.Role)}, true, err
}

// guarded is a gateway over the real rooms of apps and people, whose stores can be taken away, with a breaker that can be opened.
type guarded struct {
	t       *testing.T
	g       *Gateway
	clock   *clock.Fake
	breaker *breaker.Breaker
	apps    partner.Store
	persons identity.Store
	served  int
	headers map[string]http.Header // of each principal
}

func guard(t *testing.T) *guarded {
	t.Helper()
	w := &guarded{t: t, clock: clock.NewFake(start), headers: map[string]http.Header{}}
	ring, err := auth.Open(filepath.Join(t.TempDir(), "keys.json"), auth.Options{Clock: w.clock})
	w.must(err)
	apps, people := w.addApps(ring), w.addPeople()
	w.headers["a junk token"] = bearer("v4.public.junk")
	w.breaker, err = breaker.New(breaker.Options{})
	w.must(err)
	route := Route{Name: "GET /v1/orders", Access: ByUser, Handler: http.HandlerFunc(func(w2 http.ResponseWriter, _ *http.Request) {
		w.served++
		w2.WriteHeader(http.StatusNoContent)
	})}
	w.g, err = New(apps.Bearers(ring), router{route}, Options{Clock: w.clock, Apps: apps, Sessions: cookies{people}, Policy: &Policy{Rule: func(string) Rule {
		return Rule{APIs: []string{"orders.read"}, Breaker: w.breaker}
	}}})
	w.must(err)
	return w
}

func (w *guarded) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

func (w *guarded) addApps(ring *auth.Ring) *partner.Apps {
	t := w.t
	var err error
	w.apps, err = partner.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "apps.db"), groupcommit.Options{})
	w.must(err)
	box, err := partner.NewSealer(bytes.Repeat([]byte("k"), 32))
	w.must(err)
	apps, err := partner.New(w.apps, box, partner.Options{Clock: w.clock, Issue: ring.Sign})
	w.must(err)
	w.must(apps.Start(t.Context()))
	t.Cleanup(func() { _ = apps.Stop(context.Background()); w.apps.Close() })
	for _, name := range []string{"a good app", "a disabled app"} {
		app, secrets, err := apps.Create(t.Context(), "op", partner.Definition{Name: name, APIs: []string{"orders.read"}})
		w.must(err)
		grant, err := apps.Grant(app.ID, secrets[0].Text, "")
		w.must(err)
		w.headers[name] = bearer(grant.Token)
		if name == "a disabled app" {
			_, err = apps.Disable(t.Context(), "op", app.ID, "test")
			w.must(err)
		}
	}
	token, err := ring.Sign(auth.Claims{User: auth.AppPrefix + "nobody", App: "nobody", Secret: "none", Scopes: "orders.read", Expires: start.Add(time.Hour)})
	w.must(err)
	w.headers["an unknown app"] = bearer(token)
	return apps
}

func (w *guarded) addPeople() *identity.People {
	t := w.t
	var err error
	w.persons, err = identity.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "identity.db"), groupcommit.Options{})
	w.must(err)
	t.Cleanup(func() { w.persons.Close() })
	vault, err := identity.NewVault([]byte(strings.Repeat("k", 32)))
	w.must(err)
	people, err := identity.New(t.Context(), w.persons, vault, identity.Options{Clock: w.clock, Cost: identity.Cost{MemoryKiB: 8, Passes: 1, Lanes: 1},
		Audit: func(context.Context, identity.Act) error { return nil }})
	w.must(err)
	const password = "correct horse battery"
	for what, name := range map[string]string{"a good person": "alice", "a disabled person": "bob"} {
		user, err := people.Create(t.Context(), "test", identity.User{Name: name, Role: identity.Operator}, password)
		w.must(err)
		login, err := people.Login(t.Context(), identity.From{Address: netip.MustParseAddr("192.0.2.1")}, name, password)
		w.must(err)
		w.headers[what] = http.Header{"Cookie": {"session=" + login.Cookie}}
		if name == "bob" {
			user.Disabled = true
			_, _, err = people.Change(t.Context(), "test", "left", user)
			w.must(err)
		}
	}
	w.must(people.Refresh(t.Context()))
	w.headers["an unknown session"] = http.Header{"Cookie": {"session=" + strings.Repeat("x", 43)}}
	return people
}

// through reports who gets through to the handler.
func (w *guarded) through() map[string]bool {
	in := map[string]bool{}
	for who, header := range w.headers {
		before := w.served
		r := httptest.NewRequest("GET", "/v1/orders", nil)
		r.Header = header
		answer := httptest.NewRecorder()
		w.g.ServeHTTP(answer, r)
		if in[who] = w.served > before; !in[who] && answer.Code < 400 {
			w.t.Errorf("%s: %d without the handler", who, answer.Code)
		}
	}
	return in
}

// Whoever is unknown or disabled does not get through, whether the stores of apps and people answer or not, whether the breaker of
// the route is closed or open; and when the stores have been away for longer than a revocation may take, nobody does.
func TestNobodyUnknownGetsThroughEver(t *testing.T) {
	t.Parallel()
	for _, stores := range []string{"up", "just gone", "gone"} {
		for _, open := range []bool{false, true} {
			w := guard(t)
			if open {
				w.breaker.Trip()
			}
			if stores != "up" {
				w.apps.Close()
				w.persons.Close()
			}
			if stores == "gone" {
				w.clock.Advance(10 * time.Second)
			}
			for who, in := range w.through() {
				good := strings.HasPrefix(who, "a good")
				if want := good && !open && stores != "gone"; in != want {
					t.Errorf("%s, stores %s, breaker open %v: through %v, want %v", who, stores, open, in, want)
				}
			}
		}
	}
}
