package auth

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"penstock/errs"
	"penstock/internal/clock"
)

var start = time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC)

type bench struct {
	ring  *Ring
	clock *clock.Fake
	path  string
}

func setup(t testing.TB, o Options) bench {
	t.Helper()
	b := bench{clock: clock.NewFake(start), path: filepath.Join(t.TempDir(), "data", "keys.json")}
	o.Clock = b.clock
	b.ring = open(t, b.path, o)
	return b
}

func open(t testing.TB, path string, o Options) *Ring {
	t.Helper()
	r, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (b bench) token(t testing.TB, user, role string) string {
	t.Helper()
	text, err := b.ring.Sign(Claims{User: user, Role: role, Expires: b.clock.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// What a token says is what it said when it was signed, with either algorithm, until it expires.
func TestTokenRoundTrip(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{EdDSA, HS256} {
		b := setup(t, Options{})
		if _, err := b.ring.Rotate(alg); err != nil {
			t.Fatal(err)
		}
		text := b.token(t, "ann", Operator)
		want := Identity{User: "ann", Role: Operator, Expires: start.Add(time.Hour)}
		for range 2 { // the second answer comes from memory
			got, err := b.ring.Verify(text)
			if err != nil {
				t.Fatal(err)
			}
			got.Expires = got.Expires.UTC()
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		}
		b.clock.Advance(time.Hour + 6*time.Second)
		if _, err := b.ring.Verify(text); !errs.Is(err, errs.Unauthenticated) {
			t.Errorf("%s: an expired token verified from memory: %v", alg, err)
		}
	}
}

// A rotated key signs at once in every process that has the ring open; tokens of the key before it stay good until that key
// is removed, and then are refused everywhere, remembered or not.
func TestRotationReachesOtherProcesses(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	other := open(t, b.path, Options{Clock: b.clock})
	old := b.token(t, "ann", "")
	if _, err := other.Verify(old); err != nil {
		t.Fatal(err)
	}
	first := b.ring.Keys()[0].ID
	if _, err := b.ring.Rotate(HS256); err != nil {
		t.Fatal(err)
	}
	fresh := b.token(t, "ann", "")
	b.clock.Advance(recheckUnknown)
	for _, text := range []string{old, fresh} {
		if _, err := other.Verify(text); err != nil {
			t.Errorf("after the rotation: %v", err)
		}
	}
	if err := b.ring.Remove(first); err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(recheck)
	for name, r := range map[string]*Ring{"own": b.ring, "other": other} {
		if _, err := r.Verify(old); !errs.Is(err, errs.Unauthenticated) {
			t.Errorf("%s: a token of a removed key verified: %v", name, err)
		}
		if _, err := r.Verify(fresh); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := b.ring.Remove(other.Keys()[len(other.Keys())-1].ID); err == nil {
		t.Error("the signing key could be removed")
	}
}

// Processes that open a missing ring at the same time end with the same keys, in a file only the owner can read.
func TestFirstUseIsOneRing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.json")
	rings := make([]*Ring, 8)
	var wg sync.WaitGroup
	for i := range rings {
		wg.Go(func() {
			r, err := Open(path, Options{})
			if err != nil {
				t.Error(err)
			}
			rings[i] = r
		})
	}
	wg.Wait()
	for _, r := range rings {
		if d := cmp.Diff(rings[0].Keys(), r.Keys()); d != "" {
			t.Error(d)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// A ring whose file became unreadable keeps the keys it had and says so; a file that was broken from the start is refused.
func TestBrokenFileKeepsKeys(t *testing.T) {
	t.Parallel()
	var told []error
	b := setup(t, Options{OnReloadError: func(err error) { told = append(told, err) }})
	text := b.token(t, "ann", "")
	for _, bad := range []string{"{", `{"keys":[]}`, `{"keys":[{"kty":"RSA","alg":"RS256","use":"sig","kid":"x"}]}`, `{"keys":[{"kty":"oct","alg":"HS256","use":"sig","kid":"x","k":"c2hvcnQ","active":true}]}`} {
		if err := os.WriteFile(b.path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		b.clock.Advance(recheck)
		if _, err := b.ring.Verify(text); err != nil {
			t.Errorf("%s: %v", bad, err)
		}
		if _, err := Open(b.path, Options{}); err == nil {
			t.Errorf("%s: opened", bad)
		}
	}
	if len(told) != 4 {
		t.Errorf("told of %d broken files, want 4: %v", len(told), told)
	}
}

// The memory of verified tokens never holds more than its bound.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newCache(2 * cacheShards)
	k := &key{}
	for i := range 1000 {
		sum := [32]byte{byte(i), byte(i >> 8)}
		c.put(&sum, entry{key: k, until: start.Add(time.Duration(i))})
	}
	for i := range c.shards {
		if n := len(c.shards[i].m); n > 2 {
			t.Errorf("shard %d holds %d tokens", i, n)
		}
	}
}

// When every slot for cold asymmetric checks stays taken, a new token is refused as not executed, and one seen before is not.
func TestColdChecksAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{Slots: 1})
	known, fresh := b.token(t, "ann", ""), b.token(t, "bob", "")
	if _, err := b.ring.Verify(known); err != nil {
		t.Fatal(err)
	}
	b.ring.slots <- struct{}{}
	done := make(chan error, 1)
	go func() { _, err := b.ring.Verify(fresh); done <- err }()
	var err error
	for waiting := true; waiting; {
		select {
		case err = <-done:
			waiting = false
		default:
			b.clock.Advance(time.Millisecond)
		}
	}
	if !errs.Is(err, errs.ReducedCapacity) {
		t.Errorf("with no slot free: %v", err)
	}
	if _, err := b.ring.Verify(known); err != nil {
		t.Errorf("a remembered token needed a slot: %v", err)
	}
	<-b.ring.slots
	if _, err := b.ring.Verify(fresh); err != nil {
		t.Errorf("with a slot free again: %v", err)
	}
	if len(b.ring.slots) != 0 {
		t.Error("a slot was not given back")
	}
}
