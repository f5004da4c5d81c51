package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
)

// key is a signing secret with its id.
type key struct{ id, secret string }

// sign signs a request as docs/open-api.md says (RFC 9421, hmac-sha256) and returns the text that was signed. Set all other
// headers before.
func sign(req *http.Request, body []byte, k key, created int64, nonce string) (base string) {
	if len(body) > 0 {
		sum := sha256.Sum256(body)
		req.Header.Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
	}
	path := req.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	names := []string{"@method", "@authority", "@path", "@query"}
	values := []string{req.Method, strings.ToLower(req.Host), path, "?" + req.URL.RawQuery}
	for _, name := range []string{"content-type", "content-digest", "idempotency-key", "if-match"} {
		if value := req.Header.Get(name); value != "" {
			names, values = append(names, name), append(values, strings.TrimSpace(value))
		}
	}
	for i, name := range names {
		base += fmt.Sprintf("%q: %s\n", name, values[i])
	}
	params := fmt.Sprintf("(\"%s\");created=%d;nonce=%q;keyid=%q;alg=\"hmac-sha256\"", strings.Join(names, `" "`), created, nonce, k.id)
	base += `"@signature-params": ` + params
	mac := hmac.New(sha256.New, []byte(k.secret))
	mac.Write([]byte(base))
	req.Header.Set("Signature-Input", "sig="+params)
	req.Header.Set("Signature", "sig=:"+base64.StdEncoding.EncodeToString(mac.Sum(nil))+":")
	return base
}

// newNonce returns 26 random characters. A nonce is good for one request.
func newNonce() string { return rand.Text() }
