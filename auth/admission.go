package auth

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// An admission pass and a challenge have the form of a pass and a payload of their own:
//
//	p2.<base64url(payload)>.<base64url(mac)>	admits one entry of a line or draw
//	p3.<base64url(payload)>.<base64url(mac)>	a challenge to be worked on before joining
//
// payload: 8 bytes key id, 8 bytes expiry in Unix milliseconds, 8 bytes number, 1 byte bits, 1 byte length of the user, the user,
// 1 byte length of the sale, the sale, the SKU; all big endian.
const (
	admissionPrefix = "p2."
	challengePrefix = "p3."
	admissionHeader = passIDBytes + 8 + 8 + 1 + 1
	maxSKU          = 64
)

// Admission is what a sale's line or draw lets a user do: one attempt at one SKU.
type Admission struct {
	SKU string
	// Entry is the entry of the line; 0 is none.
	Entry uint64
}

// Grant is what an admission pass or a challenge says.
type Grant struct {
	User, Sale, SKU string
	// Number is the entry that is admitted, or in a challenge the user's last entry before it.
	Number uint64
	// Bits is the work that a challenge asks for; 0 in a pass.
	Bits    uint8
	Expires time.Time
}

// IsAdmission reports whether a bearer token has the form of an admission pass.
func IsAdmission(token string) bool { return strings.HasPrefix(token, admissionPrefix) }

// MintAdmission returns an admission pass. The same grant gives the same pass while the key is the same. It is forbidden for apps.
func (r *Ring) MintAdmission(g Grant, now time.Time) (string, error) {
	return r.grant(admissionPrefix, g, now)
}

// MintChallenge returns a challenge. It is forbidden for apps.
func (r *Ring) MintChallenge(g Grant, now time.Time) (string, error) {
	return r.grant(challengePrefix, g, now)
}

// VerifyAdmission returns what an admission pass says, for one HMAC. Every error is unauthenticated.
func (r *Ring) VerifyAdmission(token string, now time.Time) (Grant, error) {
	return r.granted(admissionPrefix, token, now)
}

// VerifyChallenge returns what a challenge says. Every error is unauthenticated.
func (r *Ring) VerifyChallenge(token string, now time.Time) (Grant, error) {
	return r.granted(challengePrefix, token, now)
}

// admitted returns whom an admission pass speaks for: its user, in its sale only.
func (r *Ring) admitted(token string, now time.Time) (Identity, error) {
	g, err := r.VerifyAdmission(token, now)
	return Identity{User: g.User, Sale: g.Sale, Admission: Admission{g.SKU, g.Number}, Expires: g.Expires}, err
}

func (r *Ring) grant(kind string, g Grant, now time.Time) (string, error) {
	user, err := person(g.User)
	if err != nil {
		return "", err
	}
	if g.Sale == "" || len(g.Sale) > maxSale || len(g.SKU) > maxSKU {
		return "", fmt.Errorf("sale id has %d bytes and SKU %d, 1 to %d and at most %d are allowed", len(g.Sale), len(g.SKU), maxSale, maxSKU)
	}
	k := r.current(now).minter
	p := make([]byte, 0, longest)
	p = append(p, k.id[:]...)
	p = binary.BigEndian.AppendUint64(p, uint64(g.Expires.UnixMilli()))
	p = binary.BigEndian.AppendUint64(p, g.Number)
	p = append(append(append(p, g.Bits), byte(len(user))), user...)
	p = append(append(append(p, byte(len(g.Sale))), g.Sale...), g.SKU...)
	return k.seal(kind, p), nil
}

func (r *Ring) granted(kind, token string, now time.Time) (g Grant, err error) {
	k, dot, err := r.keyOf(kind, token, now)
	if err != nil {
		return g, err
	}
	st := k.state.Get().(*passState)
	defer k.state.Put(st)
	p, err := st.open(kind, token, dot, now)
	if err != nil {
		return g, err
	}
	if len(p) < admissionHeader+1 {
		return g, malformed()
	}
	user := int(p[admissionHeader-1])
	saleAt := admissionHeader + user + 1
	if len(p) < saleAt || len(p) < saleAt+int(p[saleAt-1]) {
		return g, malformed()
	}
	text := string(p[admissionHeader:])
	sale := int(p[saleAt-1])
	g.User, g.Sale, g.SKU = text[:user], text[user+1:user+1+sale], text[user+1+sale:]
	if strings.HasPrefix(g.User, AppPrefix) {
		return Grant{}, malformed()
	}
	g.Expires = time.UnixMilli(int64(binary.BigEndian.Uint64(p[passIDBytes:]))).UTC()
	g.Number, g.Bits = binary.BigEndian.Uint64(p[passIDBytes+8:]), p[passIDBytes+16]
	return g, nil
}
