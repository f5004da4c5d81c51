package auth

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"penstock/errs"
)

// forge signs claims as an attacker would.
func forge(t *testing.T, m jwt.SigningMethod, key any, header, claims map[string]any) string {
	t.Helper()
	tok := jwt.NewWithClaims(m, jwt.MapClaims(claims))
	for k, v := range header {
		tok.Header[k] = v
	}
	text, err := tok.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// No token verifies but one signed with a key of the ring, by that key's algorithm, with an expiry and a sub: not "none", not
// the public key used as a secret, not a key without a name, not one with critical headers.
func TestForgedTokensAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	k := b.ring.set.Load().signer
	_, stranger, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	good := func() map[string]any { return map[string]any{"sub": "ann", "exp": start.Add(time.Hour).Unix()} }
	with := func(name string, v any) map[string]any { c := good(); c[name] = v; return c }
	without := func(name string) map[string]any { c := good(); delete(c, name); return c }
	kid := map[string]any{"kid": k.Kid}
	for name, text := range map[string]string{
		"none":            forge(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, kid, good()),
		"confusion":       forge(t, jwt.SigningMethodHS256, []byte(k.public), kid, good()),
		"stranger":        forge(t, jwt.SigningMethodEdDSA, stranger, kid, good()),
		"no kid":          forge(t, jwt.SigningMethodEdDSA, k.private, nil, good()),
		"other kid":       forge(t, jwt.SigningMethodEdDSA, k.private, map[string]any{"kid": "x"}, good()),
		"pass key":        forge(t, jwt.SigningMethodHS256, make([]byte, 32), map[string]any{"kid": b.ring.Keys()[1].ID}, good()),
		"critical":        forge(t, jwt.SigningMethodEdDSA, k.private, map[string]any{"kid": k.Kid, "crit": []string{"b64"}}, good()),
		"no exp":          forge(t, jwt.SigningMethodEdDSA, k.private, kid, without("exp")),
		"expired":         forge(t, jwt.SigningMethodEdDSA, k.private, kid, with("exp", start.Add(-time.Minute).Unix())),
		"not yet":         forge(t, jwt.SigningMethodEdDSA, k.private, kid, with("nbf", start.Add(time.Minute).Unix())),
		"no sub":          forge(t, jwt.SigningMethodEdDSA, k.private, kid, without("sub")),
		"control in sub":  forge(t, jwt.SigningMethodEdDSA, k.private, kid, with("sub", "a\nb")),
		"bidi in sub":     forge(t, jwt.SigningMethodEdDSA, k.private, kid, with("sub", "a\u202eb")),
		"long sub":        forge(t, jwt.SigningMethodEdDSA, k.private, kid, with("sub", strings.Repeat("a", MaxUser+1))),
		"role not text":   forge(t, jwt.SigningMethodEdDSA, k.private, kid, with("role", 1)),
		"longer than 4Ki": forge(t, jwt.SigningMethodEdDSA, k.private, kid, with("x", strings.Repeat("x", maxToken))),
		"empty":           "",
		"dots":            "..",
	} {
		if id, err := b.ring.Verify(text); !errs.Is(err, errs.Unauthenticated) {
			t.Errorf("%s: %+v, %v", name, id, err)
		}
	}
	if _, err := b.ring.Verify(forge(t, jwt.SigningMethodEdDSA, k.private, kid, good())); err != nil {
		t.Errorf("the honest token: %v", err)
	}
}

// Two spellings of one Unicode text are one user; upper and lower case are two.
func TestUserIsNormalisedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	k := b.ring.set.Load().signer
	sub := func(s string) string {
		id, err := b.ring.Verify(forge(t, jwt.SigningMethodEdDSA, k.private, map[string]any{"kid": k.Kid},
			map[string]any{"sub": s, "exp": start.Add(time.Hour).Unix()}))
		if err != nil {
			t.Fatal(err)
		}
		return id.User
	}
	if sub("Zoe\u0308") != sub("Zo\u00eb") {
		t.Error("two spellings of one text are two users")
	}
	if sub("ann") == sub("Ann") {
		t.Error("case was folded")
	}
}

