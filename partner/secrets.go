package partner

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"penstock/internal/seal"
)

// kept is a secret as it is stored: Hash of a client secret, Sealed of a signing secret, bound to the app and its own id.
type kept struct {
	ID        string    `json:"id"`
	Use       Use       `json:"use"`
	Hash      []byte    `json:"hash,omitempty"`
	Sealed    []byte    `json:"sealed,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
	Until     time.Time `json:"until,omitzero"`
}

func (k kept) live(now time.Time) bool { return k.Until.IsZero() || now.Before(k.Until) }

func (k kept) info() SecretInfo { return SecretInfo{k.ID, k.Use, k.CreatedAt, k.Until} }

// NewSealer returns what signing secrets are sealed with, from a master key of at least 24 bytes.
func NewSealer(master []byte) (seal.Box, error) { return seal.New(master, "penstock app secrets v1") }

// prefixes begin the id and the text of a secret, so that people and scanners see what leaked.
func prefixes(use Use) (id, text string) {
	if use == OAuth2 {
		return "cs_", "pscs_"
	}
	return "sk_", "pssk_"
}

// fresh makes a secret of 256 random bits.
func (a *Apps) fresh(app string, use Use, now time.Time) (kept, Secret, error) {
	b := make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		return kept{}, Secret{}, fmt.Errorf("make a secret: %w", err)
	}
	id, text := prefixes(use)
	k := kept{ID: id + strings.ToLower(rand.Text()[:16]), Use: use, CreatedAt: now}
	s := Secret{k.info(), text + base64.RawURLEncoding.EncodeToString(b)}
	if use == OAuth2 {
		sum := sha256.Sum256([]byte(s.Text))
		k.Hash = sum[:]
		return k, s, nil
	}
	var err error
	k.Sealed, err = a.box.Seal([]byte(s.Text), app+"/"+k.ID)
	return k, s, err
}

// live returns the secrets that have not ended, newest first.
func live(all []kept, now time.Time) []kept {
	return slices.DeleteFunc(slices.Clone(all), func(k kept) bool { return !k.live(now) })
}

// rotated puts k before the secrets of its use. The newest of them lives on for overlap, any older one ends: two live at most.
func rotated(all []kept, k kept, now time.Time, overlap time.Duration) []kept {
	out, same := []kept{k}, 1
	for _, old := range live(all, now) {
		if old.Use == k.Use {
			if same++; same > liveSecrets || overlap == 0 {
				continue
			}
			if end := now.Add(overlap); old.Until.IsZero() || old.Until.After(end) {
				old.Until = end
			}
		}
		out = append(out, old)
	}
	return out
}

// matches compares a client secret with a stored one in constant time.
func (k kept) matches(sum [sha256.Size]byte) bool {
	return k.Use == OAuth2 && subtle.ConstantTimeCompare(k.Hash, sum[:]) == 1
}
