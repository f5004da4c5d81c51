package identity

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"

	"penstock/errs"
	"penstock/internal/clock"
)

// Cost of argon2id. The defaults are the first choice of the OWASP Password Storage Cheat Sheet for 19 MiB: m=19456 KiB, t=2,
// p=1. A hash keeps the cost it was made with; it is made anew at the next login when the cost has changed.
type Cost struct {
	MemoryKiB, Passes uint32
	Lanes             uint8
}

func (c Cost) orDefault() Cost {
	if c == (Cost{}) {
		return Cost{MemoryKiB: 19456, Passes: 2, Lanes: 1}
	}
	return c
}

const (
	minPassword = 12
	maxPassword = 256
	hashWait    = 2 * time.Second
	hashBytes   = 32
)

// hasher does the expensive hashes, so many at a time that the rest of the process goes on. Who cannot begin within hashWait, or
// finds queue callers before him, is told to come back; nothing was executed.
type hasher struct {
	cost  Cost
	clock clock.Clock
	slots chan struct{}
	queue chan struct{}
	// decoy is the hash that the password of an unknown user is compared with.
	decoy string
}

func newHasher(cost Cost, slots int, c clock.Clock) *hasher {
	h := &hasher{cost: cost.orDefault(), clock: c, slots: make(chan struct{}, slots), queue: make(chan struct{}, 16*slots)}
	h.decoy = h.make(rand.Text())
	return h
}

// enter waits for a slot and returns what leaves it.
func (h *hasher) enter(ctx context.Context) (leave func(), err error) {
	busy := func() error {
		e := errs.New(errs.ReducedCapacity, "too many logins at once; nothing was executed")
		e.RetryAfter = hashWait
		return e
	}
	select {
	case h.queue <- struct{}{}:
	default:
		return nil, busy()
	}
	defer func() { <-h.queue }()
	t := h.clock.NewTimer(hashWait)
	defer t.Stop()
	select {
	case h.slots <- struct{}{}:
		return func() { <-h.slots }, nil
	case <-t.C():
		return nil, busy()
	case <-ctx.Done():
		return nil, busy()
	}
}

func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	return h.make(password), nil
}

func (h *hasher) make(password string) string {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	c := h.cost
	sum := argon2.IDKey([]byte(password), salt, c.Passes, c.MemoryKiB, c.Lanes, hashBytes)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.MemoryKiB, c.Passes, c.Lanes,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(sum))
}

// matches compares a password with a stored hash, with the decoy for "". stale says that the hash has another cost than today's.
func (h *hasher) matches(ctx context.Context, stored, password string) (good, stale bool, err error) {
	known := stored != ""
	if !known {
		stored = h.decoy
	}
	c, salt, sum, err := parseHash(stored)
	if err != nil {
		return false, false, err
	}
	leave, err := h.enter(ctx)
	if err != nil {
		return false, false, err
	}
	defer leave()
	got := argon2.IDKey([]byte(password), salt, c.Passes, c.MemoryKiB, c.Lanes, uint32(len(sum)))
	return subtle.ConstantTimeCompare(got, sum) == 1 && known, c != h.cost, nil
}

func parseHash(stored string) (c Cost, salt, sum []byte, err error) {
	part := strings.Split(stored, "$")
	if len(part) != 6 || part[1] != "argon2id" || part[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return c, nil, nil, fmt.Errorf("a stored password hash is not argon2id v%d", argon2.Version)
	}
	if _, err = fmt.Sscanf(part[3], "m=%d,t=%d,p=%d", &c.MemoryKiB, &c.Passes, &c.Lanes); err != nil {
		return c, nil, nil, fmt.Errorf("a stored password hash has no cost: %w", err)
	}
	if salt, err = base64.RawStdEncoding.DecodeString(part[4]); err == nil {
		sum, err = base64.RawStdEncoding.DecodeString(part[5])
	}
	if err != nil || len(sum) < 16 {
		return c, nil, nil, fmt.Errorf("a stored password hash is damaged")
	}
	return c, salt, sum, nil
}

// checkPassword follows NIST SP 800-63B: length, no composition rules, nothing that is the name again.
func checkPassword(name, password string) error {
	switch {
	case len(password) < minPassword || len(password) > maxPassword:
		return invalid("/password", fmt.Sprintf("%d to %d bytes", minPassword, maxPassword))
	case strings.Contains(strings.ToLower(password), strings.ToLower(name)) && len(password) < len(name)+minPassword:
		return invalid("/password", "must be more than the name and a little")
	case strings.Count(password, password[:1]) == len(password):
		return invalid("/password", "must not be one character again and again")
	}
	return nil
}

// GeneratePassword returns a random password of 130 bits.
func GeneratePassword() string {
	t := strings.ToLower(rand.Text())
	return t[:6] + "-" + t[6:12] + "-" + t[12:18] + "-" + t[18:]
}
