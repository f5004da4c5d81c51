package gateway

import (
	"net/http"

	"penstock/errs"
)

// MaxKey is the longest idempotency key in bytes, without its quotes.
const MaxKey = 255

// IdempotencyKey reads the Idempotency-Key header: a structured-field string, "…", or for convenience the bare text. The key
// is 1 to 255 printable ASCII characters; both spellings of it are the same key. The error is key-missing.
func IdempotencyKey(h http.Header) (string, error) {
	v := h["Idempotency-Key"]
	if len(v) != 1 {
		return "", errs.New(errs.KeyMissing, "send one Idempotency-Key header")
	}
	key, ok := v[0], true
	if len(key) > 0 && key[0] == '"' {
		key, ok = unquote(key)
	} else {
		ok = bare(key)
	}
	if !ok || key == "" || len(key) > MaxKey || key == "." || key == ".." {
		return "", errs.New(errs.KeyMissing, `the Idempotency-Key must be 1 to %d printable ASCII characters in quotes, such as "a1b2"`, MaxKey)
	}
	return key, nil
}

// unquote reads an sf-string (RFC 8941) without parameters.
func unquote(s string) (string, bool) {
	if len(s) < 2 || s[len(s)-1] != '"' {
		return "", false
	}
	s = s[1 : len(s)-1]
	var plain []byte // nil while s is its own meaning
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c < 0x20 || c > 0x7e || c == '"':
			return "", false
		case c == '\\':
			if plain == nil {
				plain = append(make([]byte, 0, len(s)), s[:i]...)
			}
			if i++; i == len(s) || s[i] != '"' && s[i] != '\\' {
				return "", false
			}
			plain = append(plain, s[i])
		case plain != nil:
			plain = append(plain, c)
		}
	}
	if plain != nil {
		return string(plain), true
	}
	return s, true
}

// bare accepts printable characters without the ones that make lists and strings.
func bare(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= 0x20 || c > 0x7e || c == '"' || c == ',' || c == '\\' {
			return false
		}
	}
	return true
}
