package api

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"penstock/gateway"
	"penstock/partner"
)

const tokenPath = "/oauth2/token"

// tokenForm is the body of a token call; RFC 6749 wants it as a form.
type tokenForm struct {
	GrantType    string `json:"grant_type" enum:"client_credentials"`
	Scope        string `json:"scope,omitempty" doc:"names of APIs, separated by spaces; all that the app was given when left out"`
	ClientID     string `json:"client_id,omitempty" doc:"unless sent by HTTP Basic"`
	ClientSecret string `json:"client_secret,omitempty" doc:"unless sent by HTTP Basic"`
}

// tokenAnswer is RFC 6749, section 5.1.
type tokenAnswer struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type" enum:"Bearer"`
	ExpiresIn   int64  `json:"expires_in" doc:"seconds"`
	Scope       string `json:"scope"`
}

// tokenProblem is RFC 6749, section 5.2: what OAuth2 clients understand instead of a problem object.
type tokenProblem struct {
	Error       string `json:"error" enum:"invalid_request,invalid_client,invalid_scope,unauthorized_client,unsupported_grant_type"`
	Description string `json:"error_description,omitempty"`
}

// oauthCalls adds the token call. Its form of body and of errors is not ours to choose, so it is a plain handler.
func (s *surface) oauthCalls() {
	s.handle("POST "+tokenPath, gateway.ByAnyone, s.grantToken)
	schemas := s.api.OpenAPI().Components.Schemas
	body := func(media string, v any) map[string]*huma.MediaType {
		return map[string]*huma.MediaType{media: {Schema: schemas.Schema(reflect.TypeOf(v), true, "")}}
	}
	s.api.OpenAPI().AddOperation(&huma.Operation{
		OperationID: "grant-token", Method: http.MethodPost, Path: tokenPath, Tags: []string{"apps"},
		Summary:     "Get a token for an app (OAuth2 client credentials)",
		Description: "RFC 6749, section 4.4. The app sends its id and secret by HTTP Basic or in the form. Errors are those of section 5.2, not problems.",
		RequestBody: &huma.RequestBody{Required: true, Content: body("application/x-www-form-urlencoded", tokenForm{})},
		Responses: map[string]*huma.Response{
			"200":     {Description: "A bearer token.", Content: body("application/json", tokenAnswer{})},
			"400":     {Description: "A request that cannot be granted.", Content: body("application/json", tokenProblem{})},
			"401":     {Description: "Not the id and secret of an app.", Content: body("application/json", tokenProblem{})},
			"default": problemResponse("A problem; its type says which."),
		},
	})
}

func (s *surface) grantToken(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
	form, refused := readForm(r)
	if refused != nil {
		refuseGrant(w, refused)
		return
	}
	id, secret, refused := client(r, form)
	if refused != nil {
		refuseGrant(w, refused)
		return
	}
	g, err := s.d.Apps.Grant(id, secret, form.Get("scope"))
	if refused, ok := errors.AsType[*partner.GrantError](err); ok {
		refuseGrant(w, refused)
		return
	}
	if err != nil {
		fail(r, err)
		return
	}
	answer(w, http.StatusOK, tokenAnswer{g.Token, "Bearer", int64(g.Life.Seconds()), strings.Join(g.Scopes, " ")})
}

func answer(w http.ResponseWriter, status int, v any) {
	text, _ := json.Marshal(v) // always has a JSON form
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n'))
}

// readForm reads the body, in which nothing may stand twice.
func readForm(r *http.Request) (url.Values, *partner.GrantError) {
	bad := func(what string) (url.Values, *partner.GrantError) {
		return nil, &partner.GrantError{Code: "invalid_request", Description: what}
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" || r.URL.RawQuery != "" {
		return bad("send the parameters as application/x-www-form-urlencoded in the body, and none in the URL")
	}
	if err := r.ParseForm(); err != nil {
		return bad("the form cannot be read")
	}
	for name, v := range r.PostForm {
		if len(v) > 1 {
			return bad("the parameter " + printableName(name) + " occurs twice")
		}
	}
	switch r.PostForm.Get("grant_type") {
	case "client_credentials":
		return r.PostForm, nil
	case "":
		return bad("grant_type is missing")
	}
	return nil, &partner.GrantError{Code: "unsupported_grant_type", Description: "grant_type must be client_credentials"}
}

// printableName is a name as an error may repeat it: RFC 6749 allows few characters.
func printableName(s string) string {
	for i := range len(s) {
		if c := s[i]; (c|0x20 < 'a' || c|0x20 > 'z') && c != '_' {
			return "in question"
		}
	}
	return s[:min(len(s), 40)]
}

// client reads who asks, by one way and not by both.
func client(r *http.Request, form url.Values) (id, secret string, refused *partner.GrantError) {
	header := r.Header["Authorization"]
	if len(header) == 0 {
		if !form.Has("client_id") || !form.Has("client_secret") {
			return "", "", &partner.GrantError{Code: "invalid_client", Description: "send client_id and client_secret, by HTTP Basic or in the form"}
		}
		return form.Get("client_id"), form.Get("client_secret"), nil
	}
	if form.Has("client_secret") {
		return "", "", &partner.GrantError{Code: "invalid_request", Description: "send the secret by HTTP Basic or in the form, not both"}
	}
	id, secret, ok := basic(header)
	if !ok || form.Has("client_id") && form.Get("client_id") != id {
		return "", "", &partner.GrantError{Code: "invalid_client", Description: "the Authorization header is not HTTP Basic with client id and secret"}
	}
	return id, secret, nil
}

// basic reads HTTP Basic whose two parts are form-encoded, as RFC 6749, section 2.3.1 says.
func basic(header []string) (id, secret string, ok bool) {
	scheme, text, _ := strings.Cut(header[0], " ")
	raw, err := base64.StdEncoding.DecodeString(text)
	name, pass, colon := strings.Cut(string(raw), ":")
	if len(header) != 1 || !strings.EqualFold(scheme, "Basic") || err != nil || !colon {
		return "", "", false
	}
	id, err1 := url.QueryUnescape(name)
	secret, err2 := url.QueryUnescape(pass)
	return id, secret, err1 == nil && err2 == nil
}

func refuseGrant(w http.ResponseWriter, e *partner.GrantError) {
	status := http.StatusBadRequest
	if e.Code == "invalid_client" {
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Basic realm="penstock", charset="UTF-8"`)
	}
	answer(w, status, tokenProblem{e.Code, e.Description})
}
