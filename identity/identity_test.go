package identity_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"penstock/errs"
	"penstock/identity"
	"penstock/internal/engines"
)

// every is what must hold on both engines.
var every = map[string]func(t *testing.T, w *world){
	"same answer":    sameAnswer,
	"victim":         victimStaysFree,
	"spread guesses": spreadGuesses,
	"parallel":       parallelGuesses,
	"one-time codes": oneTimeCodes,
	"rotation":       rotation,
	"ends":           ends,
	"revocation":     revocation,
	"bound":          boundedSessions,
	"failed logins":  boundedTrail,
	"own password":   ownPassword,
	"own factor":     ownSecondFactor,
	"begun factor":   begunSecondFactor,
	"half a login":   halfLogins,
	"turned away":    turnedAway,
	"earned pause":   earnedPause,
}

// The room keeps its promises on a SQLite file.
func TestOnSQLite(t *testing.T) {
	t.Parallel()
	for name, test := range every {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, newWorld(t, onSQLite)) })
	}
}

// The room keeps its promises on MariaDB, and what one instance ends another refuses within 5 s.
func TestOnMySQL(t *testing.T) {
	t.Parallel()
	e := onMySQL(engines.MariaDB(t))
	for name, test := range every {
		t.Run(name, func(t *testing.T) { test(t, newWorld(t, e)) })
	}
	t.Run("two instances", func(t *testing.T) { twoInstances(t, e) })
}

// A wrong password, an unknown user, a disabled user and an impossible name get the same answer, and the throttle treats them
// alike.
func sameAnswer(t *testing.T, w *world) {
	if _, err := w.Create(t.Context(), "test", identity.User{Name: "gone", Role: identity.Viewer}, password); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Change(t.Context(), "test", "left", identity.User{Name: "gone", Role: identity.Viewer, Disabled: true}); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct{ name, pass string }{{"alice", "wrong wrong wrong"}, {"nobody", password}, {"gone", password}, {"' OR 1=1 --", password}, {strings.Repeat("x", 5000), password}} {
		var seen []string
		for range 7 {
			_, err := w.Login(t.Context(), from(fmt.Sprintf("10.0.0.%d", i+1)), c.name, c.pass)
			e, ok := errors.AsType[*errs.Error](err)
			if !ok {
				t.Fatalf("%q: %v", c.name, err)
			}
			seen = append(seen, fmt.Sprint(e.Code, e.Detail, e.RetryAfter))
		}
		want := append(slices.Repeat([]string{"unauthenticatedthe name, the password or the code is wrong0s"}, 6), "quota-exceededtoo many failed logins; try again later1s")
		// The impossible name of 5000 bytes is one account, "", for all who send such.
		if !slices.Equal(seen, want) {
			t.Errorf("%.20q: %q", c.name, seen)
		}
	}
}

// A stranger who guesses from the same address, and from a thousand others, does not keep out a browser that logged in before;
// he himself waits longer and longer.
func victimStaysFree(t *testing.T, w *world) {
	home := from("192.0.2.1")
	l := w.in(home, "alice")
	home.Device = l.Device
	var waited time.Duration
	for range 40 {
		_, err := w.Login(t.Context(), from("192.0.2.1"), "alice", "guess guess guess")
		if e, ok := errors.AsType[*errs.Error](err); ok && e.Code == errs.QuotaExceeded {
			waited += e.RetryAfter
			w.clock.Advance(e.RetryAfter)
		}
	}
	if waited < 30*time.Minute {
		t.Errorf("40 guesses took %v only", waited)
	}
	w.wants(w.Refresh(t.Context()), "")
	for range 3 {
		w.in(home, "alice")
	}
	// The cookie is the account's: for another account it is worth nothing, nor is one that was changed.
	for _, device := range []string{home.Device + "x", strings.Replace(home.Device, ".", "..", 1), "a.1.b", ""} {
		stranger := from("192.0.2.1")
		stranger.Device = device
		if got := w.try(stranger, "alice", password); got != errs.QuotaExceeded {
			t.Errorf("device %q: %q", device, got)
		}
	}
	// A stolen cookie is slowed by its own failures.
	for range 11 {
		w.try(home, "alice", "guess guess guess")
	}
	if got := w.try(home, "alice", password); got != errs.QuotaExceeded {
		t.Errorf("a stolen cookie may go on guessing: %q", got)
	}
}

