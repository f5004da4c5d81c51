package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"penstock/auth"
	"penstock/errs"
	"penstock/gateway"
	"penstock/partner"
)

// appsRoom has one app, app_1, with the client secret "s/1 +" and a signing secret.
type appsRoom struct{ *rooms }

func (r appsRoom) find(id string) (partner.App, error) {
	if id != "app_1" {
		return partner.App{}, errs.New(errs.NotFound, "no such app or secret")
	}
	return partner.App{ID: id, Name: "n", Enabled: true, APIs: []string{"sales.read"}, CreatedAt: start, Secrets: []partner.SecretInfo{
		{ID: "sk_2", Use: partner.Signing, CreatedAt: start}, {ID: "sk_1", Use: partner.Signing, CreatedAt: start, Until: start.Add(time.Hour)},
	}}, nil
}
func (r appsRoom) List(context.Context) ([]partner.App, error) {
	a, err := r.find("app_1")
	return []partner.App{a}, err
}
func (r appsRoom) Get(_ context.Context, id string) (partner.App, error) { return r.find(id) }
func (r appsRoom) act(what, who, id, why string) (partner.App, error) {
	r.note(what + " " + who + " " + why)
	return r.find(id)
}
func secretText() partner.Secret {
	return partner.Secret{SecretInfo: partner.SecretInfo{ID: "sk_2"}, Text: "pssk_new"}
}
func (r appsRoom) Create(_ context.Context, who string, d partner.Definition) (partner.App, []partner.Secret, error) {
	a, err := r.act(fmt.Sprint("app ", d), who, "app_1", "")
	return a, []partner.Secret{secretText()}, err
}
func (r appsRoom) Change(_ context.Context, who, id, why string, c partner.Change) (partner.App, error) {
	return r.act(fmt.Sprint("change ", *c.PerMinute, c.APIs), who, id, why)
}
func (r appsRoom) Delete(_ context.Context, who, id, why string) error {
	_, err := r.act("delete", who, id, why)
	return err
}
func (r appsRoom) Enable(_ context.Context, who, id, why string) (partner.App, error) {
	return r.act("enable", who, id, why)
}
func (r appsRoom) Disable(_ context.Context, who, id, why string) (partner.App, error) {
	return r.act("disable", who, id, why)
}
func (r appsRoom) Rotate(_ context.Context, who, id, why string, n partner.Rotation) (partner.App, partner.Secret, error) {
	a, err := r.act(fmt.Sprint("rotate ", n), who, id, why)
	return a, secretText(), err
}
func (r appsRoom) EndSecret(_ context.Context, who, id, secret, why string) (partner.App, error) {
	return r.act("end "+secret, who, id, why)
}
func (r appsRoom) Grant(id, secret, scope string) (partner.Grant, error) {
	switch {
	case id == "busy":
		return partner.Grant{}, errs.New(errs.ReducedCapacity, "later")
	case id != "app_1" || secret != "s/1 +":
		return partner.Grant{}, &partner.GrantError{Code: "invalid_client", Description: "no"}
	case scope == "too.much":
		return partner.Grant{}, &partner.GrantError{Code: "invalid_scope", Description: "no"}
	}
	return partner.Grant{Token: "t", Scopes: []string{"sales.read", "orders.read"}, Life: time.Hour}, nil
}

const app1 = "/admin/v1/apps/app_1"

// Every act on an app reaches its room with the operator's name and reason; a secret is in the answers that make one only, and
// nobody on the way may keep those.
func TestAppActs(t *testing.T) {
	t.Parallel()
	h := setup(t)
	for what, want := range map[string]string{
		`POST /admin/v1/apps {"name":"n","apis":["sales.read"],"sandbox":true,"perDay":7}`: "app {n  true [sales.read] 0 7} root ",
		`PATCH ` + app1 + ` {"perMinute":3,"apis":[],"reason":"r"}`:                        "change 3 [] root r",
		`DELETE ` + app1 + `?reason=r`:                                                     "delete root r",
		`POST ` + app1 + `/enable {"reason":"r"}`:                                          "enable root r",
		`POST ` + app1 + `/disable {"reason":"r"}`:                                         "disable root r",
		`POST ` + app1 + `/rotate {"use":"signing","reason":"r"}`:                          "rotate {signing 24h0m0s} root r",
		`POST ` + app1 + `/rotate {"use":"oauth2","overlapSeconds":0}`:                     "rotate {oauth2 0s} root ",
		`DELETE ` + app1 + `/secrets/sk_1?reason=r`:                                        "end sk_1 root r",
	} {
		w := h.ask(h.admin, "operator", what)
		if w.Code/100 != 2 || h.rooms.last() != want {
			t.Errorf("%s: %d, the room saw %q, want %q: %s", what, w.Code, h.rooms.last(), want, w.Body)
		}
		makes := strings.Contains(want, "rotate") || strings.HasPrefix(want, "app ")
		if strings.Contains(w.Body.String(), "pssk_") != makes || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v %s", what, w.Header(), w.Body)
		}
	}
	problem(t, h.ask(h.admin, "operator", "GET /admin/v1/apps/app_2"), errs.NotFound)
	problem(t, h.ask(h.admin, "operator", `POST `+app1+`/rotate {"use":"both"}`), errs.Invalid)
}

