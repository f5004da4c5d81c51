// Package standard signs and verifies messages as Standard Webhooks (https://www.standardwebhooks.com), symmetric scheme v1.
//
// It promises that a message passes [Verifier.Verify] only if every bit of its id, timestamp and body is what a holder of one
// of the secrets signed, and only within the tolerance around now. It does not remember ids: telling a repeat from a first
// delivery is the receiver's work. Everything here is safe for concurrent use.
package standard

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"penstock/internal/clock"
)

// The three headers of a message.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

const (
	prefix       = "whsec_"
	version      = "v1,"
	maxID        = 128
	maxSignature = 2048
	// defaultTolerance is what the specification's libraries use.
	defaultTolerance = 5 * time.Minute
)

// ErrRefused is wrapped by every error of [Verifier.Verify].
var ErrRefused = errors.New("webhook refused")

// Secret is a shared key. It prints masked.
type Secret struct{ key []byte }

// ParseSecret reads the form "whsec_<base64>". The key must have 24 to 64 bytes, as the specification asks.
func ParseSecret(s string) (Secret, error) {
	enc, ok := strings.CutPrefix(s, prefix)
	if !ok {
		return Secret{}, fmt.Errorf("a webhook secret starts with %q", prefix)
	}
	key, err := base64.StdEncoding.Strict().DecodeString(enc)
	if err != nil {
		return Secret{}, fmt.Errorf("a webhook secret is %q followed by base64", prefix)
	}
	if len(key) < 24 || len(key) > 64 {
		return Secret{}, fmt.Errorf("a webhook secret has 24 to 64 bytes, this one has %d", len(key))
	}
	return Secret{key: key}, nil
}

// NewSecret makes a secret of 32 bytes from random.
func NewSecret(random io.Reader) (Secret, error) {
	key := make([]byte, 32)
	if _, err := io.ReadFull(random, key); err != nil {
		return Secret{}, fmt.Errorf("make a webhook secret: %w", err)
	}
	return Secret{key: key}, nil
}

// String hides the key.
func (s Secret) String() string { return prefix + "***" }

// Reveal returns the form that [ParseSecret] reads.
func (s Secret) Reveal() string { return prefix + base64.StdEncoding.EncodeToString(s.key) }

func (s Secret) sign(id, timestamp string, body []byte) string {
	m := hmac.New(sha256.New, s.key)
	io.WriteString(m, id)
	io.WriteString(m, ".")
	io.WriteString(m, timestamp)
	io.WriteString(m, ".")
	m.Write(body)
	return version + base64.StdEncoding.EncodeToString(m.Sum(nil))
}

// Sign sets the three headers for a message sent at the given time. With several secrets, as during a rotation, the message
// carries one signature of each. The id must hold no dot, or the receiver will refuse it.
func Sign(h http.Header, id string, at time.Time, body []byte, secrets ...Secret) {
	ts := strconv.FormatInt(at.Unix(), 10)
	all := make([]string, len(secrets))
	for i, s := range secrets {
		all[i] = s.sign(id, ts, body)
	}
	h.Set(HeaderID, id)
	h.Set(HeaderTimestamp, ts)
	h.Set(HeaderSignature, strings.Join(all, " "))
}

// Options tunes a Verifier. The zero value is the specification's advice on the machine's clock.
type Options struct {
	// Tolerance is how far the timestamp may be from now, either way; 0 means 5 minutes.
	Tolerance time.Duration
	Clock     clock.Clock
}

// Verifier checks messages against one or more secrets.
type Verifier struct {
	secrets   []Secret
	tolerance time.Duration
	clock     clock.Clock
}

// NewVerifier returns a verifier that accepts what any of the secrets signed. No secret is an error.
func NewVerifier(secrets []Secret, o Options) (*Verifier, error) {
	if len(secrets) == 0 {
		return nil, errors.New("a webhook verifier needs at least one secret")
	}
	for _, s := range secrets {
		if len(s.key) == 0 {
			return nil, errors.New("a webhook verifier was given an empty secret")
		}
	}
	if o.Tolerance == 0 {
		o.Tolerance = defaultTolerance
	}
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	return &Verifier{secrets: secrets, tolerance: o.Tolerance, clock: o.Clock}, nil
}

// Verify returns the message's id if the message is genuine and fresh. Its errors wrap [ErrRefused] and say nothing about
// which part of the signature was wrong.
func (v *Verifier) Verify(h http.Header, body []byte) (id string, err error) {
	id, ok := single(h, HeaderID)
	if !ok || !validID(id) {
		return "", fmt.Errorf("%w: %s is missing or malformed", ErrRefused, HeaderID)
	}
	ts, ok := single(h, HeaderTimestamp)
	at, err := parseTimestamp(ts)
	if !ok || err != nil {
		return "", fmt.Errorf("%w: %s is missing or malformed", ErrRefused, HeaderTimestamp)
	}
	sigs, ok := single(h, HeaderSignature)
	if !ok || len(sigs) > maxSignature {
		return "", fmt.Errorf("%w: %s is missing or malformed", ErrRefused, HeaderSignature)
	}
	if !v.matches(id, ts, body, sigs) {
		return "", fmt.Errorf("%w: no signature matches", ErrRefused)
	}
	if age := v.clock.Now().Sub(at); age > v.tolerance || age < -v.tolerance {
		return "", fmt.Errorf("%w: the timestamp is more than %s away", ErrRefused, v.tolerance)
	}
	return id, nil
}

// matches compares the encoded form, so that no other base64 spelling of the same bytes passes.
func (v *Verifier) matches(id, ts string, body []byte, sigs string) bool {
	found := 0
	given := strings.Split(sigs, " ")
	for _, s := range v.secrets {
		want := []byte(s.sign(id, ts, body))
		for _, g := range given {
			found |= subtle.ConstantTimeCompare(want, []byte(g))
		}
	}
	return found == 1
}

func single(h http.Header, name string) (string, bool) {
	v := h.Values(name)
	if len(v) != 1 {
		return "", false
	}
	return v[0], true
}

// validID refuses dots: they separate the signed parts, and with a dot in the id one signature would fit two readings.
func validID(id string) bool {
	if id == "" || len(id) > maxID {
		return false
	}
	for i := range len(id) {
		if c := id[i]; c <= ' ' || c > '~' || c == '.' {
			return false
		}
	}
	return true
}

func parseTimestamp(s string) (time.Time, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || len(s) > 12 || strconv.FormatInt(n, 10) != s {
		return time.Time{}, fmt.Errorf("%q is not a Unix time in seconds", s)
	}
	return time.Unix(n, 0), nil
}