// Any change of one byte of a token or of a pass makes it worthless.
func FuzzMalleability(f *testing.F) {
	b := setup(f, Options{})
	token := b.token(f, "ann", "")
	pass, err := b.ring.MintPass("ann", "flash", start, time.Hour)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []int{0, 3, 20, 40, 80, 120, 160} {
		f.Add(seed, byte('A'))
		f.Add(seed, byte('\n'))
	}
	f.Fuzz(func(t *testing.T, at int, c byte) {
		for _, text := range []string{token, pass} {
			i := int(uint(at) % uint(len(text)))
			if text[i] == c {
				continue
			}
			for _, forged := range []string{text[:i] + string([]byte{c}) + text[i+1:], text[:i] + string([]byte{c}) + text[i:], text[:i]} {
				if _, err := b.ring.Verify(forged); err == nil {
					t.Errorf("token verified with %q at %d", c, i)
				}
				if _, _, err := b.ring.VerifyPass(forged, start); err == nil {
					t.Errorf("pass verified with %q at %d", c, i)
				}
			}
		}
	})
}

// A pass speaks for its user and its sale until its end, through a rotation of the secret, and not after the secret's removal.
func TestPassRoundTrip(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	first := b.ring.Keys()[1].ID
	text, err := b.ring.MintPass("a\u0301nn", "flash-1", start, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	check := func(when string, now time.Time, good bool) {
		t.Helper()
		user, sale, err := b.ring.VerifyPass(text, now)
		if good != (err == nil && user == "\u00e1nn" && sale == "flash-1") || !good && !errs.Is(err, errs.Unauthenticated) {
			t.Errorf("%s: %q %q %v", when, user, sale, err)
		}
	}
	check("fresh", start, true)
	check("at its last millisecond", start.Add(time.Minute-time.Millisecond), true)
	check("at its end", start.Add(time.Minute), false)
	if _, err := b.ring.RotatePass(); err != nil {
		t.Fatal(err)
	}
	check("after a rotation", start, true)
	if err := b.ring.Remove(first); err != nil {
		t.Fatal(err)
	}
	check("after the removal", start, false)
}

// Nothing of another form passes for a pass, and none can be minted that would be too long to verify.
func TestMalformedPasses(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	longest, err := b.ring.MintPass(strings.Repeat("u", MaxUser), strings.Repeat("s", maxSale), start, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.ring.VerifyPass(longest, start); err != nil {
		t.Errorf("the longest pass: %v", err)
	}
	for _, text := range []string{"", "p1", "p1.", "p1..", "p1.AAAA.", "p1." + strings.Repeat("A", 400) + ".x", longest + "A", longest[3:], "P1" + longest[2:]} {
		if _, _, err := b.ring.VerifyPass(text, start); !errs.Is(err, errs.Unauthenticated) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, bad := range [][2]string{{"", "s"}, {"u", ""}, {"u", strings.Repeat("s", maxSale+1)}, {"u\x00", "s"}} {
		if _, err := b.ring.MintPass(bad[0], bad[1], start, time.Hour); err == nil {
			t.Errorf("minted for %q", bad)
		}
	}
}

// The file is a JWK set that others can read: the public half of the signing key verifies a token on its own.
func TestFileIsJWKSet(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	set, _, err := readSet(b.path)
	if err != nil {
		t.Fatal(err)
	}
	x, err := base64.RawURLEncoding.DecodeString(set.Keys[0].X)
	if err != nil {
		t.Fatal(err)
	}
	text := b.token(t, "ann", "")
	dot := strings.LastIndexByte(text, '.')
	sig, err := base64.RawURLEncoding.DecodeString(text[dot+1:])
	if err != nil || !ed25519.Verify(x, []byte(text[:dot]), sig) {
		t.Errorf("the key in the file does not verify the token: %v", err)
	}
	var header map[string]string
	raw, _ := base64.RawURLEncoding.DecodeString(text[:strings.IndexByte(text, '.')])
	if err := json.Unmarshal(raw, &header); err != nil || header["kid"] != set.Keys[0].Kid || header["alg"] != "EdDSA" {
		t.Errorf("header %v, %v", header, err)
	}
}
