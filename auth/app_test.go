package auth

import (
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"penstock/errs"
)

// An app's token says which app, for which APIs and by which secret; nobody becomes an app by his name, no app gets a role, and
// no app gets a pass, which would outlive the app.
func TestAppsAreNotPeople(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	end := start.Add(time.Hour)
	text, err := b.ring.Sign(Claims{User: "app:a1", App: "a1", Scopes: "sales.read orders.write", Secret: "cs_1", Expires: end})
	if err != nil {
		t.Fatal(err)
	}
	want := Identity{User: "app:a1", App: "a1", Scopes: "sales.read orders.write", Secret: "cs_1", Expires: end}
	for range 2 { // cold, then remembered
		if id, err := b.ring.Verify(text); err != nil || !id.Expires.Equal(end) || id.User != want.User || id.App != want.App || id.Scopes != want.Scopes || id.Secret != want.Secret || id.Sandbox {
			t.Errorf("%+v, %v", id, err)
		}
	}
	for _, c := range []Claims{{User: "app:a1"}, {User: "app:a1", App: "a2"}, {User: "ann", App: "a1"}, {User: "app:a1", App: "a1", Role: Operator}, {User: "app:"}} {
		c.Expires = end
		if _, err := b.ring.Sign(c); err == nil {
			t.Errorf("signed %+v", c)
		}
	}
	k := b.ring.set.Load().signer
	m := map[string]any{"kid": k.Kid}
	for _, claims := range []map[string]any{
		{"sub": "app:a1"}, {"sub": "ann", "client_id": "a1"}, {"sub": "app:a1", "client_id": "a2"}, {"sub": "app:a1", "client_id": "a1", "role": "operator"},
	} {
		claims["exp"] = end.Unix()
		if id, err := b.ring.Verify(forge(t, jwt.SigningMethodEdDSA, k.private, m, claims)); !errs.Is(err, errs.Unauthenticated) {
			t.Errorf("%v is %+v, %v", claims, id, err)
		}
	}
	if _, err := b.ring.MintPass("app:a1", "flash", start, time.Minute); !errs.Is(err, errs.Forbidden) {
		t.Errorf("a pass for an app: %v", err)
	}
}
