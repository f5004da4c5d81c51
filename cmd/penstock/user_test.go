package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// Each subcommand of user and oidc makes the call that its words say, shows a secret that is shown once, and refuses what is
// missing before any call.
func TestUserCalls(t *testing.T) {
	t.Parallel()
	var seen, answers string
	h := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen = r.Method + " " + r.URL.RequestURI() + " " + string(body)
		_, _ = io.WriteString(w, answers)
	}
	const ann = `{"name":"ann","role":"viewer","password":"pass-word"}`
	for words, c := range map[string]struct{ answer, call, out string }{
		"user create ann --role viewer":           {ann, `POST /admin/v1/users {"display":"","email":"","name":"ann","password":"","role":"viewer"}`, "pass-word"},
		"user list":                               {`{"items":[` + ann + `]}`, "GET /admin/v1/users?limit=50 ", "viewer"},
		"user role ann --role support --reason r": {ann, `PATCH /admin/v1/users/ann {"reason":"r","role":"support"}`, "ann"},
		"user disable ann --reason left":          {ann, `PATCH /admin/v1/users/ann {"disabled":true,"reason":"left"}`, "ann"},
		"user enable ann":                         {ann, `PATCH /admin/v1/users/ann {"disabled":false,"reason":""}`, "ann"},
		"user password ann":                       {ann, `PUT /admin/v1/users/ann/password {"password":""}`, "pass-word"},
		"user totp ann":                           {`{"secret":"S","uri":"otpauth://x","recoveryCodes":["a-b"]}`, "PUT /admin/v1/users/ann/totp ", "otpauth://x"},
		"user totp ann --off --reason lost":       {"", `DELETE /admin/v1/users/ann/totp {"reason":"lost"}`, ""},
		"user logout ann":                         {`{"ended":3}`, `POST /admin/v1/users/ann/logout {"reason":""}`, "3"},
		"user sessions --user ann":                {`{"items":[{"id":"s1","user":"ann","methods":["pwd","otp"]}]}`, "GET /admin/v1/sessions?user=ann ", "pwd+otp"},
		"oidc list":                               {`{"items":[{"id":"crm"}]}`, "GET /admin/v1/oidc-clients ", "crm"},
		"oidc rotate crm --reason leak":           {`{"id":"crm","secret":"xyz"}`, `POST /admin/v1/oidc-clients/crm/rotate {"reason":"leak"}`, "xyz"},
		"oidc delete crm --reason gone":           {"", "DELETE /admin/v1/oidc-clients/crm?reason=gone ", "crm is deleted"},
		"oidc delete crm --json":                  {"", "DELETE /admin/v1/oidc-clients/crm?reason= ", `"deleted": "crm"`},
		"oidc keys":                               {`{"keys":["k1"]}`, `POST /admin/v1/oidc-keys/rotate {"reason":""}`, "k1"},
		"oidc create crm --redirect https://a/cb": {`{"id":"crm","secret":"xyz"}`,
			`POST /admin/v1/oidc-clients {"id":"crm","idTokenAlg":"RS256","name":"crm","postLogoutRedirectUris":[],"public":false,"redirectUris":["https://a/cb"],"roles":[]}`, "xyz"},
	} {
		seen, answers = "", c.answer
		code, out, stderr := operate(t, h, strings.Fields(words)...)
		if code != 0 || seen != c.call || !strings.Contains(out, c.out) {
			t.Errorf("%s: exit code %d %s, called %q, said %q", words, code, stderr, seen, out)
		}
	}
	for _, words := range []string{"user create ann", "user create ann --role root", "user role ann", "user disable", "oidc create crm", "user create ann --role viewer --password-stdin"} {
		seen = ""
		if code, _, _ := operate(t, h, strings.Fields(words)...); code != 2 || seen != "" {
			t.Errorf("%s: exit code %d, called %q", words, code, seen)
		}
	}
}