// The token call speaks OAuth2: credentials by HTTP Basic or in the form but not both, nothing twice, errors as RFC 6749 says,
// and no answer is kept on the way. Our own trouble is a problem like any other.
func TestTokenCall(t *testing.T) {
	t.Parallel()
	h := setup(t)
	form := header("Content-Type", "application/x-www-form-urlencoded")
	basic := func(text string) func(*http.Request) {
		return header("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(text)))
	}
	good, grant := basic("app_1:s%2F1+%2B"), "grant_type=client_credentials"
	for _, c := range []struct {
		body string
		edit func(*http.Request)
		want int
		code string
	}{
		{grant, good, 200, ""},
		{grant + "&client_id=app_1", good, 200, ""},
		{grant + "&client_id=app_1&client_secret=s%2F1+%2B", nil, 200, ""},
		{grant + "&client_id=app_1&client_secret=s", nil, 401, "invalid_client"},
		{grant + "&client_id=app_2", good, 401, "invalid_client"},
		{grant, nil, 401, "invalid_client"},
		{grant, basic("app_1"), 401, "invalid_client"},
		{grant, header("Authorization", "Basic !"), 401, "invalid_client"},
		{grant, header("Authorization", "Bearer "+h.tokens["user"]), 401, "invalid_client"},
		{grant + "&client_secret=s%2F1+%2B", good, 400, "invalid_request"},
		{grant + "&" + grant, good, 400, "invalid_request"},
		{grant + "&scope=a&scope=b", good, 400, "invalid_request"},
		{"scope=a", good, 400, "invalid_request"},
		{"grant_type=%zz", good, 400, "invalid_request"},
		{"grant_type=password", good, 400, "unsupported_grant_type"},
		{grant + "&scope=too.much", good, 400, "invalid_scope"},
		{grant, func(r *http.Request) { good(r); r.Header.Set("Content-Type", "application/json") }, 400, "invalid_request"},
		{grant, func(r *http.Request) { good(r); r.URL.RawQuery = "client_id=app_1" }, 400, "invalid_request"},
	} {
		edits := []func(*http.Request){form}
		if c.edit != nil {
			edits = append(edits, c.edit)
		}
		w := h.ask(h.public, "anonymous", "POST "+tokenPath+" "+c.body, edits...)
		var out struct {
			Error, Scope string
			Token        string `json:"access_token"`
			Type         string `json:"token_type"`
			Expires      int    `json:"expires_in"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || w.Code != c.want || out.Error != c.code || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s %v, want %d %s", c.body, w.Code, w.Body, w.Header(), c.want, c.code)
		}
		if (w.Header().Get("WWW-Authenticate") != "") != (c.want == 401) || c.want == 200 && (out.Token != "t" || out.Type != "Bearer" || out.Expires != 3600 || out.Scope != "sales.read orders.read") {
			t.Errorf("%s: %s %v", c.body, w.Body, w.Header())
		}
	}
	problem(t, h.ask(h.public, "anonymous", "POST "+tokenPath+" "+grant, form, basic("busy:x")), errs.ReducedCapacity)
	problem(t, h.ask(h.public, "anonymous", "GET "+tokenPath), errs.MethodNotAllowed)
}

// A sandbox app pays by the sandbox only; everybody else as the shop lets him.
func TestSandboxAppsPayBySandbox(t *testing.T) {
	t.Parallel()
	box, person := auth.Identity{User: "app:a", App: "a", Sandbox: true}, auth.Identity{User: "ann"}
	if err := allowMethod(box, "balance"); !errs.Is(err, errs.Forbidden) || allowMethod(box, "sandbox") != nil || allowMethod(person, "balance") != nil {
		t.Errorf("%v", err)
	}
	if err := gateway.AllowSale(box, "flash"); !errs.Is(err, errs.Forbidden) || gateway.AllowSale(box, "sandbox-1") != nil || gateway.AllowSale(person, "flash") != nil {
		t.Errorf("%v", err)
	}
}
