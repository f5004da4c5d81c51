package standard

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"penstock/internal/clock"
)

const (
	vectorSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorID     = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorTime   = 1614265330
	vectorBody   = `{"test": 2432232314}`
	vectorSig    = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func secret(t testing.TB, s string) Secret {
	t.Helper()
	sec, err := ParseSecret(s)
	if err != nil {
		t.Fatal(err)
	}
	return sec
}

func verifier(t testing.TB, at time.Time, secrets ...Secret) *Verifier {
	t.Helper()
	v, err := NewVerifier(secrets, Options{Clock: clock.NewFake(at)})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func signed(id string, at time.Time, body string, secrets ...Secret) http.Header {
	h := http.Header{}
	Sign(h, id, at, []byte(body), secrets...)
	return h
}

// The published vector of the specification is what we sign and what we accept.
func TestPublishedVector(t *testing.T) {
	t.Parallel()
	sec, at := secret(t, vectorSecret), time.Unix(vectorTime, 0)
	h := signed(vectorID, at, vectorBody, sec)
	if got := h.Get(HeaderSignature); got != vectorSig {
		t.Fatalf("signature %q, the specification has %q", got, vectorSig)
	}
	if id, err := verifier(t, at, sec).Verify(h, []byte(vectorBody)); err != nil || id != vectorID {
		t.Fatalf("the published vector was not accepted: %q %v", id, err)
	}
}

// During a rotation old and new receivers accept a message signed with both secrets, and a receiver that knows both accepts
// a message signed with either; a third secret opens nothing.
func TestRotation(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_800_000_000, 0)
	var s [3]Secret
	for i := range s {
		var err error
		if s[i], err = NewSecret(rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range []struct {
		sign, know []Secret
		ok         bool
	}{
		{s[:2], s[:1], true}, {s[:2], s[1:2], true}, {s[:1], s[:2], true}, {s[1:2], s[:2], true},
		{s[2:], s[:2], false}, {s[:2], s[2:], false}, {nil, s[:2], false},
	} {
		_, err := verifier(t, at, c.know...).Verify(signed("msg_1", at, "{}", c.sign...), []byte("{}"))
		if (err == nil) != c.ok {
			t.Errorf("case %d: err=%v, want ok=%v", i, err, c.ok)
		}
	}
}

// A message is fresh for five minutes either way and not a second longer.
func TestTolerance(t *testing.T) {
	t.Parallel()
	sec, at := secret(t, vectorSecret), time.Unix(1_800_000_000, 0)
	h := signed("msg_1", at, "{}", sec)
	for off, ok := range map[time.Duration]bool{
		0: true, 5 * time.Minute: true, -5 * time.Minute: true, 5*time.Minute + time.Second: false, -5*time.Minute - time.Second: false,
	} {
		if _, err := verifier(t, at.Add(off), sec).Verify(h, []byte("{}")); (err == nil) != ok {
			t.Errorf("offset %v: err=%v, want ok=%v", off, err, ok)
		}
	}
}

// Missing, doubled and malformed headers are refused with an error that wraps ErrRefused, also under a good signature.
func TestHeaderForms(t *testing.T) {
	t.Parallel()
	sec, at := secret(t, vectorSecret), time.Unix(1_800_000_000, 0)
	v := verifier(t, at, sec)
	for name, change := range map[string]func(http.Header){
		"no id":              func(h http.Header) { h.Del(HeaderID) },
		"no time":            func(h http.Header) { h.Del(HeaderTimestamp) },
		"no signature":       func(h http.Header) { h.Del(HeaderSignature) },
		"two ids":            func(h http.Header) { h.Add(HeaderID, "msg_2") },
		"two times":          func(h http.Header) { h.Add(HeaderTimestamp, "1") },
		"endless signatures": func(h http.Header) { h.Set(HeaderSignature, strings.Repeat("v1,x ", 1000)+h.Get(HeaderSignature)) },
		"dot in the id":      func(h http.Header) { Sign(h, "msg.1", at, []byte("{}"), sec) },
		"empty id":           func(h http.Header) { Sign(h, "", at, []byte("{}"), sec) },
		"padded time": func(h http.Header) {
			h.Set(HeaderTimestamp, "01800000000")
			h.Set(HeaderSignature, sec.sign("msg_1", "01800000000", []byte("{}")))
		},
	} {
		h := signed("msg_1", at, "{}", sec)
		change(h)
		if _, err := v.Verify(h, []byte("{}")); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: err=%v", name, err)
		}
	}
}

// A secret that is not whsec_ and strict base64 of 24 to 64 bytes is refused, and no secret ever prints itself.
func TestSecretForms(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_!!!!", vectorSecret + "=", "whsec_" + strings.Repeat("AAAA", 30)} {
		if _, err := ParseSecret(bad); err == nil {
			t.Errorf("ParseSecret(%q) succeeded", bad)
		}
	}
	s := secret(t, vectorSecret)
	if s.Reveal() != vectorSecret || strings.Contains(fmt.Sprint(s), "MfKQ") {
		t.Errorf("secret prints as %v, reveals as %q", s, s.Reveal())
	}
	if _, err := NewVerifier(nil, Options{}); err == nil {
		t.Error("a verifier without a secret was made")
	}
}

// A secret formatted with any verb, alone or inside a struct, stays hidden.
func TestSecretStaysHidden(t *testing.T) {
	t.Parallel()
	s := secret(t, vectorSecret)
	for _, verb := range []string{"%v", "%+v", "%s"} {
		if got := fmt.Sprintf(verb, struct{ S Secret }{s}); !strings.Contains(got, "***") {
			t.Errorf("%s prints %q", verb, got)
		}
	}
}

// No malleability: whatever bit of id, timestamp, signature or body is flipped, the message is refused.
func FuzzMalleability(f *testing.F) {
	f.Add([]byte(vectorBody))
	f.Add([]byte{})
	f.Add([]byte("1800000000.{}"))
	sec, at := secret(f, vectorSecret), time.Unix(1_800_000_000, 0)
	v := verifier(f, at, sec)
	f.Fuzz(func(t *testing.T, body []byte) {
		h := signed(vectorID, at, string(body), sec)
		if _, err := v.Verify(h, body); err != nil {
			t.Fatalf("genuine message refused: %v", err)
		}
		for _, name := range []string{HeaderID, HeaderTimestamp, HeaderSignature} {
			val := h.Get(name)
			for bit := range len(val) * 8 {
				h.Set(name, flip(val, bit))
				if _, err := v.Verify(h, body); err == nil {
					t.Fatalf("bit %d of %s flipped (%q) and accepted", bit, name, h.Get(name))
				}
			}
			h.Set(name, val)
		}
		for bit := range min(len(body), 64) * 8 {
			changed := []byte(flip(string(body), bit))
			if _, err := v.Verify(h, changed); err == nil {
				t.Fatalf("bit %d of the body flipped and accepted", bit)
			}
		}
		if _, err := v.Verify(h, append(bytes.Clone(body), 0)); err == nil {
			t.Fatal("a longer body was accepted")
		}
	})
}

func flip(s string, bit int) string {
	b := []byte(s)
	b[bit/8] ^= 1 << (bit % 8)
	return string(b)
}
