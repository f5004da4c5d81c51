package identity

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
)

// One-time codes follow RFC 6238 with what every authenticator app understands: SHA-1, 6 digits, 30 s. A code of the step before
// and after is accepted too, for clocks that differ.
const (
	stepSeconds   = 30
	stepSkew      = 1
	totpBytes     = 20
	recoveryCodes = 10
)

// Enrolment is what a user needs to set up a second factor. It is shown once.
type Enrolment struct {
	Secret, URI string
	// Recovery are codes that stand in for a lost device, each once.
	Recovery []string
}

func newEnrolment(issuer, user string) Enrolment {
	raw := make([]byte, totpBytes)
	_, _ = rand.Read(raw) // never fails
	e := Enrolment{Secret: base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw)}
	q := url.Values{"secret": {e.Secret}, "issuer": {issuer}, "algorithm": {"SHA1"}, "digits": {"6"}, "period": {strconv.Itoa(stepSeconds)}}
	e.URI = "otpauth://totp/" + url.PathEscape(issuer+":"+user) + "?" + strings.ReplaceAll(q.Encode(), "+", "%20")
	for range recoveryCodes {
		t := strings.ToLower(rand.Text())
		e.Recovery = append(e.Recovery, t[:5]+"-"+t[5:10]+"-"+t[10:15])
	}
	return e
}

// digests are the recovery codes as the rows hold them.
func (e Enrolment) digests() (all []string) {
	for _, code := range e.Recovery {
		all = append(all, Digest(code))
	}
	return all
}

// codeAt is the code of one step.
func codeAt(secret string, step uint64, digits otp.Digits) (string, error) {
	return hotp.GenerateCodeCustom(secret, step, hotp.ValidateOpts{Digits: digits, Algorithm: otp.AlgorithmSHA1})
}

// stepOf finds the step that a code belongs to, after the last one that was accepted; 0 means none. The work does not depend on
// the code.
func stepOf(secret, code string, now time.Time, last int64) (int64, error) {
	at, found := now.Unix()/stepSeconds, int64(0)
	for step := at - stepSkew; step <= at+stepSkew; step++ {
		want, err := codeAt(secret, uint64(step), otp.DigitsSix)
		if err != nil {
			return 0, err
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 && step > last && found == 0 {
			found = step
		}
	}
	return found, nil
}

// plainCode is a code as people type it, without spaces and in lower case.
func plainCode(code string) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		if r == ' ' || r == '\t' {
			return -1
		}
		return r
	}, code))
}
