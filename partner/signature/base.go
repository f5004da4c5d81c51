package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Algorithm is the only one.
const Algorithm = "hmac-sha256"

// Base returns the text that is signed (RFC 9421, section 2.5), or says which covered component the request does not have.
func (in Input) Base(r *http.Request) (string, error) {
	var b strings.Builder
	for _, name := range in.Components {
		value, err := value(r, name)
		if err != nil {
			return "", err
		}
		b.WriteString(`"` + name + `": ` + value + "\n")
	}
	b.WriteString(`"@signature-params": ` + in.Params())
	return b.String(), nil
}

// value is what a component has in the request.
func value(r *http.Request, name string) (string, error) {
	switch name {
	case "@method":
		return r.Method, nil
	case "@authority":
		host := r.Host
		if host == "" && r.URL != nil {
			host = r.URL.Host // a request that is about to be sent
		}
		return strings.ToLower(host), nil
	case "@path":
		if path := r.URL.EscapedPath(); path != "" {
			return path, nil
		}
		return "/", nil
	case "@query":
		return "?" + r.URL.RawQuery, nil
	}
	values := r.Header[http.CanonicalHeaderKey(name)]
	if len(values) == 0 {
		return "", fmt.Errorf("the signature covers the field %q, which the request does not have", name)
	}
	trimmed := make([]string, len(values))
	for i, v := range values {
		if trimmed[i] = strings.Trim(v, " \t"); strings.ContainsAny(v, "\r\n") {
			return "", fmt.Errorf("the field %q has a line break", name)
		}
	}
	return strings.Join(trimmed, ", "), nil
}

// Params returns the components and parameters as they are signed and as they stand in the Signature-Input.
func (in Input) Params() string {
	var b strings.Builder
	b.WriteByte('(')
	for i, name := range in.Components {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(`"` + name + `"`)
	}
	b.WriteByte(')')
	for _, name := range in.order() {
		b.WriteString(";" + name + "=")
		switch name {
		case "created":
			b.WriteString(strconv.FormatInt(in.Created, 10))
		case "expires":
			b.WriteString(strconv.FormatInt(in.Expires, 10))
		default:
			b.WriteString(quoted(map[string]string{"nonce": in.Nonce, "keyid": in.KeyID, "alg": in.Alg, "tag": in.Tag}[name]))
		}
	}
	return b.String()
}

// order is that of the parameters received, or the one this package signs in.
func (in Input) order() []string {
	if in.params != nil {
		return in.params
	}
	return slices.DeleteFunc([]string{"created", "expires", "nonce", "keyid", "alg", "tag"}, func(name string) bool {
		return name == "expires" && in.Expires == 0 || name == "alg" && in.Alg == "" || name == "tag" && in.Tag == "" || name == "nonce" && in.Nonce == ""
	})
}

func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// MAC returns the signature of a base.
func MAC(secret []byte, base string) []byte {
	m := hmac.New(sha256.New, secret)
	m.Write([]byte(base))
	return m.Sum(nil)
}

// Digest is the value of a Content-Digest.
func Digest(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

// ErrDigest says that a body is not the one that was signed.
var ErrDigest = errors.New("the Content-Digest is not one sha-256 of this body")

// CheckDigest compares a body with the header.
func CheckDigest(h http.Header, body []byte) error {
	text, ok := single(h, DigestHeader)
	value, is := strings.CutPrefix(text, "sha-256=")
	sum, good := bytesItem(value)
	have := sha256.Sum256(body)
	if !ok || !is || !good || !hmac.Equal(sum, have[:]) {
		return ErrDigest
	}
	return nil
}

// Sign signs a request that is about to be sent, body included. The zero Components cover what Penstock wants covered; the label
// is "sig" when none is said. Created, Nonce and KeyID are the caller's.
func Sign(r *http.Request, body []byte, in Input, secret []byte) error {
	if len(body) > 0 {
		r.Header.Set(DigestHeader, Digest(body))
	}
	if in.Components == nil {
		in.Components = Required(r.Header, len(body) > 0)
	}
	if in.Label == "" {
		in.Label = "sig"
	}
	base, err := in.Base(r)
	if err != nil {
		return err
	}
	r.Header.Set(InputHeader, in.Label+"="+in.Params())
	r.Header.Set(SignatureHeader, in.Label+"=:"+base64.StdEncoding.EncodeToString(MAC(secret, base))+":")
	return nil
}

// Required returns what a signature must cover: where the call goes, its body, and each field that changes what a call does.
func Required(h http.Header, body bool) []string {
	all := []string{"@method", "@authority", "@path", "@query"}
	for _, name := range []string{"content-type", "content-digest", "idempotency-key", "if-match"} {
		if body && name == "content-digest" || len(h[http.CanonicalHeaderKey(name)]) > 0 {
			all = append(all, name)
		}
	}
	return all
}
