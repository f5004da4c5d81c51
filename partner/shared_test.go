package partner

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"penstock/auth"
	"penstock/errs"
	"penstock/internal/clock"
	"penstock/internal/engines"
)

func claims(user string, c clock.Clock) auth.Claims {
	return auth.Claims{User: user, Expires: c.Now().Add(time.Hour)}
}

// revokedEverywhere: what an operator takes away by one instance is refused by another, on its own clock, within five seconds: a
// disabled app, a permission, a secret, and tokens issued before. A nonce used at one is used at the other.
func revokedEverywhere(t *testing.T, e engine) {
	where := e.place(t)
	here, there := openWorld(t, e.open(t, where), clock.Real{}), openWorld(t, e.open(t, where), clock.Real{})
	a := here.create("orders.write", "sales.read")
	within(t, "the other instance knows the app", func() bool { return signs(t, there, a.signing) == "" })
	r := here.signed(buy(), a.signing)
	if _, err := here.verify(r, buy().body); err != nil {
		t.Fatal(err)
	}
	if _, err := there.verify(r, buy().body); !errs.Is(err, errs.BadSignature) {
		t.Errorf("a signature was taken by both instances: %v", err)
	}
	g, err := here.Grant(a.ID, a.client.Text, "")
	check(t, err)
	who, err := here.Bearers(here.ring).Verify(g.Token)
	check(t, err)
	if err := there.Permit(who, "sales.read"); err != nil {
		t.Fatal(err)
	}

	_, err = here.Change(t.Context(), "op", a.ID, "r", Change{APIs: []string{"orders.write"}})
	check(t, err)
	within(t, "the permission is gone", func() bool { return errs.Is(there.Permit(who, "sales.read"), errs.Forbidden) })
	_, err = here.Disable(t.Context(), "op", a.ID, "r")
	check(t, err)
	within(t, "the disabled app is refused", func() bool { return signs(t, there, a.signing) == errs.Unauthenticated })
	if err := there.Permit(who, "orders.write"); !errs.Is(err, errs.Unauthenticated) {
		t.Errorf("its token: %v", err)
	}
	_, err = here.Enable(t.Context(), "op", a.ID, "r")
	check(t, err)
	within(t, "the app is back", func() bool { return signs(t, there, a.signing) == "" && there.Permit(who, "orders.write") == nil })
	_, err = here.EndSecret(t.Context(), "op", a.ID, a.client.ID, "r")
	check(t, err)
	within(t, "the token of the ended secret is refused", func() bool { return errs.Is(there.Permit(who, "orders.write"), errs.Unauthenticated) })
	_, err = here.EndSecret(t.Context(), "op", a.ID, a.signing.ID, "r")
	check(t, err)
	within(t, "the ended secret signs no more", func() bool { return signs(t, there, a.signing) == errs.BadSignature })
}

func signs(t *testing.T, w *world, s Secret) errs.Code {
	t.Helper()
	_, err := w.verify(w.signed(buy(), s), buy().body)
	return errs.CodeOf(err)
}

// within polls for what another instance is about to learn, and logs how long it took (promised: less than five seconds).
func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	begin := time.Now()
	for !ok() {
		if time.Since(begin) > time.Minute {
			t.Fatalf("%s: not within a minute", what)
		}
		time.Sleep(5 * time.Millisecond) // polling what another instance is about to learn
	}
	t.Logf("%s after %v", what, time.Since(begin).Round(time.Millisecond))
}

// storeGone: with the database gone an instance refuses apps before a revocation could be missed, says that nothing was executed,
// and lets them in again when it is back.
func storeGone(t *testing.T, server *engines.Server) {
	e := onMySQL(server)
	w := openWorld(t, e.open(t, e.place(t)), clock.Real{}, func(o *Options) { o.Replay = always{} })
	a := w.create("orders.write")
	if code := signs(t, w, a.signing); code != "" {
		t.Fatal(code)
	}
	server.Kill(t)
	within(t, "apps are refused", func() bool { return signs(t, w, a.signing) == errs.ReducedCapacity })
	if _, err := w.Grant(a.ID, a.client.Text, ""); !errs.Is(err, errs.ReducedCapacity) {
		t.Errorf("a token: %v", err)
	}
	server.Start(t)
	begin := time.Now()
	for signs(t, w, a.signing) != "" {
		if time.Since(begin) > time.Minute {
			t.Fatal("apps are not let in again")
		}
		time.Sleep(20 * time.Millisecond) // polling what the background look brings about
	}
}

// always takes every nonce.
type always struct{}

func (always) Once(context.Context, [32]byte, time.Time) (bool, error) { return true, nil }

// A process that was paused refuses apps when it wakes, until it has looked.
func TestPausedProcessLooksFirst(t *testing.T) {
	t.Parallel()
	fake := clock.NewFake(noon)
	w := newWorld(t, onSQLite(), fake, func(o *Options) { o.Refresh = 2 * time.Second })
	a := w.create("orders.write")
	s := *w.snap.Load()
	s.read = noon.Add(-5 * time.Second)
	w.snap.Store(&s)
	if code := signs(t, w, a.signing); code != errs.ReducedCapacity {
		t.Errorf("by a look of five seconds ago: %q", code)
	}
	check(t, w.refresh(t.Context()))
	if code := signs(t, w, a.signing); code != "" {
		t.Errorf("after a look: %q", code)
	}
}

// A key that does not open the sealed secrets costs the signatures of those apps and nothing else.
func TestOtherSealingKey(t *testing.T) {
	t.Parallel()
	e, where := onSQLite(), filepath.Join(t.TempDir(), "apps.db")
	var a made
	t.Run("before", func(t *testing.T) { a = openWorld(t, e.open(t, where), clock.NewFake(noon)).create("orders.write") })
	w := openWorld(t, e.open(t, where), clock.NewFake(noon))
	box, err := NewSealer([]byte("another master key of enough bytes"))
	check(t, err)
	w.box = box
	w.snap.Store(&snapshot{})
	check(t, w.refresh(t.Context()))
	if code := signs(t, w, a.signing); code != errs.BadSignature {
		t.Errorf("%q", code)
	}
	if _, err := w.Grant(a.ID, a.client.Text, ""); err != nil {
		t.Error(err)
	}
}
