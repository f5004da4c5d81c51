package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
	"sync"
	"time"

	"penstock/errs"
)

// A pass is the text
//
//	p1.<base64url(payload)>.<base64url(mac)>
//
// payload: 8 bytes key id, 8 bytes expiry in Unix milliseconds (big endian), 1 byte length of the user, the user, the sale.
// mac: HMAC-SHA256 of everything before the second dot. Only this one spelling of a pass verifies.
const (
	passPrefix  = "p1."
	passIDBytes = 8
	passHeader  = passIDBytes + 8 + 1
	maxSale     = 128
	maxPass     = passHeader + MaxUser + maxSale
	// idText is the length in base64url of 9 bytes, which hold the key id.
	idText      = 12
	maxPassText = len(passPrefix) + (maxPass*4+2)/3
	// longest is the longest payload of any kind, see admission.go.
	longest     = admissionHeader + MaxUser + 1 + maxSale + maxSKU
	longestText = len(passPrefix) + (longest*4+2)/3
)

// passKey is the secret of one pass key, with prepared MAC states.
type passKey struct {
	id    [passIDBytes]byte
	state sync.Pool
}

// passState is what one check needs, kept together so that a check allocates nothing but the two strings it returns.
type passState struct {
	mac     hash.Hash
	sum     [sha256.Size]byte
	text    [43]byte // base64url of sum
	in      [longestText]byte
	payload [longest]byte
}

func newPassKey(kid string, secret []byte) (*passKey, error) {
	k := &passKey{}
	if n, err := hex.Decode(k.id[:], []byte(kid)[:min(len(kid), 2*passIDBytes)]); err != nil || n != passIDBytes || len(kid) != 2*passIDBytes {
		return nil, fmt.Errorf("the kid of a pass key must be %d hexadecimal digits", 2*passIDBytes)
	}
	k.state.New = func() any { return &passState{mac: hmac.New(sha256.New, secret)} }
	return k, nil
}

// IsPass reports whether a bearer token has the form of a pass rather than of a JWT.
func IsPass(token string) bool { return strings.HasPrefix(token, passPrefix) }

// MintPass returns a pass for the user in the sale that ends ttl after now.
func (r *Ring) MintPass(user, sale string, now time.Time, ttl time.Duration) (string, error) {
	user, err := person(user)
	if err != nil {
		return "", err
	}
	if sale == "" || len(sale) > maxSale {
		return "", fmt.Errorf("sale id has %d bytes, 1 to %d are allowed", len(sale), maxSale)
	}
	k := r.current(now).minter
	payload := make([]byte, 0, maxPass)
	payload = append(payload, k.id[:]...)
	payload = binary.BigEndian.AppendUint64(payload, uint64(now.Add(ttl).UnixMilli()))
	payload = append(payload, byte(len(user)))
	return k.seal(passPrefix, append(append(payload, user...), sale...)), nil
}

// person returns the canonical user id of somebody who may have a pass. An app may not: whoever checks a pass asks nobody whether
// the app is still good, what it was given and whether it is a sandbox.
func person(user string) (string, error) {
	user, err := Canonical(user)
	if err == nil && strings.HasPrefix(user, AppPrefix) {
		err = errs.New(errs.Forbidden, "an app signs its calls or uses its token; passes are for people")
	}
	return user, err
}

// seal writes a payload as the text of a kind, with its MAC.
func (k *passKey) seal(kind string, payload []byte) string {
	text := base64.RawURLEncoding.AppendEncode([]byte(kind), payload)
	st := k.state.Get().(*passState)
	defer k.state.Put(st)
	st.sign(text)
	return string(append(append(text, '.'), st.text[:]...))
}

// VerifyPass returns the user and the sale of a pass. Every error is unauthenticated.
func (r *Ring) VerifyPass(token string, now time.Time) (user, sale string, err error) {
	k, dot, err := r.keyOf(passPrefix, token, now)
	if err != nil {
		return "", "", err
	}
	st := k.state.Get().(*passState)
	defer k.state.Put(st)
	payload, err := st.open(passPrefix, token, dot, now)
	if err != nil {
		return "", "", err
	}
	if len(payload) < passHeader || len(payload) < passHeader+int(payload[passHeader-1]) {
		return "", "", malformed()
	}
	both := string(payload[passHeader:])
	split := int(payload[passHeader-1])
	return both[:split], both[split:], nil
}

func malformed() error { return errs.New(errs.Unauthenticated, "the pass is malformed") }

// keyOf finds the key that signed a text of a kind, and where its MAC begins.
func (r *Ring) keyOf(kind, token string, now time.Time) (k *passKey, dot int, err error) {
	dot = strings.LastIndexByte(token, '.')
	if !strings.HasPrefix(token, kind) || dot < len(kind)+idText || dot > longestText {
		return nil, 0, malformed()
	}
	if k = r.current(now).passKeyOf(token[len(kind):]); k == nil {
		return nil, 0, errs.New(errs.Unauthenticated, "the pass is signed by an unknown key")
	}
	return k, dot, nil
}

// open checks the MAC and the expiry of a text and returns its payload, which lives as long as the state is not used again. The
// payload holds at least the id and the expiry.
func (st *passState) open(kind, token string, dot int, now time.Time) ([]byte, error) {
	text := st.in[:copy(st.in[:], token[:dot])]
	st.sign(text)
	if !equal(st.text[:], token[dot+1:]) {
		return nil, errs.New(errs.Unauthenticated, "the pass is not valid")
	}
	n, err := base64.RawURLEncoding.Decode(st.payload[:], text[len(kind):])
	if err != nil || n < passIDBytes+8 {
		return nil, malformed()
	}
	if expires := int64(binary.BigEndian.Uint64(st.payload[passIDBytes:])); now.UnixMilli() >= expires {
		return nil, errs.New(errs.Unauthenticated, "the pass has expired")
	}
	return st.payload[:n], nil
}

// passKeyOf finds the key that the payload, at least idText bytes long, names in its first bytes.
func (s *keySet) passKeyOf(payload string) *passKey {
	var (
		text [idText]byte
		head [9]byte
	)
	copy(text[:], payload)
	if _, err := base64.RawURLEncoding.Decode(head[:], text[:]); err != nil {
		return nil
	}
	for _, k := range s.passes {
		if k.id == [passIDBytes]byte(head[:passIDBytes]) {
			return k
		}
	}
	return nil
}

// equal compares in a time that depends on the length only.
func equal(mac []byte, text string) bool {
	if len(mac) != len(text) {
		return false
	}
	var diff byte
	for i := range mac {
		diff |= mac[i] ^ text[i]
	}
	return diff == 0
}

func (st *passState) sign(text []byte) {
	st.mac.Reset()
	st.mac.Write(text)
	base64.RawURLEncoding.Encode(st.text[:], st.mac.Sum(st.sum[:0]))
}
