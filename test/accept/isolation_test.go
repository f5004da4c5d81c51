package accept

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var requestID = regexp.MustCompile(`"requestId":"[0-9a-f]+"`)

// Another user's order answers on every route exactly like one that does not exist: same status, same body, same headers.
func TestForeignOrderLooksLikeNone(t *testing.T) {
	t.Parallel()
	sale, u := shared.sale(t, definition(item(3, 3))), shared.tokens(t, unique("iso"), 2)
	foreign := shared.won(t, sale, u[0], 1)
	missing := foreign[:len(foreign)-1] + string('0'+('9'-foreign[len(foreign)-1]))
	for _, c := range []struct {
		method, path string
		body         any
	}{
		{"GET", "", nil}, {"POST", "/payments", obj{"method": "sandbox"}}, {"POST", "/cancellation", obj{}},
		{"POST", "/refunds", obj{"amount": 1}}, {"POST", "/refunds", obj{"returnStock": true}},
	} {
		look := func(id string) (int, string, string) {
			a := shared.public(c.method, "/v1/orders/"+id+c.path, u[1], c.body, "Idempotency-Key", "z")
			return a.status, requestID.ReplaceAllString(strings.ReplaceAll(string(a.body), id, "ID"), ""), a.header.Get("Content-Type")
		}
		status, body, kind := look(foreign)
		if noStatus, noBody, noKind := look(missing); status != 404 || status != noStatus || body != noBody || kind != noKind {
			t.Errorf("%s %s: foreign %d %s, missing %d %s", c.method, c.path, status, body, noStatus, noBody)
		}
	}
	if n := len(shared.public("GET", "/v1/orders", u[1], nil).json()["items"].([]any)); n != 0 {
		t.Errorf("the other user's list has %d orders, want none", n)
	}
	shared.reaches(t, foreign, u[0], "pending_payment")
}

// A token that this key ring did not sign as it stands opens nothing, on either listener.
func TestForgedTokensOpenNothing(t *testing.T) {
	t.Parallel()
	good := shared.token(t, unique("jwt"))
	part := strings.Split(good, ".")
	change := func(i int, with obj) string {
		raw, _ := base64.RawURLEncoding.DecodeString(part[i])
		var o obj
		if err := json.Unmarshal(raw, &o); err != nil {
			t.Fatal(err)
		}
		for k, v := range with {
			o[k] = v
		}
		out, _ := json.Marshal(o)
		return base64.RawURLEncoding.EncodeToString(out)
	}
	tail := part[1] + "." + part[2]
	for name, token := range map[string]string{
		"alg none, no signature": change(0, obj{"alg": "none"}) + "." + part[1] + ".",
		"alg none":               change(0, obj{"alg": "None"}) + "." + tail,
		"other alg":              change(0, obj{"alg": "HS256"}) + "." + tail,
		"path as key id":         change(0, obj{"kid": "../../keys.json"}) + "." + tail,
		"own key inside":         change(0, obj{"jwk": obj{"kty": "oct", "k": "AA"}}) + "." + tail,
		"other user":             part[0] + "." + change(1, obj{"sub": "someone"}) + "." + part[2],
		"role added":             part[0] + "." + change(1, obj{"role": "operator"}) + "." + part[2],
		"no signature":           part[0] + "." + part[1] + ".",
		"cut":                    good[:len(good)-4],
		"dots":                   "..",
	} {
		shared.public("GET", "/v1/orders", token, nil).is(t, name+", public", 401, "unauthenticated")
		shared.call("admin", "GET", "/admin/v1/sales", token, nil).is(t, name+", admin", 401, "unauthenticated")
	}
	shared.public("GET", "/v1/orders", "", nil).is(t, "no token", 401, "unauthenticated")
	shared.public("GET", "/v1/orders", good, nil, "Authorization", "Basic "+good).is(t, "basic", 401, "unauthenticated")
	shared.call("admin", "GET", "/admin/v1/sales", good, nil).is(t, "a buyer on the admin listener", 403, "forbidden")
	short := shared.token(t, "short", "--for", "1s")
	eventually(t, "an expired token is refused", func() error {
		if a := shared.public("GET", "/v1/orders", short, nil); a.problem() != "unauthenticated" {
			return fmt.Errorf("%v", a)
		}
		return nil
	})
}

// A pass speaks for its buyer in its own sale and nowhere above: not in another sale, not for operators, not for a new pass.
func TestPassIsForItsSaleOnly(t *testing.T) {
	t.Parallel()
	here, there, user := shared.sale(t, definition(item(3, 3))), shared.sale(t, definition(item(3, 3))), shared.token(t, unique("pass"))
	pass := shared.public("POST", "/v1/sales/"+here+"/pass", user, obj{}).is(t, "exchange", 200, "").text("pass")
	won := shared.attempt(here, pass, "k", one(1)).is(t, "here", 201, "")
	replay := shared.attempt(here, user, "k", one(1)).is(t, "same user by token", 201, "")
	if diff := cmp.Diff(won.text("order"), replay.text("order")); diff != "" {
		t.Errorf("pass and token are not the same user: %s", diff)
	}
	shared.attempt(there, pass, "k", one(1)).is(t, "there", 403, "forbidden")
	shared.public("POST", "/v1/sales/"+here+"/pass", pass, obj{}).is(t, "a pass for a pass", 403, "forbidden")
	shared.call("admin", "GET", "/admin/v1/sales", pass, nil).is(t, "admin", 403, "forbidden")
	shared.attempt(here, pass[:len(pass)-3]+"AAA", "k", one(1)).is(t, "forged", 401, "unauthenticated")
	boss := shared.public("POST", "/v1/sales/"+here+"/pass", shared.operator, obj{}).text("pass")
	shared.call("admin", "GET", "/admin/v1/sales", boss, nil).is(t, "an operator's pass", 403, "forbidden")
}

// Nothing of one listener answers on another.
func TestListenersAreApart(t *testing.T) {
	t.Parallel()
	home := map[string]string{
		"/v1/sales": "public", "/openapi.json": "public", "/problems/sold-out": "public", "/v1/orders": "public",
		"/admin/v1/sales": "admin", "/admin/v1/stock": "admin", "/admin/v1/export/claims": "admin", "/admin/v1/audit": "admin",
		"/metrics": "probe", "/health/live": "probe", "/health/ready": "probe", "/health/startup": "probe",
		"/debug/pprof/": "none of them, as it is switched off",
	}
	for path, where := range home {
		for _, listener := range []string{"public", "admin", "probe", "sandbox"} {
			want := 404
			if listener == where {
				want = 200
			}
			if a := shared.call(listener, "GET", path, shared.operator, nil); a.status != want {
				t.Errorf("%s on %s: %d, want %d", path, listener, a.status, want)
			}
		}
	}
	for _, path := range []string{"/v1/../admin/v1/sales", "//admin/v1/sales", "/..%2fadmin/v1/sales", "/%61dmin/v1/sales"} {
		shared.public("GET", path, shared.operator, nil).is(t, path, 404, "not-found")
	}
}
