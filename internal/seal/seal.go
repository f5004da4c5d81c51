// Package seal encrypts small secrets before they are stored: AES-256-GCM under a key derived with HKDF-SHA256 from a master key
// that the store does not hold, bound to the name of what the secret belongs to, so that a row copied onto another opens nothing.
//
// It does not rotate master keys. A [Box] is safe for concurrent use.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
)

// minMaster is the shortest master key, in bytes.
const minMaster = 24

// Box seals for one purpose. The zero Box opens nothing.
type Box struct{ aead cipher.AEAD }

// New derives the key of a purpose, such as "penstock webhook secrets v1", from a master key of at least 24 bytes. Boxes of two
// purposes do not open what the other sealed.
func New(master []byte, purpose string) (Box, error) {
	if len(master) < minMaster {
		return Box{}, fmt.Errorf("the key for %s has %d bytes; at least %d are needed", purpose, len(master), minMaster)
	}
	key, err := hkdf.Key(sha256.New, master, nil, purpose, 32)
	if err != nil {
		return Box{}, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return Box{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return Box{aead}, err
}

// ErrClosed is the error of a zero Box.
var ErrClosed = errors.New("no key to seal with")

// Seal encrypts text; only Open with the same owner returns it.
func (b Box) Seal(text []byte, owner string) ([]byte, error) {
	if b.aead == nil {
		return nil, ErrClosed
	}
	return b.aead.Seal(nil, nil, text, []byte(owner)), nil
}

// Open returns the text, or an error when the key, the owner or a bit is another.
func (b Box) Open(sealed []byte, owner string) ([]byte, error) {
	if b.aead == nil {
		return nil, ErrClosed
	}
	return b.aead.Open(nil, nil, sealed, []byte(owner))
}
