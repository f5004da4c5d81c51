package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"penstock/auth"
	"penstock/config"
	"penstock/errs"
)

const (
	defaultAdmin = "http://127.0.0.1:8081"
	callTimeout  = 30 * time.Second
	// mintedLife is how long a token lives that a command makes for itself.
	mintedLife = 5 * time.Minute
)

// operator makes calls to the admin listener.
type operator struct {
	e          *env
	s          *settings
	url, token string
	role       string // of a token made from the key ring; "" means operator
	reason     string // of the act
	json       bool
	client     http.Client
}

// addOperator gives c the flags that say where the server is and who is calling.
func addOperator(e *env, c *cobra.Command) *operator {
	o := &operator{e: e, s: addSettings(e, c, "data", "keys.file")}
	c.Flags().StringVar(&o.url, "url", "", "admin listener (PENSTOCK_URL; else from listen.json in the data directory, else "+defaultAdmin+")")
	c.Flags().StringVar(&o.token, "token", "", "operator token (PENSTOCK_TOKEN; else one is made from the key ring in the data directory)")
	c.Flags().BoolVar(&o.json, "json", false, "write the answer as one JSON object")
	o.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return o
}

// prepare finds out where to call and as whom.
func (o *operator) prepare() error {
	cfg, err := o.s.load()
	if err != nil {
		return err
	}
	if o.url == "" {
		o.url = o.e.variable("PENSTOCK_URL")
	}
	if o.url == "" {
		o.url = adminURL(cfg)
	}
	u, err := url.Parse(o.url)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return usage("for example --url "+defaultAdmin, "--url %q is not an http(s) URL", o.url)
	}
	o.url = strings.TrimRight(o.url, "/")
	if o.token == "" {
		o.token = o.e.variable("PENSTOCK_TOKEN")
	}
	if o.token != "" {
		return nil
	}
	return o.mint(cfg)
}

// mint makes a short-lived token. The user it names is what the audit trail will say.
func (o *operator) mint(cfg config.Config) error {
	if _, err := os.Stat(ringPath(cfg)); err != nil {
		if err := o.knock(o.url); err != nil {
			return err
		}
		return usage("pass --token, set PENSTOCK_TOKEN, or name the server's data directory with --data", "no operator token: there is no key ring at %s", ringPath(cfg))
	}
	ring, err := openRing(o.e, cfg)
	if err != nil {
		return err
	}
	user := o.e.variable("USER")
	if _, err := auth.Canonical(user); err != nil {
		user = "operator"
	}
	o.token, err = ring.Sign(auth.Claims{User: user, Role: cmp.Or(o.role, auth.Operator), Expires: time.Now().Add(mintedLife)})
	return err
}

// knock reports whether anybody answers there: a server that is not there is told before the token that it would ask for.
func (o *operator) knock(at string) error {
	client := o.client
	client.Timeout = callTimeout
	resp, err := client.Head(at)
	if err != nil {
		return unanswered(at, http.MethodHead, err)
	}
	return resp.Body.Close()
}

// adminURL reads the address in use that a running server has left in its data directory.
func adminURL(cfg config.Config) string {
	var at struct{ Admin string }
	raw, err := os.ReadFile(filepath.Join(cfg.Data, "listen.json"))
	if err != nil || json.Unmarshal(raw, &at) != nil {
		return defaultAdmin
	}
	host, port, err := net.SplitHostPort(at.Admin)
	if err != nil {
		return defaultAdmin
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// call is one request to the admin listener.
type call struct {
	method, path string
	query        url.Values
	body         any // nil, []byte with JSON, or a value to be written as JSON
	header       map[string]string
}

// do makes a call and returns the answer's body and headers. Errors carry their exit code.
func (o *operator) do(ctx context.Context, c call) ([]byte, http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := o.send(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, nil, unreachable("the call may have been executed; look before repeating it", "the answer of %s broke off: %w", o.url, err)
	}
	return raw, resp.Header, nil
}

func (o *operator) send(ctx context.Context, c call) (*http.Response, error) {
	raw, ok := c.body.([]byte)
	if !ok && c.body != nil {
		var err error
		if raw, err = json.Marshal(c.body); err != nil {
			return nil, err
		}
	}
	target := o.url + c.path
	if len(c.query) > 0 {
		target += "?" + c.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, c.method, target, bytes.NewReader(raw))
	if err != nil {
		return nil, usage("", "%w", err)
	}
	if raw != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for k, v := range c.header {
		req.Header.Set(k, v)
	}
	req.Header.Set("Authorization", "Bearer "+o.token)
	resp, err := o.client.Do(req)
	if err != nil {
		return nil, unanswered(o.url, c.method, err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, refusal(resp)
}

// unanswered is the error of a call that got no answer.
func unanswered(at, method string, err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // without the URL, which the message has already
	}
	hint := "is the server running? --url says where its admin listener is"
	if method != http.MethodGet && method != http.MethodHead && !errors.Is(err, context.Canceled) && !isDial(err) {
		hint = "the call may have been executed; look before repeating it"
	}
	return unreachable(hint, "cannot reach %s: %w", at, err)
}

func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// problem is what of problem+json a shell needs.
type problem struct {
	Type, Title, Detail, RequestID string
	Errors                         []errs.Field
}

// refusal turns an answer that is not a success into an error with its exit code.
func refusal(resp *http.Response) error {
	var p problem
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if json.Unmarshal(raw, &p) != nil || p.Type == "" {
		return unreachable("does --url name the admin listener of a Penstock?", "the answer was %s and no problem that Penstock knows", resp.Status)
	}
	name := p.Type[strings.LastIndexByte(p.Type, '/')+1:]
	what := printable(p.Detail)
	if what == "" {
		what = printable(p.Title)
	}
	for _, f := range p.Errors {
		if f.Pointer != "" && f.Detail != "" && what == printable(strings.TrimPrefix(f.Pointer, "/")+": "+f.Detail) {
			continue // it is said already
		}
		what += "; " + strings.TrimSpace(printable(f.Pointer)+" "+printable(f.Detail))
	}
	err := fmt.Errorf("the server refused (%s): %s", printable(name), what)
	switch code := errs.Code(name); code {
	case errs.Forbidden:
		return &failure{exitUsage, err, "use an operator's token: `penstock token --role operator --user U --data DIR`; users, sessions and OpenID clients want --role admin (docs/login.md)"}
	case errs.Unauthenticated:
		return &failure{exitUsage, err, "use an operator's token: `penstock token --role operator --user U --data DIR`"}
	case errs.Invalid, errs.KeyMissing, errs.KeyReused, errs.UnsupportedMedia, errs.TooLarge, errs.MethodNotAllowed:
		return &failure{exitUsage, err, ""}
	case errs.QuotaExceeded, errs.ReducedCapacity:
		return &failure{exitUnreachable, err, "nothing was executed; try again in a moment"}
	case errs.Unknown:
		return &failure{exitUnreachable, err, "the outcome is not known; look before repeating the call"}
	case errs.VersionMismatch:
		return &failure{exitFailed, err, "somebody else changed it meanwhile; look at it again"}
	}
	return &failure{exitFailed, err, ""}
}