// Guesses from many addresses are slowed for the account; an unknown browser of its owner waits a minute at most.
func spreadGuesses(t *testing.T, w *world) {
	var refused int
	for i := range 130 {
		if w.try(from(fmt.Sprintf("10.1.%d.1", i)), "alice", "guess guess guess") == errs.QuotaExceeded {
			refused++
		}
	}
	if refused < 25 {
		t.Errorf("%d of 130 spread guesses were refused", refused)
	}
	w.clock.Advance(time.Minute)
	w.wants(w.Refresh(t.Context()), "")
	w.in(from("10.2.0.1"), "alice")
	// One address over many accounts waits too, as does an IPv6 /64.
	refused = 0
	for i := range 40 {
		if w.try(from(fmt.Sprintf("2001:db8::%d", i+1)), fmt.Sprintf("user%d", i), "guess guess guess") == errs.QuotaExceeded {
			refused++
		}
	}
	if refused < 5 {
		t.Errorf("%d of 40 guesses over accounts were refused", refused)
	}
}

// Guesses that run at once are not more than those that run one by one.
func parallelGuesses(t *testing.T, w *world) {
	var mu sync.Mutex
	got := map[errs.Code]int{}
	var all sync.WaitGroup
	for range 14 {
		all.Go(func() {
			_, err := w.Login(t.Context(), from("192.0.2.9"), "alice", "guess guess guess")
			mu.Lock()
			defer mu.Unlock()
			got[errs.CodeOf(err)]++
		})
	}
	all.Wait()
	if got[errs.Unauthenticated] > 6 || got[errs.Unauthenticated]+got[errs.QuotaExceeded]+got[errs.ReducedCapacity] != 14 {
		t.Errorf("got %v: at most 6 may be looked at", got)
	}
}

