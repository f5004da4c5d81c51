package identity

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
)

// Vault seals what must be read back (secrets of second factors, private keys) with AES-256-GCM, and signs small texts, under
// keys derived from one that the store does not hold. What was sealed for one name does not open under another.
type Vault struct {
	aead cipher.AEAD
	mac  []byte
}

// NewVault derives the keys with HKDF-SHA256 from a master key of at least 24 bytes.
func NewVault(master []byte) (Vault, error) {
	if len(master) < 24 {
		return Vault{}, fmt.Errorf("the key of the identity room has %d bytes; at least 24 are needed", len(master))
	}
	key, err := hkdf.Key(sha256.New, master, nil, "penstock identity seal v1", 32)
	if err != nil {
		return Vault{}, err
	}
	mac, err := hkdf.Key(sha256.New, master, nil, "penstock identity mac v1", 32)
	if err != nil {
		return Vault{}, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return Vault{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return Vault{aead, mac}, err
}

// Seal encrypts text for name.
func (v Vault) Seal(name string, text []byte) []byte {
	return v.aead.Seal(nil, nil, text, []byte(name))
}

// Open decrypts what was sealed for name.
func (v Vault) Open(name string, sealed []byte) ([]byte, error) {
	text, err := v.aead.Open(nil, nil, sealed, []byte(name))
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: is identity.key the one it was sealed with? %w", name, err)
	}
	return text, nil
}

// Sign returns a base64url MAC of text for one purpose.
func (v Vault) Sign(purpose, text string) string {
	m := hmac.New(sha256.New, v.mac)
	m.Write([]byte(purpose + "\x00" + text))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// Verify reports whether mac is that of text for the purpose, in constant time.
func (v Vault) Verify(purpose, text, mac string) bool {
	return hmac.Equal([]byte(v.Sign(purpose, text)), []byte(mac))
}

// Digest is how random secrets are stored: they have 256 bits, so that a plain hash cannot be guessed back.
func Digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
