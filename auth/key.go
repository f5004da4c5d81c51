package auth

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"sync/atomic"
	"time"
)

// Algorithms of signing keys.
const (
	EdDSA = "EdDSA"
	HS256 = "HS256"
)

// What a key is for: "sig" keys sign tokens, "pass" keys sign passes.
const (
	useToken = "sig"
	usePass  = "pass"
)

const secretBytes = 32

// Key is one key of the ring as operators see it; the secret is not in it.
type Key struct {
	ID      string
	Alg     string
	Pass    bool // signs passes, not tokens
	Active  bool // signs; the others only verify
	Created time.Time
}

// jwk is a key as the file keeps it: RFC 7517 and RFC 8037, with iat and active added.
type jwk struct {
	Kty    string `json:"kty"`
	Crv    string `json:"crv,omitempty"`
	Kid    string `json:"kid"`
	Alg    string `json:"alg"`
	Use    string `json:"use"`
	X      string `json:"x,omitempty"`
	D      string `json:"d,omitempty"`
	K      string `json:"k,omitempty"`
	Iat    int64  `json:"iat,omitempty"`
	Active bool   `json:"active,omitempty"`
}

type jwkSet struct {
	Keys []jwk `json:"keys"`
}

// key is a parsed key; its Active is always false, for whether it signs is the set's matter. It never changes but for gone,
// which is set when the file no longer has it.
type key struct {
	jwk
	secret  []byte
	public  ed25519.PublicKey
	private ed25519.PrivateKey
	pass    *passKey
	gone    atomic.Bool
}

func newJWK(alg, use string, now time.Time) (jwk, error) {
	var id [passIDBytes]byte
	secret := make([]byte, secretBytes)
	if _, err := rand.Read(id[:]); err != nil {
		return jwk{}, fmt.Errorf("make a key id: %w", err)
	}
	if _, err := rand.Read(secret); err != nil {
		return jwk{}, fmt.Errorf("make a key: %w", err)
	}
	k := jwk{Kid: hex.EncodeToString(id[:]), Alg: alg, Use: use, Iat: now.Unix(), Active: true}
	switch alg {
	case EdDSA:
		public := ed25519.NewKeyFromSeed(secret).Public().(ed25519.PublicKey)
		k.Kty, k.Crv = "OKP", "Ed25519"
		k.X, k.D = base64.RawURLEncoding.EncodeToString(public), base64.RawURLEncoding.EncodeToString(secret)
	case HS256:
		k.Kty, k.K = "oct", base64.RawURLEncoding.EncodeToString(secret)
	default:
		return jwk{}, fmt.Errorf("algorithm %q is not one of EdDSA, HS256", alg)
	}
	return k, nil
}

// parse turns a key of the file into a usable one.
func (j jwk) parse() (*key, error) {
	k := &key{jwk: j}
	if j.Kid == "" || j.Use != useToken && j.Use != usePass {
		return nil, fmt.Errorf("key %q: kid must be set and use must be sig or pass", j.Kid)
	}
	var err error
	switch {
	case j.Kty == "OKP" && j.Crv == "Ed25519" && j.Alg == EdDSA && j.Use == useToken:
		err = k.parseEd25519()
	case j.Kty == "oct" && j.Alg == HS256:
		if k.secret, err = base64.RawURLEncoding.DecodeString(j.K); err == nil && len(k.secret) < secretBytes {
			err = fmt.Errorf("the secret has %d bytes, at least %d are needed", len(k.secret), secretBytes)
		}
	default:
		err = fmt.Errorf("kty %q with alg %q is not one of OKP/EdDSA (Ed25519), oct/HS256", j.Kty, j.Alg)
	}
	if err == nil && j.Use == usePass {
		k.pass, err = newPassKey(j.Kid, k.secret)
	}
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", j.Kid, err)
	}
	return k, nil
}

// parseEd25519 reads the public half and, if the file has it, the private one.
func (k *key) parseEd25519() error {
	x, err := base64.RawURLEncoding.DecodeString(k.X)
	if err != nil || len(x) != ed25519.PublicKeySize {
		return fmt.Errorf("x is not %d bytes of base64url", ed25519.PublicKeySize)
	}
	k.public = x
	if k.D == "" {
		return nil
	}
	d, err := base64.RawURLEncoding.DecodeString(k.D)
	if err != nil || len(d) != ed25519.SeedSize {
		return fmt.Errorf("d is not %d bytes of base64url", ed25519.SeedSize)
	}
	k.private = ed25519.NewKeyFromSeed(d)
	if !k.public.Equal(k.private.Public()) {
		return fmt.Errorf("x does not belong to d")
	}
	return nil
}

// signing returns what the JWT library signs with; nil for a key that can only verify.
func (k *key) signing() any {
	switch {
	case k.secret != nil:
		return k.secret
	case k.private != nil:
		return k.private
	}
	return nil
}

// verifying returns what the JWT library verifies with.
func (k *key) verifying() any {
	if k.secret != nil {
		return k.secret
	}
	return k.public
}
