package gateway

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"penstock/auth"
	"penstock/errs"
)

// standing is one app and one session that tests take away.
type standing struct {
	app  error
	role string
	over error
}

func (*standing) Signed(r *http.Request) bool { return r.Header.Get("Signature") != "" }
func (*standing) Verify(context.Context, *http.Request, []byte) (auth.Identity, error) {
	return auth.Identity{User: "app:a1", App: "a1", Expires: start.Add(time.Hour)}, nil
}
func (s *standing) Permit(auth.Identity, string) error { return s.app }
func (s *standing) Session(r *http.Request) (auth.Identity, bool, error) {
	return auth.Identity{User: "olga", Role: s.role}, r.Header.Get("Cookie") != "", s.over
}

// A call that goes on is asked about again: its app, its session, its role and its token may be gone by then.
func TestStill(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header string
		access Access
		then   func(*standing, bundle)
		want   errs.Code
	}{
		"app":           {"Signature", ByUser, func(*standing, bundle) {}, ""},
		"disabled app":  {"Signature", ByUser, func(s *standing, _ bundle) { s.app = errs.New(errs.Unauthenticated, "disabled") }, errs.Unauthenticated},
		"old signature": {"Signature", ByUser, func(_ *standing, b bundle) { b.clock.Advance(time.Hour) }, errs.Unauthenticated},
		"session":       {"Cookie", ByOperator, func(*standing, bundle) {}, ""},
		"ended session": {"Cookie", ByOperator, func(s *standing, _ bundle) { s.over = errs.New(errs.Unauthenticated, "ended") }, errs.Unauthenticated},
		"lesser role":   {"Cookie", ByOperator, func(s *standing, _ bundle) { s.role = "viewer" }, errs.Forbidden},
	} {
		s, later := &standing{role: auth.Operator}, error(nil)
		b := setup(t, Options{Apps: s, Sessions: s}, nil)
		b.g.router = router{Route{Name: "stream", Access: c.access, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if err := FromContext(r.Context()).Still(); err != nil {
				t.Errorf("%s at the beginning: %v", name, err)
			}
			c.then(s, b)
			later = FromContext(r.Context()).Still()
		})}}
		if err := b.g.Use(&Policy{Rule: func(string) Rule { return Rule{APIs: []string{"x"}} }}); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", "/stream", nil)
		r.Header.Set(c.header, "1")
		b.do(r)
		if errs.CodeOf(later) != c.want {
			t.Errorf("%s: %v, want %q", name, later, c.want)
		}
	}
}
