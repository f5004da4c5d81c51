package signature

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the vectors anew")

// vector is one signed request, with every step on the way.
type vector struct {
	Name           string            `json:"name"`
	Method         string            `json:"method"`
	URL            string            `json:"url"`
	Headers        map[string]string `json:"headers,omitempty"` // names in lower case
	Body           string            `json:"body,omitempty"`
	KeyID          string            `json:"keyid"`
	Secret         string            `json:"secret"`
	Created        int64             `json:"created"`
	Nonce          string            `json:"nonce"`
	ContentDigest  string            `json:"contentDigest"`
	Base           string            `json:"base"`
	SignatureInput string            `json:"signatureInput"`
	Signature      string            `json:"signature"`
}

func vectors() []vector {
	const key, secret = "sk_vectorvectorve", "pssk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
	one := func(name, method, url, body string, headers map[string]string) vector {
		return vector{Name: name, Method: method, URL: url, Body: body, Headers: headers, KeyID: key, Secret: secret, Created: 1794398400, Nonce: "nonce-of-" + strings.Repeat("0", 12)}
	}
	return []vector{
		one("read", "GET", "https://shop.example.com/v1/sales", "", nil),
		one("query", "GET", "https://shop.example.com/v1/orders?limit=10&cursor=a%2Fb%20c", "", nil),
		one("attempt", "POST", "https://shop.example.com/v1/sales/flash/attempts", `{"sku":"tea","quantity":1}`,
			map[string]string{"content-type": "application/json", "idempotency-key": `"order-77"`}),
		one("port, case and escapes", "GET", "http://Shop.Example.COM:8080/v1/sales/caf%C3%A9/attempts/k%2F1", "", nil),
		one("body not in ASCII", "POST", "https://shop.example.com/v1/orders/5/refunds", `{"reason":"zurück 退款"}`,
			map[string]string{"content-type": "application/json; charset=utf-8", "idempotency-key": `"r-1"`}),
		one("no body, but a key", "POST", "https://shop.example.com/v1/orders/5/cancellation", "", map[string]string{"idempotency-key": `"c-1"`}),
		one("if-match", "PATCH", "https://shop.example.com/partners/v1/thing?", `{}`, map[string]string{"content-type": "application/json", "if-match": `"3"`}),
	}
}

