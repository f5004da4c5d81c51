package client

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"

	"crypto/rand"

	"penstock/internal/ident"
	"penstock/order/payment"
	"penstock/order/payment/sandbox"
	"penstock/webhook/standard"
)

// A sandbox in another process is named by its URL, with or without a slash at its end, and behind a path too.
func TestBaseURL(t *testing.T) {
	t.Parallel()
	sec, err := standard.NewSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sb, err := sandbox.New(t.Context(), filepath.Join(t.TempDir(), "sandbox.db"), sec, sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", sb.Handler())
	mux.Handle("/pay/", http.StripPrefix("/pay", sb.Handler()))
	srv := httptest.NewServer(mux)
	t.Cleanup(func() {
		srv.Close()
		if err := sb.Stop(); err != nil {
			t.Error(err)
		}
	})
	for i, end := range []string{"", "/", "/pay", "/pay/"} {
		cl, err := New(func() string { return srv.URL + end }, func() string { return "" }, []standard.Secret{sec}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		res, err := cl.Charge(t.Context(), payment.Charge{Payment: ident.ID(i + 1), Amount: 1, Currency: "EUR"})
		if err != nil || res.Status != payment.Waiting {
			t.Errorf("charge at %q: %v %v", end, res.Status, err)
		}
		if res, err = cl.Query(t.Context(), ident.ID(i+1)); err != nil || res.Status != payment.Taken {
			t.Errorf("query at %q: %v %v", end, res.Status, err)
		}
	}
}

// Only the sandbox's own word is definite: whatever something on the way answers in its place is an unknown outcome.
func TestOnlyTheSandboxIsDefinite(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
		want   payment.Status // 0 means unknown
	}{
		"its refusal":           {400, `{"type":"invalid-request","status":400}`, payment.Declined},
		"its other payment":     {422, `{"type":"key-reused","status":422}`, 0},
		"its shedding":          {503, `{"type":"reduced-capacity","status":503}`, 0},
		"a page":                {404, `<html>`, 0},
		"a proxy's problem":     {400, `{"type":"about:blank","status":400}`, 0},
		"another status inside": {400, `{"type":"invalid-request","status":404}`, 0},
		"a limit":               {429, `{"type":"quota-exceeded","status":429}`, 0},
		"no JSON":               {200, `ok`, 0},
		"another state":         {200, `{"state":"maybe"}`, 0},
		"a redirect":            {304, ``, 0},
		"its yes":               {201, `{"state":"pending"}`, payment.Waiting},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				if c.body != "" {
					w.Write([]byte(c.body))
				}
			}))
			defer srv.Close()
			sec, err := standard.NewSecret(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			cl, err := New(func() string { return srv.URL }, func() string { return "" }, []standard.Secret{sec}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer cl.Close()
			res, err := cl.Charge(t.Context(), payment.Charge{Payment: 1, Amount: 1, Currency: "EUR"})
			if res.Status != c.want || (err == nil) != (c.want != 0) {
				t.Errorf("%d %s is %v, %v", c.status, c.body, res.Status, err)
			}
		})
	}
}

// A redirect is not followed, though it led to somebody who says yes: only the configured address is asked.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusCreated)
		w.Write([]byte(`{"state":"pending"}`))
	}))
	t.Cleanup(elsewhere.Close)
	srv := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	t.Cleanup(srv.Close)
	sec, err := standard.NewSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cl, err := New(func() string { return srv.URL }, func() string { return "" }, []standard.Secret{sec}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cl.Close() })
	if res, err := cl.Charge(t.Context(), payment.Charge{Payment: 1, Amount: 1, Currency: "EUR"}); err == nil || asked.Load() != 0 {
		t.Errorf("charge: %v %v, asked elsewhere %d times", res.Status, err, asked.Load())
	}
}
