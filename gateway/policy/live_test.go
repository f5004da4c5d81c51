package policy

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"penstock/breaker"
	"penstock/gateway"
	"penstock/internal/clock"
	"penstock/limit"
)

// user is a gateway that remembers the policy that it was given.
type user struct {
	policy *gateway.Policy
	swaps  int
	refuse error
}

func (u *user) Prepare(p *gateway.Policy) (func(), error) {
	if u.refuse != nil {
		return nil, u.refuse
	}
	return func() { u.policy = p; u.swaps++ }, nil
}

type following struct {
	*Live
	path  string
	clock *clock.Fake
	user  *user
}

func follow(t *testing.T, text string) following {
	t.Helper()
	f := following{path: filepath.Join(t.TempDir(), "gateway.yaml"), clock: clock.NewFake(start), user: &user{}}
	f.write(t, text)
	r := rooms()
	r.Limit.Clock, r.Shed.Clock = f.clock, nil
	var err error
	if f.Live, err = Open(f.path, r, Options{Clock: f.clock, Every: time.Second}); err != nil {
		t.Fatal(err)
	}
	if err := f.Attach(f.user); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f following) write(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(f.path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

const (
	strict = "limits: [{name: ip, by: [ip], rate: 2/m}]\n"
	lax    = "limits: [{name: ip, by: [ip], rate: 9/m}]\n"
)

// allows is how many calls of one address the policy in use takes in a row.
func (f following) allows(address string) (n int) {
	for ; n < 20; n++ {
		if !f.user.policy.Rule("GET /v1/orders").Address.Take(context.Background(), limit.Subject{IP: netip.MustParseAddr(address), API: "GET /v1/orders"}).Allowed {
			return n
		}
	}
	return n
}

// A file that has changed is used once two looks have seen the same; one that is being written is not.
func TestAChangeIsUsedOnceItIsSteady(t *testing.T) {
	t.Parallel()
	f := follow(t, strict)
	f.running = true
	f.look()
	f.look()
	if f.user.swaps != 1 || f.allows("192.0.2.1") != 2 {
		t.Fatalf("%d swaps without a change", f.user.swaps)
	}
	f.write(t, lax+"rules: [{match: [GET /v1/")
	f.look()
	f.write(t, lax)
	f.look()
	if s := f.Status(); s.Version != 1 || s.LastError != "" {
		t.Fatalf("a file was used while it was being written: %+v", s)
	}
	f.look()
	if s := f.Status(); s.Version != 2 || s.Hash != hash([]byte(lax)) || f.user.swaps != 2 || f.allows("192.0.2.2") != 9 {
		t.Errorf("%+v, %d swaps", s, f.user.swaps)
	}
}

// A bad file, one that is gone and one that a gateway refuses change nothing and are told; a good one afterwards is used.
func TestBadFilesChangeNothing(t *testing.T) {
	t.Parallel()
	f := follow(t, strict)
	f.running = true
	bad := func(what, want string) {
		t.Helper()
		s, err := f.Reload()
		if err == nil || !strings.Contains(s.LastError, want) || s.LastErrorAt == nil || s.Version != 1 || s.Hash != hash([]byte(strict)) || f.user.swaps != 1 {
			t.Errorf("%s: %v, %+v", what, err, s)
		}
	}
	f.write(t, "limits:\n  - {name: ip, by: [ip], rate: often}\n")
	bad("bad", `gateway.yaml: line 2: limits[0].rate: "often" is not a rate`)
	f.look()
	f.look()
	if f.Status().Version != 1 {
		t.Error("a bad file was used by the watch")
	}
	if err := os.Remove(f.path); err != nil {
		t.Fatal(err)
	}
	bad("gone", "no such file")
	f.write(t, lax)
	f.user.refuse = errors.New("this gateway will not")
	bad("refused", "this gateway will not")
	f.user.refuse = nil
	if s, err := f.Reload(); err != nil || s.Version != 2 || s.LastError != "" || f.allows("192.0.2.1") != 9 {
		t.Errorf("%v, %+v", err, s)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none.yaml"), rooms(), Options{}); err == nil || !strings.Contains(err.Error(), "gateway.file") {
		t.Errorf("a start without its file: %v", err)
	}
}

// What a new file leaves alone goes on: counts of limits, an open breaker, the shedder. What it changes begins anew.
func TestStateOutlivesAReload(t *testing.T) {
	t.Parallel()
	const text = "breakers: {pay: {failures: 1}}\nshedding: {inFlight: 7}\n"
	f := follow(t, strict+text)
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		for range 2 {
			if err := f.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		}
	}()
	f.Breaker("pay").Trip()
	if n := f.allows("192.0.2.1"); n != 2 {
		t.Fatalf("%d calls were allowed", n)
	}
	shedder := f.user.policy.Rule("GET /v1/orders").Shedder
	f.write(t, strict+text+"rules: [{match: [GET /v1/orders], maxBody: 1KiB}]\n")
	if _, err := f.Reload(); err != nil {
		t.Fatal(err)
	}
	r := f.user.policy.Rule("GET /v1/orders")
	if r.MaxBody != 1024 || r.Shedder != shedder || f.Breaker("pay").State() != breaker.Open || f.allows("192.0.2.1") != 0 {
		t.Errorf("something began anew: %+v", r)
	}
	if v := f.View(); v.Breakers["pay"].State != breaker.Open || !v.Breakers["pay"].Forced || v.Shedding.InFlight != 7 || v.Version != 2 {
		t.Errorf("%+v", v)
	}
	f.write(t, lax+"breakers: {pay: {failures: 2}}\nshedding: {inFlight: 8}\n")
	if _, err := f.Reload(); err != nil {
		t.Fatal(err)
	}
	if r := f.user.policy.Rule("GET /v1/orders"); r.Shedder == shedder || f.Breaker("pay").State() != breaker.Closed || f.allows("192.0.2.1") != 9 {
		t.Errorf("something went on: %+v", r)
	}
}

// What the rooms say anew comes into force although the newest file is bad, and what is said of that file stays.
func TestRebuildUsesThePolicyInUse(t *testing.T) {
	t.Parallel()
	f := follow(t, lax)
	f.write(t, "limits: {}\n")
	if _, err := f.Reload(); err == nil {
		t.Fatal("a bad file was used")
	}
	bad := f.Status()
	if err := f.Rebuild(); err != nil {
		t.Fatal(err)
	}
	now := f.Status()
	if now.Version != bad.Version+1 || now.LastError != bad.LastError || now.LastError == "" || now.Hash != bad.Hash {
		t.Errorf("before %+v, after %+v", bad, now)
	}
}

// The watch sees a change by the real clock, without being asked.
func TestTheWatch(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gateway.yaml")
	if err := os.WriteFile(path, []byte(strict), 0o600); err != nil {
		t.Fatal(err)
	}
	used := make(chan error, 8)
	l, err := Open(path, rooms(), Options{Loaded: func(err error) { used <- err }})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer l.Stop(context.Background())
	if err := os.WriteFile(path, []byte(lax), 0o600); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-used:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(60 * time.Second):
		t.Fatal("the change was not seen")
	}
}