func (v vector) request(t testing.TB) *http.Request {
	t.Helper()
	r, err := http.NewRequest(v.Method, v.URL, strings.NewReader(v.Body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range v.Headers {
		r.Header.Set(name, value)
	}
	return r
}

// The published vectors are what this package signs, and each of them is read back as what was signed.
func TestVectors(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "docs", "open-api-vectors.json")
	all := vectors()
	for i := range all {
		v := &all[i]
		r := v.request(t)
		in := Input{Created: v.Created, Nonce: v.Nonce, KeyID: v.KeyID, Alg: Algorithm}
		if err := Sign(r, []byte(v.Body), in, []byte(v.Secret)); err != nil {
			t.Fatal(err)
		}
		v.ContentDigest, v.SignatureInput, v.Signature = r.Header.Get(DigestHeader), r.Header.Get(InputHeader), r.Header.Get(SignatureHeader)
		got, mac, err := Parse(r.Header)
		if err != nil {
			t.Fatal(err)
		}
		if v.Base, err = got.Base(r); err != nil || !bytes.Equal(MAC([]byte(v.Secret), v.Base), mac) {
			t.Errorf("%s: read back otherwise: %v", v.Name, err)
		}
		// The request as a server gets it.
		at := httptest.NewRequest(v.Method, r.URL.RequestURI(), strings.NewReader(v.Body))
		at.Host, at.Header = r.Host, r.Header
		if base, err := got.Base(at); err != nil || base != v.Base {
			t.Errorf("%s: the server reads %q, %v", v.Name, base, err)
		}
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(all); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(path); err != nil || !bytes.Equal(want, text.Bytes()) {
		t.Errorf("%s is not what is signed now (go test ./partner/signature -update): %v", path, err)
	}
}

// The example of RFC 9421, section B.2.5, comes out as printed there.
func TestVectorOfTheRFC(t *testing.T) {
	t.Parallel()
	secret, err := base64.StdEncoding.DecodeString("uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==")
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "/foo?param=Value&Pet=dog", strings.NewReader(`{"hello": "world"}`))
	r.Host = "example.com"
	r.Header.Set("Date", "Tue, 20 Apr 2021 02:07:55 GMT")
	r.Header.Set("Content-Type", "application/json")
	in := Input{Label: "sig-b25", Components: []string{"date", "@authority", "content-type"}, Created: 1618884473, KeyID: "test-shared-secret"}
	base, err := in.Base(r)
	if err != nil {
		t.Fatal(err)
	}
	if got := base64.StdEncoding.EncodeToString(MAC(secret, base)); got != "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=" {
		t.Errorf("signature %s of\n%s", got, base)
	}
	if want := `("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"`; in.Params() != want {
		t.Errorf("params %s", in.Params())
	}
	if got := Digest([]byte(`{"hello": "world"}`)); got != "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:" {
		t.Errorf("digest %s", got)
	}
}

// Only one signature in the form of RFC 9421 is read, whatever else would be lenient to take.
func TestFormIsStrict(t *testing.T) {
	t.Parallel()
	const good = `sig=("@method");created=5;nonce="0123456789abcdef";keyid="k"`
	read := func(input, sig string) error {
		_, _, err := Parse(http.Header{InputHeader: {input}, SignatureHeader: {sig}})
		return err
	}
	if err := read(good, "sig=:AAAA:"); err != nil {
		t.Fatal(err)
	}
	for _, input := range []string{
		``, `sig`, `sig=`, `sig=()`, good + `, sig2=("@path");created=5`, `Sig` + good[3:], good + ` ` + `;`, good + `;x=1`, good + `;alg="none"`, good + `;alg="hmac-sha512"`,
		strings.Replace(good, `"@method"`, `"@method";req`, 1), strings.Replace(good, `"@method"`, `"@method" "@method"`, 1),
		strings.Replace(good, `"@method"`, `"@query-param";name="a"`, 1), strings.Replace(good, `"@method"`, `"@status"`, 1), strings.Replace(good, `"@method"`, `"Date"`, 1),
		strings.Replace(good, `"@method"`, `"@method""@path"`, 1), strings.Replace(good, `"@method"`, `@method`, 1), strings.Replace(good, `"@method"`, `"a b"`, 1),
		strings.Replace(good, `created=5`, `created=05`, 1), strings.Replace(good, `created=5`, `created=-5`, 1), strings.Replace(good, `created=5`, `created="5"`, 1),
		strings.Replace(good, `created=5`, `created=5.0`, 1), strings.Replace(good, `created=5;`, ``, 1), strings.Replace(good, `created=5`, `created=5;created=6`, 1),
		strings.Replace(good, `created=5`, `created=9999999999999999`, 1), strings.Replace(good, `created=5`, `created`, 1),
		strings.Replace(good, `0123456789abcdef`, `short`, 1), strings.Replace(good, `0123456789abcdef`, strings.Repeat("x", 65), 1),
		strings.Replace(good, `0123456789abcdef`, "0123456789abcd\x7fef", 1), strings.Replace(good, `0123456789abcdef`, `0123456789abcd\xef`, 1),
		strings.Replace(good, `keyid="k"`, `keyid=""`, 1), strings.Replace(good, `keyid="k"`, `keyid="k`, 1), strings.Replace(good, `;keyid="k"`, ``, 1),
		`sig=(` + strings.Repeat(`"a" `, 30) + `)` + good[13:], good + strings.Repeat(" ", maxHeader),
	} {
		if err := read(input, "sig=:AAAA:"); err == nil {
			t.Errorf("read %s", input)
		}
	}
	for _, sig := range []string{``, `sig`, `sig=`, `sig=:`, `sig=AAAA`, `sig=:AAA:`, `sig=:AAB=:`, `other=:AAAA:`, `sig=:AAAA:, b=:AAAA:`, "sig=:AA\nAA:", `sig=:AAAA:;x`} {
		if err := read(good, sig); err == nil {
			t.Errorf("read the signature %q", sig)
		}
	}
	if _, _, err := Parse(http.Header{InputHeader: {good, good}, SignatureHeader: {"sig=:AAAA:"}}); err == nil {
		t.Error("two headers were read as one")
	}
}

// A digest is that of the body, in one spelling, with nothing beside it.
func TestDigest(t *testing.T) {
	t.Parallel()
	body := []byte("body")
	good := Digest(body)
	if err := CheckDigest(http.Header{DigestHeader: {good}}, body); err != nil {
		t.Fatal(err)
	}
	for _, h := range [][]string{nil, {""}, {Digest([]byte("other"))}, {good, good}, {good + ", sha-512=:AAAA:"}, {"sha-512=" + good[8:]}, {good[:len(good)-1]}, {strings.Replace(good, "=:", "=", 1)}, {"md5=:AAAA:"}} {
		if err := CheckDigest(http.Header{DigestHeader: h}, body); err == nil {
			t.Errorf("%q is taken", h)
		}
	}
}

// Whatever the headers are, reading them does not fail otherwise than by an error; what is read has one spelling, and a changed
// byte of a signed request is a changed base or no signature at all.
func FuzzParse(f *testing.F) {
	for _, v := range vectors() {
		r := v.request(f)
		if err := Sign(r, []byte(v.Body), Input{Created: v.Created, Nonce: v.Nonce, KeyID: v.KeyID, Alg: Algorithm, Tag: `a"\b`, Expires: v.Created + 9}, []byte(v.Secret)); err != nil {
			f.Fatal(err)
		}
		f.Add(r.Header.Get(InputHeader), r.Header.Get(SignatureHeader))
	}
	f.Add(`sig=( "@method"  "a" );  created=1;nonce="\\\"aaaaaaaaaaaaaa";keyid="k"`, `sig=:AAAA:`)
	f.Fuzz(func(t *testing.T, input, sig string) {
		in, mac, err := Parse(http.Header{InputHeader: {input}, SignatureHeader: {sig}})
		if err != nil {
			return
		}
		again, mac2, err := Parse(http.Header{InputHeader: {in.Label + "=" + in.Params()}, SignatureHeader: {in.Label + "=:" + base64.StdEncoding.EncodeToString(mac) + ":"}})
		if err != nil || again.Params() != in.Params() || !bytes.Equal(mac, mac2) {
			t.Errorf("%q is %q, which is read as %q, %v", input, in.Params(), again.Params(), err)
		}
		if strings.Count(in.Params(), "\n") > 0 || len(in.Components) > maxComponents || len(in.Nonce) > MaxNonce {
			t.Errorf("%q is read as %+v", input, in)
		}
	})
}
