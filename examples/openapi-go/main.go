// Command openapi-go calls Penstock's open API as a third-party app. Copy sign.go into your program; nothing but the standard
// library is needed.
//
//	OPENAPI_SECRET=pssk_… openapi-go --url https://shop.example.com --key sk_… GET /v1/orders
//	OPENAPI_SECRET=pssk_… openapi-go --url … --key sk_… --idempotency-key k-1 POST /v1/sales/s/attempts '{"sku":"tea","quantity":1}'
//	OPENAPI_SECRET=pscs_… openapi-go --url … --id app_… GET /v1/orders      (by an OAuth2 token)
//	openapi-go --vectors docs/open-api-vectors.json                          (checks sign.go)
//
// The answer's body goes to standard output; the exit code is 0 for a success and 1 for everything else.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

type options struct {
	url, key, id, secret, idempotency, vectors string
}

func main() {
	var o options
	flag.StringVar(&o.url, "url", "http://127.0.0.1:8080", "public listener of Penstock")
	flag.StringVar(&o.key, "key", "", "id of the signing secret, sk_…")
	flag.StringVar(&o.id, "id", "", "id of the app, app_…, to call by an OAuth2 token instead")
	flag.StringVar(&o.idempotency, "idempotency-key", "", "Idempotency-Key of the call")
	flag.StringVar(&o.vectors, "vectors", "", "check the signing of this program against a file of vectors")
	flag.Parse()
	o.secret = os.Getenv("OPENAPI_SECRET") // not a flag: others on the machine can read those
	err := run(o, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(o options, args []string) error {
	if o.vectors != "" {
		return checkVectors(o.vectors)
	}
	if len(args) < 2 || len(args) > 3 {
		return errors.New("write METHOD PATH [BODY], for example GET /v1/orders")
	}
	if o.secret == "" || (o.key == "") == (o.id == "") {
		return errors.New("give --key sk_… or --id app_…, and its secret in OPENAPI_SECRET")
	}
	body := []byte(strings.Join(args[2:], ""))
	req, err := http.NewRequest(args[0], strings.TrimRight(o.url, "/")+args[1], bytes.NewReader(body))
	if err != nil {
		return err
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	if o.idempotency != "" {
		req.Header.Set("Idempotency-Key", strconv.Quote(o.idempotency))
	}
	if o.id != "" {
		token, err := grant(o)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+token)
	} else {
		sign(req, body, key{o.key, o.secret}, time.Now().Unix(), newNonce()) // last: it covers the fields above
	}
	text, err := send(req)
	fmt.Println(string(text))
	return err
}

// grant gets a token by OAuth2 client credentials. Keep it until it expires; this program asks each time.
func grant(o options) (string, error) {
	req, err := http.NewRequest(http.MethodPost, strings.TrimRight(o.url, "/")+"/oauth2/token", strings.NewReader("grant_type=client_credentials"))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(o.id), url.QueryEscape(o.secret))
	text, err := send(req)
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, text)
	}
	var answer struct {
		Token string `json:"access_token"`
	}
	return answer.Token, json.Unmarshal(text, &answer)
}

func send(req *http.Request) ([]byte, error) {
	client := http.Client{Timeout: 30 * time.Second}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode/100 != 2 {
		err = errors.New(res.Status)
	}
	return text, err
}

type vector struct {
	Name, Method, URL, Body, KeyID, Secret, Nonce string
	Headers                                       map[string]string
	Created                                       int64
	ContentDigest, Base, SignatureInput           string
	Signature                                     string
}

// checkVectors signs what the file says and compares every step.
func checkVectors(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var all []vector
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	for _, v := range all {
		req, err := http.NewRequest(v.Method, v.URL, strings.NewReader(v.Body))
		if err != nil {
			return err
		}
		for name, value := range v.Headers {
			req.Header.Set(name, value)
		}
		base := sign(req, []byte(v.Body), key{v.KeyID, v.Secret}, v.Created, v.Nonce)
		for what, pair := range map[string][2]string{
			"Content-Digest": {req.Header.Get("Content-Digest"), v.ContentDigest}, "base": {base, v.Base},
			"Signature-Input": {req.Header.Get("Signature-Input"), v.SignatureInput}, "Signature": {req.Header.Get("Signature"), v.Signature},
		} {
			if pair[0] != pair[1] {
				return fmt.Errorf("vector %s: %s is\n%s\nwant\n%s", v.Name, what, pair[0], pair[1])
			}
		}
	}
	fmt.Println("ok", len(all), "vectors")
	return nil
}
