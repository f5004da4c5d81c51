package remote

import (
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"penstock/saga/participant"
	"penstock/webhook/standard"
)

// A redirect is not followed, also by a client that the caller brings: the call, with its signature, is for one address only.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(elsewhere.Close)
	srv := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusPermanentRedirect))
	t.Cleanup(srv.Close)
	sec, err := standard.NewSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []*http.Client{nil, srv.Client()} {
		p, err := New(srv.URL, []standard.Secret{sec}, Options{Client: c})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Try(t.Context(), participant.Branch{Transaction: "t", Name: "b"}); err == nil || asked.Load() != 0 {
			t.Errorf("try: %v, asked elsewhere %d times", err, asked.Load())
		}
	}
}