// With a second factor a password opens nothing; a code and a recovery code are good once, a code of an old step never.
func oneTimeCodes(t *testing.T, w *world) {
	e, err := w.Enrol(t.Context(), "test", "alice", "")
	if err != nil {
		t.Fatal(err)
	}
	code := func() string {
		c, err := totp.GenerateCode(e.Secret, w.clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	second := func(code string) (identity.Login, error) {
		l := w.in(from("192.0.2.1"), "alice")
		if !l.Pending || l.Device != "" {
			t.Fatalf("a password alone: %+v", l)
		}
		w.over(l.Cookie)
		f := from("192.0.2.1")
		f.Session = l.Cookie
		after, err := w.Second(t.Context(), f, code)
		if err == nil && after.Cookie == l.Cookie {
			t.Fatal("the session was not rotated")
		}
		return after, err
	}
	first := code()
	l, err := second(first)
	w.wants(err, "")
	if who, err := w.Check(t.Context(), l.Cookie); err != nil || !slices.Equal(who.Session.Methods, []string{"pwd", "otp"}) {
		t.Fatalf("%+v %v", who, err)
	}
	_, err = second(first)
	w.wants(err, errs.Unauthenticated)
	w.clock.Advance(30 * time.Second)
	w.wants(w.Refresh(t.Context()), "")
	_, err = second(first) // the step before, which would be accepted had it not been spent
	w.wants(err, errs.Unauthenticated)
	_, err = second(code())
	w.wants(err, "")
	_, err = second(strings.ToUpper(e.Recovery[3]) + " ")
	w.wants(err, "")
	_, err = second(e.Recovery[3])
	w.wants(err, errs.Unauthenticated)
	w.wants(w.Unenrol(t.Context(), "test", "alice", "lost"), "")
	if w.in(from("192.0.2.1"), "alice").Pending {
		t.Error("a second factor that was taken away is asked for")
	}
	// Guessing codes is slowed too.
	e, err = w.Enrol(t.Context(), "test", "alice", "")
	w.wants(err, "")
	f := from("192.0.2.77")
	f.Session = w.in(f, "alice").Cookie
	var looked int
	for i := range 20 {
		if _, err := w.Second(t.Context(), f, fmt.Sprintf("%06d", i)); errs.CodeOf(err) == errs.Unauthenticated {
			looked++
		}
	}
	if looked > 6 {
		t.Errorf("%d of 20 codes were looked at", looked)
	}
}

// A login makes a session that did not exist before and ends the one that the browser brought, so that a session somebody
// planted is worth nothing.
func rotation(t *testing.T, w *world) {
	first := w.in(from("192.0.2.1"), "alice")
	f := from("192.0.2.1")
	f.Session = first.Cookie
	second := w.in(f, "alice")
	if second.Cookie == first.Cookie {
		t.Fatal("the same session")
	}
	w.good(second.Cookie)
	w.over(first.Cookie)
	f.Session = "planted"
	if third := w.in(f, "alice"); third.Cookie == "planted" {
		t.Fatal("a planted session was taken over")
	}
	w.over("planted")
	w.over(second.Session.ID) // the public name of a session opens nothing
}

// A session ends when it is not used for a while, and at its end in any case; being used keeps it for every instance.
func ends(t *testing.T, w *world) {
	l, quiet := w.in(from("192.0.2.1"), "alice"), w.in(from("192.0.2.2"), "alice")
	for range 26 { // 20 min each
		w.clock.Advance(20 * time.Minute)
		w.wants(w.Refresh(t.Context()), "")
		w.good(l.Cookie)
	}
	w.over(quiet.Cookie)
	for range 9 {
		w.clock.Advance(20 * time.Minute)
		w.wants(w.Refresh(t.Context()), "")
		w.good(l.Cookie)
	}
	w.clock.Advance(20 * time.Minute)
	w.over(l.Cookie)
}

// Logout, logout everywhere, a new password, a new role and disabling end sessions; when the snapshot cannot be refreshed nobody
// is let in.
func revocation(t *testing.T, w *world) {
	l := w.in(from("192.0.2.1"), "alice")
	w.wants(w.Logout(t.Context(), l.Cookie), "")
	w.over(l.Cookie)
	w.wants(w.Logout(t.Context(), l.Cookie), "")
	for name, act := range map[string]func() error{
		"everywhere": func() error { _, err := w.LogoutEverywhere(t.Context(), "test", "alice", "lost"); return err },
		"password":   func() error { return w.SetPassword(t.Context(), "test", "alice", password, "") },
		"role": func() error {
			_, _, err := w.Change(t.Context(), "test", "", identity.User{Name: "alice", Role: identity.Viewer})
			return err
		},
		"session": func() error {
			all, err := w.Sessions(t.Context(), "alice")
			for _, s := range all {
				err = errors.Join(err, w.End(t.Context(), "test", s.ID, "why"))
			}
			return err
		},
		"second factor": func() error {
			_, err := w.Enrol(t.Context(), "test", "alice", "")
			return errors.Join(err, w.Unenrol(t.Context(), "test", "alice", ""))
		},
	} {
		a, b := w.in(from("192.0.2.1"), "alice"), w.in(from("192.0.2.2"), "alice")
		w.wants(act(), "")
		w.over(a.Cookie)
		w.over(b.Cookie)
		_ = name
	}
	l = w.in(from("192.0.2.1"), "alice")
	w.clock.Advance(5 * time.Second) // no refresh meanwhile
	_, err := w.Check(t.Context(), l.Cookie)
	w.wants(err, errs.ReducedCapacity)
	w.wants(w.Refresh(t.Context()), "")
	w.good(l.Cookie)
	_, _, err = w.Change(t.Context(), "test", "left", identity.User{Name: "alice", Role: identity.Viewer, Disabled: true})
	w.wants(err, "")
	w.over(l.Cookie)
	if got := w.try(from("192.0.2.1"), "alice", password); got != errs.Unauthenticated {
		t.Errorf("a disabled user logs in: %q", got)
	}
	if w.told("user.change") == 0 || w.told("session.end") == 0 || w.told("user.logout") != 1 || w.told("login") == 0 {
		t.Errorf("the trail lacks something: %v", w.acts)
	}
}

// A user has so many sessions; the oldest end first.
func boundedSessions(t *testing.T, w *world) {
	first := w.in(from("192.0.2.1"), "alice")
	for range 20 {
		w.clock.Advance(time.Second)
		w.wants(w.Refresh(t.Context()), "")
		w.in(from("192.0.2.1"), "alice")
	}
	w.over(first.Cookie)
	if all, err := w.Sessions(t.Context(), ""); err != nil || len(all) != 20 {
		t.Errorf("%d sessions, %v", len(all), err)
	}
}

// A guesser cannot fill the trail, and no password that was typed as a name gets into it.
func boundedTrail(t *testing.T, w *world) {
	for i := range 60 {
		w.try(from(fmt.Sprintf("10.3.%d.1", i)), "hunter2 is my password", "x")
	}
	if n := w.told("login.failed"); n != 30 {
		t.Errorf("%d failed logins in the trail, want 30", n)
	}
	for _, a := range w.acts {
		if strings.Contains(fmt.Sprint(a), "hunter2") {
			t.Errorf("the trail has %v", a)
		}
	}
}

// A user changes his own password with the old one, keeps the session he does it in, and may not guess.
func ownPassword(t *testing.T, w *world) {
	l, other := w.in(from("192.0.2.1"), "alice"), w.in(from("192.0.2.2"), "alice")
	who, err := w.Check(t.Context(), l.Cookie)
	w.wants(err, "")
	f := from("192.0.2.3")
	w.wants(w.OwnPassword(t.Context(), f, who, password, "short"), errs.Invalid)
	w.wants(w.OwnPassword(t.Context(), f, who, "wrong wrong wrong", "another good password"), errs.Forbidden)
	w.wants(w.OwnPassword(t.Context(), f, who, password, "another good password"), "")
	w.good(l.Cookie)
	w.over(other.Cookie)
	if got := w.try(from("192.0.2.9"), "alice", password); got != errs.Unauthenticated {
		t.Errorf("the old password: %q", got)
	}
	if got := w.try(from("192.0.2.9"), "alice", "another good password"); got != "" {
		t.Errorf("the new password: %q", got)
	}
}

// A user gives himself a second factor with his password, not with a session alone. It is in force after a code of it, not before: a
// secret that was never confirmed changes nothing. He keeps the session he does it in, and the next login asks for a code.
func ownSecondFactor(t *testing.T, w *world) {
	l, other := w.in(from("192.0.2.1"), "alice"), w.in(from("192.0.2.2"), "alice")
	who, err := w.Check(t.Context(), l.Cookie)
	w.wants(err, "")
	f := from("192.0.2.3")
	code := func(e identity.Enrolment) string {
		c, err := totp.GenerateCode(e.Secret, w.clock.Now())
		w.wants(err, "")
		return c
	}
	off := func(what string) {
		t.Helper()
		if w.in(from("192.0.2.4"), "alice").Pending {
			t.Fatalf("%s has set a second factor", what)
		}
		w.good(other.Cookie)
	}
	_, err = w.BeginOwnFactor(t.Context(), f, who, "wrong wrong wrong")
	w.wants(err, errs.Forbidden)
	w.wants(w.ConfirmOwnFactor(t.Context(), f, who, "123456"), errs.Conflict)
	off("a wrong password")
	first, err := w.BeginOwnFactor(t.Context(), f, who, password)
	w.wants(err, "")
	off("a secret without a code")
	e, err := w.BeginOwnFactor(t.Context(), f, who, password)
	w.wants(err, "")
	for what, bad := range map[string]string{"a code of the secret before": code(first), "no code": "", "a recovery code": e.Recovery[0]} {
		w.wants(w.ConfirmOwnFactor(t.Context(), f, who, bad), errs.Forbidden)
		off(what)
	}
	spent := code(e)
	w.wants(w.ConfirmOwnFactor(t.Context(), f, who, spent[:3]+" "+spent[3:]), "")
	w.wants(w.ConfirmOwnFactor(t.Context(), f, who, spent), errs.Conflict)
	w.good(l.Cookie)
	w.over(other.Cookie)
	if w.told("user.totp.begin") != 2 || w.told("user.totp") != 1 {
		t.Errorf("the trail lacks something: %v", w.acts)
	}
	home := from("192.0.2.5")
	next := w.in(home, "alice")
	if !next.Pending {
		t.Fatal("no second factor is asked for")
	}
	home.Session = next.Cookie
	_, err = w.Second(t.Context(), home, spent)
	w.wants(err, errs.Unauthenticated)
	_, err = w.Second(t.Context(), home, e.Recovery[0])
	w.wants(err, "")
}

// A new second factor that is begun in place of another leaves the old one and its recovery codes in force until its own code is seen.
// It waits for half an hour, and not past a new password; guesses at its code are slowed.
func begunSecondFactor(t *testing.T, w *world) {
	old, err := w.Enrol(t.Context(), "test", "alice", "")
	w.wants(err, "")
	second := func(code string) (identity.Login, error) {
		home := from("192.0.2.5")
		home.Session = w.in(home, "alice").Cookie
		return w.Second(t.Context(), home, code)
	}
	l, err := second(old.Recovery[0])
	w.wants(err, "")
	who, err := w.Check(t.Context(), l.Cookie)
	w.wants(err, "")
	f := from("192.0.2.6")
	code := func(e identity.Enrolment) string {
		c, err := totp.GenerateCode(e.Secret, w.clock.Now())
		w.wants(err, "")
		return c
	}
	e, err := w.BeginOwnFactor(t.Context(), f, who, password)
	w.wants(err, "")
	_, err = second(e.Recovery[0])
	w.wants(err, errs.Unauthenticated)
	_, err = second(old.Recovery[1])
	w.wants(err, "")
	w.clock.Advance(30 * time.Minute)
	w.wants(w.Refresh(t.Context()), "")
	w.wants(w.ConfirmOwnFactor(t.Context(), f, who, code(e)), errs.Conflict)
	e, err = w.BeginOwnFactor(t.Context(), f, who, password)
	w.wants(err, "")
	w.wants(w.SetPassword(t.Context(), "test", "alice", password, who.Session.ID), "")
	w.wants(w.ConfirmOwnFactor(t.Context(), f, who, code(e)), errs.Conflict)
	e, err = w.BeginOwnFactor(t.Context(), f, who, password)
	w.wants(err, "")
	looked, good := 0, code(e)
	for i := range 20 {
		guess := fmt.Sprintf("%06d", i)
		if guess != good && errs.CodeOf(w.ConfirmOwnFactor(t.Context(), f, who, guess)) == errs.Forbidden {
			looked++
		}
	}
	if looked > 6 {
		t.Errorf("%d of 20 codes were looked at", looked)
	}
	w.clock.Advance(20 * time.Second)
	w.wants(w.Refresh(t.Context()), "")
	w.wants(w.ConfirmOwnFactor(t.Context(), from("192.0.2.7"), who, code(e)), "")
	_, err = second(old.Recovery[2])
	w.wants(err, errs.Unauthenticated)
	_, err = second(e.Recovery[2])
	w.wants(err, "")
}

// twoInstances: what one instance makes the other accepts at once, and what it ends the other refuses in less than 5 s, by the
// clock on the wall.
func twoInstances(t *testing.T, e engine) {
	where := e.place(t)
	var p [2]*identity.People
	for i := range p {
		p[i] = open(t, e.open(t, where), identity.Options{})
		if err := p[i].Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p[i].Stop)
	}
	if _, err := p[0].Create(t.Context(), "test", identity.User{Name: "alice", Role: identity.Operator}, password); err != nil {
		t.Fatal(err)
	}
	for what, act := range map[string]func() error{
		"logout everywhere": func() error { _, err := p[1].LogoutEverywhere(t.Context(), "test", "alice", ""); return err },
		"disable": func() error {
			_, _, err := p[1].Change(t.Context(), "test", "", identity.User{Name: "alice", Role: identity.Operator, Disabled: true})
			return err
		},
	} {
		if _, _, err := p[1].Change(t.Context(), "test", "", identity.User{Name: "alice", Role: identity.Operator}); err != nil {
			t.Fatal(err)
		}
		l, err := p[0].Login(t.Context(), from("192.0.2.1"), "alice", password)
		if err != nil {
			t.Fatal(err)
		}
		until := time.Now().Add(60 * time.Second)
		for _, err = p[1].Check(t.Context(), l.Cookie); err != nil; _, err = p[1].Check(t.Context(), l.Cookie) {
			if time.Now().After(until) {
				t.Fatalf("the other instance does not know the session: %v", err)
			}
		}
		began := time.Now()
		if err := act(); err != nil {
			t.Fatal(err)
		}
		for {
			_, err := p[0].Check(t.Context(), l.Cookie)
			if errs.CodeOf(err) == errs.Unauthenticated {
				break
			}
			if time.Since(began) > time.Minute {
				t.Fatalf("%s: the session lives on", what)
			}
		}
		t.Logf("%s: refused by the other instance after %v", what, time.Since(began).Round(time.Millisecond))
	}
}

// Who knows the password and not the second factor cannot end the owner's sessions by beginning logins: those that wait have a
// bound of their own.
func halfLogins(t *testing.T, w *world) {
	enrolled, err := w.Enrol(t.Context(), "test", "alice", "")
	w.wants(err, "")
	code, err := totp.GenerateCode(enrolled.Secret, w.clock.Now())
	w.wants(err, "")
	home := from("192.0.2.1")
	home.Session = w.in(home, "alice").Cookie
	owner, err := w.Second(t.Context(), home, code)
	w.wants(err, "")
	var pending []string
	for range 21 {
		w.clock.Advance(time.Second)
		l := w.in(from("198.51.100.7"), "alice")
		if !l.Pending {
			t.Fatal("no second factor is asked for")
		}
		pending = append(pending, l.Cookie)
		w.wants(w.Refresh(t.Context()), "")
	}
	w.good(owner.Cookie)
	if w.Pending(t.Context(), pending[0]) || !w.Pending(t.Context(), pending[1]) {
		t.Error("logins that wait have no bound, or another")
	}
}

// A try that is taken back leaves no row behind: names that strangers make up, and that nobody had the time to look at, must not
// fill the database.
func turnedAway(t *testing.T, w *world) {
	w.in(from("192.0.2.9"), "alice")
	var rows int
	w.wants(w.Store().Scan(t.Context(), `SELECT count(*) FROM identity_throttle`, nil, &rows), "")
	if rows != 0 {
		t.Errorf("%d rows are left of no failure", rows)
	}
}

// A success takes its own failure back, and not the pause that the failures of others have earned, on every engine.
func earnedPause(t *testing.T, w *world) {
	for i := range 31 {
		w.try(from("192.0.2.9"), fmt.Sprint("user", i), "guess guess guess")
	}
	w.clock.Advance(time.Second)
	w.wants(w.Refresh(t.Context()), "")
	w.in(from("192.0.2.9"), "alice")
	if got := w.try(from("192.0.2.9"), "bob", "guess guess guess"); got != errs.QuotaExceeded {
		t.Errorf("a success took the pause of the address away: %q", got)
	}
}
