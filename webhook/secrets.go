package webhook

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"penstock/internal/seal"
	"penstock/webhook/standard"
)

// Sealer encrypts the secrets of endpoints before they are stored, bound to the endpoint they belong to.
type Sealer struct{ box seal.Box }

// NewSealer derives the key from a master key of at least 24 bytes.
func NewSealer(master []byte) (Sealer, error) {
	box, err := seal.New(master, "penstock webhook secrets v1")
	return Sealer{box}, err
}

// kept is a secret as it is sealed. A zero Until has no end.
type kept struct {
	Secret    string    `json:"secret"`
	CreatedAt time.Time `json:"createdAt"`
	Until     time.Time `json:"until,omitzero"`
}

func (s Sealer) seal(endpoint string, all []kept) ([]byte, error) {
	text, err := json.Marshal(all)
	if err != nil {
		return nil, err
	}
	return s.box.Seal(text, endpoint)
}

// open returns the secrets that have not ended, newest first.
func (s Sealer) open(endpoint string, sealed []byte, now time.Time) ([]kept, error) {
	text, err := s.box.Open(sealed, endpoint)
	if err != nil {
		return nil, fmt.Errorf("the secrets of webhook endpoint %s cannot be read: is webhooks.key the one they were sealed with? %w", endpoint, err)
	}
	var all, live []kept
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, err
	}
	for _, k := range all {
		if k.Until.IsZero() || now.Before(k.Until) {
			live = append(live, k)
		}
	}
	if len(live) == 0 {
		return nil, errors.New("webhook endpoint " + endpoint + " has no secret")
	}
	return live, nil
}

func parse(all []kept) ([]secret, error) {
	out := make([]secret, len(all))
	for i, k := range all {
		var err error
		if out[i], err = standard.ParseSecret(k.Secret); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func infos(all []kept) []SecretInfo {
	out := make([]SecretInfo, len(all))
	for i, k := range all {
		out[i] = SecretInfo{k.CreatedAt, k.Until}
	}
	return out
}

func fresh(now time.Time) (kept, error) {
	s, err := standard.NewSecret(rand.Reader)
	return kept{Secret: s.Reveal(), CreatedAt: now}, err
}
