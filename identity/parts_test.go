package identity

import (
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp"

	"penstock/errs"
	"penstock/internal/clock"
)

// The codes are those of RFC 6238, appendix B.
func TestCodesOfTheRFC(t *testing.T) {
	t.Parallel()
	const secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" // "12345678901234567890"
	for at, want := range map[int64]string{
		59: "94287082", 1111111109: "07081804", 1111111111: "14050471", 1234567890: "89005924", 2000000000: "69279037", 20000000000: "65353130",
	} {
		if got, err := codeAt(secret, uint64(at/stepSeconds), otp.DigitsEight); err != nil || got != want {
			t.Errorf("at %d: %s %v, want %s", at, got, err, want)
		}
		step, err := stepOf(secret, want[2:], time.Unix(at+stepSeconds, 0), 0)
		if err != nil || step != at/stepSeconds {
			t.Errorf("at %d: step %d %v", at, step, err)
		}
		if step, _ := stepOf(secret, want[2:], time.Unix(at, 0), at/stepSeconds); step != 0 {
			t.Errorf("at %d: the code was accepted again", at)
		}
	}
}

// A hash names argon2id with OWASP's cost, has its own salt, and matches its password only.
func TestHashes(t *testing.T) {
	t.Parallel()
	h := newHasher(Cost{}, 1, clock.Real{})
	a, b := h.make("correct horse"), h.make("correct horse")
	if a == b || !strings.HasPrefix(a, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("%s %s", a, b)
	}
	for password, want := range map[string]bool{"correct horse": true, "correct horsf": false, "": false} {
		if good, stale, err := h.matches(t.Context(), a, password); good != want || stale || err != nil {
			t.Errorf("%q: %v %v %v", password, good, stale, err)
		}
	}
	if good, _, err := h.matches(t.Context(), "", "anything"); good || err != nil {
		t.Errorf("an unknown user matches: %v", err)
	}
	if _, stale, err := newHasher(Cost{8, 1, 1}, 1, clock.Real{}).matches(t.Context(), a, "x"); !stale || err != nil {
		t.Errorf("a hash of another cost is not stale: %v", err)
	}
	for _, bad := range []string{"x", "$argon2i$v=19$m=8,t=1,p=1$AAAA$AAAA", "$argon2id$v=19$m=8,t=1,p=1$AAAA$AAAA"} {
		if _, _, err := h.matches(t.Context(), bad, "x"); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}

// While every slot is taken a login waits, and those above the queue are told at once to come back; browsers that are known
// have a slot of their own.
func TestHashingIsBounded(t *testing.T) {
	t.Parallel()
	fake := clock.NewFake(time.Unix(0, 0))
	h := newHasher(Cost{8, 1, 1}, 2, fake)
	var leave []func()
	for range 2 {
		l, err := h.enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, l)
	}
	results := make(chan error, 40)
	for range 40 {
		go func() {
			l, err := h.enter(t.Context())
			if err == nil {
				l()
			}
			results <- err
		}()
	}
	for range 40 - cap(h.queue) {
		if err := <-results; errs.CodeOf(err) != errs.ReducedCapacity {
			t.Fatalf("got %v", err)
		}
	}
	for _, l := range leave {
		l()
	}
	for range cap(h.queue) {
		if err := <-results; err != nil {
			t.Fatalf("a waiting login was refused: %v", err)
		}
	}
}

// Each role may do what the one before may; users, sessions and clients are an admin's; nobody without a role may anything.
func TestRoles(t *testing.T) {
	t.Parallel()
	for pattern, least := range map[string]Role{
		"GET /admin/v1/sales": Viewer, "GET /admin/v1/orders/{order}": Viewer, "GET /admin/v1/me": Viewer, "PUT /admin/v1/me/password": Viewer,
		"POST /admin/v1/orders/{order}/refunds": Support, "POST /admin/v1/cases/{case}/resolve": Support, "POST /admin/v1/sales": Operator,
		"GET /admin/v1/export/orders": Operator, "GET /admin/v1/audit": Operator, "GET /admin/v1/apps": Operator, "POST /admin/v1/orders": Operator, "unmatched": Operator,
		"GET /admin/v1/users": Admin, "POST /admin/v1/users/{user}/logout": Admin, "GET /admin/v1/sessions": Admin, "DELETE /admin/v1/sessions/{session}": Admin,
		"GET /admin/v1/oidc-clients": Admin, "POST /admin/v1/oidc-keys/rotate": Admin, "GET /admin/v1/metrics": Viewer, "GET /other": Operator,
	} {
		for _, r := range Roles() {
			if got := May(string(r), pattern); got != (r.rank() >= least.rank()) {
				t.Errorf("%s may %s: %v", r, pattern, got)
			}
		}
		for _, r := range []string{"", "root", "Admin", "admin "} {
			if May(r, pattern) {
				t.Errorf("%q may %s", r, pattern)
			}
		}
	}
}

// What was sealed opens under its own name and key only, and a MAC is good for its purpose only.
func TestVault(t *testing.T) {
	t.Parallel()
	v, _ := NewVault([]byte(strings.Repeat("k", 32)))
	other, _ := NewVault([]byte(strings.Repeat("l", 32)))
	sealed := v.Seal("a", []byte("secret"))
	if text, err := v.Open("a", sealed); err != nil || string(text) != "secret" {
		t.Errorf("%s %v", text, err)
	}
	if _, err := v.Open("b", sealed); err == nil {
		t.Error("opened under another name")
	}
	if _, err := other.Open("a", sealed); err == nil {
		t.Error("opened with another key")
	}
	mac := v.Sign("p", "text")
	if !v.Verify("p", "text", mac) || v.Verify("q", "text", mac) || v.Verify("p", "texu", mac) || other.Verify("p", "text", mac) {
		t.Error("a MAC is good for more than it was made for")
	}
	if _, err := NewVault([]byte("short")); err == nil {
		t.Error("a short key was taken")
	}
}
