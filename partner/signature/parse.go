package signature

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Names of the headers.
const (
	InputHeader     = "Signature-Input"
	SignatureHeader = "Signature"
	DigestHeader    = "Content-Digest"
)

// Bounds of what is looked at.
const (
	maxHeader     = 4 << 10
	maxComponents = 24
	// MaxNonce is the longest nonce in bytes; MinNonce the shortest.
	MaxNonce = 64
	MinNonce = 16
	maxKeyID = 64
)

// Input is what a Signature-Input says of its signature. Times are Unix seconds; Expires is 0 when it is not said.
type Input struct {
	Label      string
	Components []string
	Created    int64
	Expires    int64
	Nonce      string
	KeyID      string
	Alg        string
	Tag        string
	// params are the names of the parameters in their order, which the signature covers.
	params []string
}

// Errors say what is wrong, in words that may be shown to whoever signed.
var (
	errInput     = errors.New("the Signature-Input is not one signature in the form of RFC 9421")
	errSignature = errors.New("the Signature is not one byte sequence in the form of RFC 9421, with the label of the Signature-Input")
)

// Parse reads the headers of a request. It returns what the signature covers and the signature itself, which is not checked.
func Parse(h http.Header) (Input, []byte, error) {
	text, ok := single(h, InputHeader)
	if !ok {
		return Input{}, nil, errInput
	}
	in, err := parseInput(text)
	if err != nil {
		return Input{}, nil, err
	}
	text, ok = single(h, SignatureHeader)
	if !ok {
		return Input{}, nil, errSignature
	}
	label, value, _ := strings.Cut(text, "=")
	mac, ok := bytesItem(value)
	if !ok || label != in.Label {
		return Input{}, nil, errSignature
	}
	return in, mac, nil
}

func single(h http.Header, name string) (string, bool) {
	v := h[name]
	return strings.Trim(strings.Join(v, ""), " "), len(v) == 1 && len(v[0]) <= maxHeader
}

// bytesItem reads :base64:, in its one canonical spelling.
func bytesItem(s string) ([]byte, bool) {
	if len(s) < 2 || s[0] != ':' || s[len(s)-1] != ':' || strings.ContainsAny(s, "\r\n") {
		return nil, false
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s[1 : len(s)-1])
	return b, err == nil
}

func parseInput(text string) (Input, error) {
	r := reader{text}
	in := Input{Label: r.key()}
	if in.Label == "" || !r.take('=') || !r.take('(') {
		return Input{}, errInput
	}
	for r.spaces(); !r.take(')'); r.spaces() {
		name, ok := r.text()
		if !ok || !component(name) || len(in.Components) == maxComponents {
			return Input{}, fmt.Errorf("%w: component %d cannot be covered; allowed are @method, @authority, @path, @query and header fields, without parameters", errInput, len(in.Components)+1)
		}
		if slices.Contains(in.Components, name) {
			return Input{}, fmt.Errorf("%w: %q is covered twice", errInput, name)
		}
		in.Components = append(in.Components, name)
		if r.s == "" || r.s[0] != ' ' && r.s[0] != ')' {
			return Input{}, fmt.Errorf("%w: component %q is followed by something else than a space or the end of the list", errInput, name)
		}
	}
	for r.take(';') {
		r.spaces()
		if err := in.parameter(&r); err != nil {
			return Input{}, err
		}
	}
	if r.s != "" {
		return Input{}, errInput
	}
	return in, in.complete()
}

// parameter reads one parameter of the signature.
func (in *Input) parameter(r *reader) error {
	name := r.key()
	if slices.Contains(in.params, name) || !r.take('=') {
		return errInput
	}
	in.params = append(in.params, name)
	ok := false
	switch name {
	case "created":
		in.Created, ok = r.seconds()
	case "expires":
		in.Expires, ok = r.seconds()
	case "nonce":
		in.Nonce, ok = r.text()
	case "keyid":
		in.KeyID, ok = r.text()
	case "alg":
		in.Alg, ok = r.text()
	case "tag":
		in.Tag, ok = r.text()
	}
	if !ok {
		return fmt.Errorf("%w: the parameters are created, nonce, keyid, and if you like expires, alg and tag", errInput)
	}
	return nil
}

func (in *Input) complete() error {
	switch {
	case in.Created == 0:
		return fmt.Errorf("%w: created is missing", errInput)
	case len(in.Nonce) < MinNonce || len(in.Nonce) > MaxNonce:
		return fmt.Errorf("%w: the nonce has %d bytes, %d to %d are allowed", errInput, len(in.Nonce), MinNonce, MaxNonce)
	case in.KeyID == "" || len(in.KeyID) > maxKeyID:
		return fmt.Errorf("%w: keyid is missing or longer than %d bytes", errInput, maxKeyID)
	case in.Alg != "" && in.Alg != Algorithm:
		return fmt.Errorf("%w: alg is not %s", errInput, Algorithm)
	}
	return nil
}

// component reports what may be covered.
func component(name string) bool {
	if strings.HasPrefix(name, "@") {
		return slices.Contains([]string{"@method", "@authority", "@path", "@query"}, name)
	}
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return name != ""
}

// reader takes structured field values (RFC 9651) off the front of a text.
type reader struct{ s string }

func (r *reader) take(c byte) bool {
	if r.s == "" || r.s[0] != c {
		return false
	}
	r.s = r.s[1:]
	return true
}

func (r *reader) spaces() { r.s = strings.TrimLeft(r.s, " ") }

// key returns "" when there is none.
func (r *reader) key() string {
	n := 0
	for n < len(r.s) {
		c := r.s[n]
		first := c >= 'a' && c <= 'z' || c == '*'
		if !first && (n == 0 || (c < '0' || c > '9') && c != '_' && c != '-' && c != '.') {
			break
		}
		n++
	}
	k := r.s[:n]
	r.s = r.s[n:]
	return k
}

// text reads a string.
func (r *reader) text() (string, bool) {
	if !r.take('"') {
		return "", false
	}
	var b []byte
	for i := 0; i < len(r.s); i++ {
		switch c := r.s[i]; {
		case c == '"':
			r.s = r.s[i+1:]
			return string(b), true
		case c == '\\':
			if i++; i == len(r.s) || r.s[i] != '"' && r.s[i] != '\\' {
				return "", false
			}
			b = append(b, r.s[i])
		case c < 0x20 || c > 0x7e:
			return "", false
		default:
			b = append(b, c)
		}
	}
	return "", false
}

// seconds reads a positive integer without leading zeros, which would be a second spelling.
func (r *reader) seconds() (int64, bool) {
	n := 0
	for n < len(r.s) && r.s[n] >= '0' && r.s[n] <= '9' {
		n++
	}
	if n == 0 || n > 15 || r.s[0] == '0' {
		return 0, false
	}
	v, err := strconv.ParseInt(r.s[:n], 10, 64)
	r.s = r.s[n:]
	return v, err == nil
}
