package cache

import (
	"fmt"
	"strings"
)

// Key is the name of one entry, written business:module:id. The zero Key is not valid; make one with NewKey or ParseKey.
type Key struct{ business, module, id string }

// NewKey checks the parts. Business and module are 1 to 32 lower-case letters, digits, - and _. An id is 1 to 200 bytes without
// spaces, control characters and braces (which would move it within a cluster); it may hold colons.
func NewKey(business, module, id string) (Key, error) {
	if err := checkSpace(business, module); err != nil {
		return Key{}, err
	}
	bad := func(r rune) bool { return r <= ' ' || r == '{' || r == '}' || r == 0x7f }
	if id == "" || len(id) > 200 || strings.ContainsFunc(id, bad) {
		return Key{}, fmt.Errorf("%w: id is %.40q, want 1 to 200 bytes without spaces, control characters and braces", ErrKey, id)
	}
	return Key{business, module, id}, nil
}

// ParseKey reads what String wrote.
func ParseKey(s string) (Key, error) {
	p := strings.SplitN(s, ":", 3)
	if len(p) != 3 {
		return Key{}, fmt.Errorf("%w: %.40q, want business:module:id, for example shop:product:42", ErrKey, s)
	}
	return NewKey(p[0], p[1], p[2])
}

func checkSpace(business, module string) error {
	for _, part := range [][2]string{{"business", business}, {"module", module}} {
		bad := func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-_", r) }
		if part[1] == "" || len(part[1]) > 32 || strings.ContainsFunc(part[1], bad) {
			return fmt.Errorf("%w: %s is %.40q, want 1 to 32 of a-z, 0-9, - and _, for example shop", ErrKey, part[0], part[1])
		}
	}
	return nil
}

// Business, Module and ID return the parts.
func (k Key) Business() string { return k.business }
func (k Key) Module() string   { return k.module }
func (k Key) ID() string       { return k.id }

// String returns business:module:id.
func (k Key) String() string { return k.business + ":" + k.module + ":" + k.id }
