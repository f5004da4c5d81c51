package line

import (
	"crypto/sha256"
	"math/bits"
	"time"

	"penstock/auth"
	"penstock/errs"
)

// challengeLife is how long there is to work on a challenge.
const challengeLife = 5 * time.Minute

// challenge returns proof-required with a challenge. It is signed and stored nowhere: it names the user, the sale, the SKU and the
// user's last entry, so that nobody else can use it, and he for one entry only.
func (l *Lines) challenge(r Request, last uint64, bits int) error {
	now := l.opt.Clock.Now()
	text, err := l.sign.MintChallenge(auth.Grant{User: r.User, Sale: r.Sale, SKU: r.SKU, Number: last, Bits: uint8(bits), Expires: now.Add(challengeLife)}, now)
	if err != nil {
		return err
	}
	e := errs.New(errs.ProofRequired, "joining costs some work: find a nonce such that SHA-256 of challenge:nonce begins with %d zero bits", bits)
	e.Extra = map[string]any{"challenge": text, "bits": bits, "algorithm": "sha256"}
	return e
}

// proved checks a proof and returns the entry after which it is good, or the error with a challenge.
func (l *Lines) proved(r Request, last uint64, bits int) (after int64, err error) {
	if r.Challenge == "" {
		return 0, l.challenge(r, last, bits)
	}
	g, err := l.sign.VerifyChallenge(r.Challenge, l.opt.Clock.Now())
	if err != nil || g.User != r.User || g.Sale != r.Sale || g.SKU != r.SKU || g.Number != last || int(g.Bits) < bits || !Proves(r.Challenge, r.Nonce, int(g.Bits)) {
		return 0, l.challenge(r, last, bits)
	}
	return int64(last), nil
}

// Proves reports whether SHA-256 of challenge, a colon and nonce begins with so many zero bits.
func Proves(challenge, nonce string, zero int) bool {
	sum := sha256.Sum256([]byte(challenge + ":" + nonce))
	for _, c := range sum {
		if zero <= 8 {
			return bits.LeadingZeros8(c) >= zero
		}
		if c != 0 {
			return false
		}
		zero -= 8
	}
	return zero <= 0
}
