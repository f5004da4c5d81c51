package gateway

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner walks over JSON text. It knows no values but strings; the rest is for its callers.
type scanner struct {
	in []byte
	at int
}

func (d *scanner) syntax(what string) error {
	return invalid("", "not the JSON expected at byte %d: %s", d.at, what)
}

func (d *scanner) space() {
	for d.at < len(d.in) {
		switch d.in[d.at] {
		case ' ', '\t', '\n', '\r':
			d.at++
		default:
			return
		}
	}
}

// next skips space and takes c if it comes next.
func (d *scanner) next(c byte) bool {
	if d.space(); d.at < len(d.in) && d.in[d.at] == c {
		d.at++
		return true
	}
	return false
}

// ends reports whether a number may end here.
func (d *scanner) ends() bool {
	if d.at == len(d.in) {
		return true
	}
	switch d.in[d.at] {
	case ' ', '\t', '\n', '\r', ',', '}', ']':
		return true
	}
	return false
}

// object reads an object, calling member after each name and colon. pointer says where the object stands.
func (d *scanner) object(pointer string, member func(name []byte) error) error {
	if !d.next('{') {
		return invalid(pointer, "must be an object")
	}
	if d.next('}') {
		return nil
	}
	for {
		d.space()
		if d.at == len(d.in) || d.in[d.at] != '"' {
			return d.syntax("expected a member name")
		}
		name, err := d.text()
		if err != nil {
			return err
		}
		if !d.next(':') {
			return d.syntax("expected :")
		}
		if err := member(name); err != nil {
			return err
		}
		if d.next('}') {
			return nil
		}
		if !d.next(',') {
			return d.syntax("expected , or }")
		}
	}
}

// text reads a string; d stands on its opening quote. Without escapes the result is a part of the input.
func (d *scanner) text() ([]byte, error) {
	d.at++
	from := d.at
	var plain []byte
	for d.at < len(d.in) {
		switch c := d.in[d.at]; {
		case c == '"':
			part := d.in[from:d.at]
			d.at++
			if plain == nil {
				return part, nil
			}
			return append(plain, part...), nil
		case c < 0x20:
			return nil, d.syntax("control character in a string")
		case c == '\\':
			if plain == nil {
				plain = []byte{}
			}
			plain = append(plain, d.in[from:d.at]...)
			r, ok := d.escape()
			if !ok {
				return nil, d.syntax("bad escape in a string")
			}
			plain = utf8.AppendRune(plain, r)
			from = d.at
		default:
			d.at++
		}
	}
	return nil, d.syntax("a string does not end")
}

// escape reads an escape; d stands on its backslash. Half a surrogate pair is none.
func (d *scanner) escape() (rune, bool) {
	if d.at+1 >= len(d.in) {
		return 0, false
	}
	c := d.in[d.at+1]
	if c != 'u' {
		i := strings.IndexByte(`"\/bfnrt`, c)
		if i < 0 {
			return 0, false
		}
		d.at += 2
		return rune("\"\\/\b\f\n\r\t"[i]), true
	}
	r, ok := d.unit()
	if !ok || !utf16.IsSurrogate(r) {
		return r, ok
	}
	low, ok := d.unit()
	r = utf16.DecodeRune(r, low)
	return r, ok && r != utf8.RuneError
}

// unit reads \uXXXX.
func (d *scanner) unit() (rune, bool) {
	if d.at+6 > len(d.in) || d.in[d.at] != '\\' || d.in[d.at+1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range d.in[d.at+2 : d.at+6] {
		if c >= 'A' && c <= 'F' {
			c |= 0x20
		}
		v := hexValue(c)
		if v < 0 {
			return 0, false
		}
		r = r<<4 | rune(v)
	}
	d.at += 6
	return r, true
}

// escapePointer writes a member name as a part of a JSON pointer, cut to a length that can be shown.
func escapePointer(name []byte) string {
	const shown = 64
	s := string(name)
	if len(s) > shown {
		s = strings.ToValidUTF8(s[:shown], "") + "…"
	}
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(s)
}
