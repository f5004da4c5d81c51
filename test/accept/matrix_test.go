package accept

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// caller is somebody who calls, by what he proves himself with.
type caller struct {
	name, token string
	cookies     *http.Client // a browser that has logged in; nil for tokens
	cross       bool         // the browser says that another site's page calls
	rank        int          // of a back-office role, 0 for none
	dead        bool         // disabled
	app         bool
	pass, stray bool
	owner       bool
}

// matrix is a server with somebody's things on it, and everybody who may ask for them.
type matrix struct {
	*server
	t       *testing.T
	callers []caller
	names   map[string]string // of places in paths, to what is there
	boss    string
}

var ranks = []kind{"", viewer, support, agent, chief}

// Each call of the published document, on both listeners, by each kind of caller: the table says who gets in, and a call without a
// row in it fails. What belongs to another is answered exactly like what does not exist.
func TestAccessOfEveryCall(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	table := rights()
	cells, wrong := 0, 0
	for _, op := range m.document() {
		r, ok := table[op]
		if !ok {
			t.Errorf("the table of rights has no row for %s", op)
			continue
		}
		for _, c := range m.callers {
			cells++
			if why := m.cell(op, r, c); why != "" {
				wrong++
				t.Errorf("%s by %s: %s", op, c.name, why)
			}
		}
		if r.kind == owned || r.kind == ownedInSale {
			m.looksMissing(op, r)
		}
		delete(table, op)
	}
	for op := range table {
		t.Errorf("the table of rights has a row for %s, which the document has not", op)
	}
	t.Logf("measured: %d cells, %d wrong", cells, wrong)
}

// document lists the calls: those that destroy come last.
func (m *matrix) document() []string {
	m.t.Helper()
	var doc struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(m.public("GET", "/openapi.json", "", nil).body, &doc); err != nil {
		m.t.Fatal(err)
	}
	var all []string
	for path, methods := range doc.Paths {
		for method := range methods {
			all = append(all, strings.ToUpper(method)+" "+path)
		}
	}
	slices.SortFunc(all, func(a, b string) int {
		last := func(s string) int {
			if strings.HasPrefix(s, "DELETE") || strings.HasSuffix(s, "/cancellation") {
				return 1
			}
			return 0
		}
		if d := last(a) - last(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	if len(all) < 100 {
		m.t.Fatalf("the document has %d calls only", len(all))
	}
	return all
}

// want is the problem that the caller has to be refused with; "" means that he gets in.
func (r right) want(op string, c caller) string {
	method, path, _ := strings.Cut(op, " ")
	rank := slices.Index(ranks, r.kind)
	if rank > 0 {
		switch {
		case c.dead || c.token == "" && c.cookies == nil:
			return "unauthenticated"
		case c.cross && method != "GET" || c.rank < rank:
			return "forbidden"
		}
		return ""
	}
	switch {
	case r.kind == open:
		return ""
	case c.dead || c.token == "":
		return "unauthenticated"
	case c.app && r.api == "":
		return "forbidden"
	case c.stray && (r.kind == inSale || r.kind == ownedInSale):
		return "forbidden"
	case (c.pass || c.stray) && strings.HasSuffix(path, "/pass"):
		return "forbidden" // a pass does not make passes
	case (r.kind == owned || r.kind == ownedInSale) && !c.owner:
		return "not-found"
	}
	return ""
}

// cell makes one call and says what is wrong with its answer.
func (m *matrix) cell(op string, r right, c caller) string {
	if c.cookies != nil && !strings.Contains(op, " /admin/") {
		return "" // cookies are the admin listener's
	}
	got := m.ask(op, r, c, nil)
	if got.err != nil {
		return got.err.Error()
	}
	want := r.want(op, c)
	problem := got.problem()
	switch {
	case got.status >= 500:
		return got.String()
	case want != "" && problem != want:
		return fmt.Sprintf("want %s, got %v", want, got)
	case want == "" && r.kind != open && (problem == "unauthenticated" || problem == "forbidden"):
		return fmt.Sprintf("want him in, got %v", got)
	case want == "" && (r.kind == owned || r.kind == ownedInSale) && got.status == http.StatusNotFound:
		return fmt.Sprintf("his own is not found: %v", got)
	}
	return ""
}

var place = regexp.MustCompile(`\{[a-z]+\}`)

// path fills the places of a path with the owner's things, but for those that other names.
func (m *matrix) path(pattern string, other map[string]string) string {
	names := map[string]string{}
	for k, v := range m.names {
		names[k] = v
	}
	switch {
	case strings.Contains(pattern, "/line"):
		names["{sale}"], names["{entry}"] = m.names["line sale"], m.names["line entry"]
	case strings.Contains(pattern, "/waiting"):
		names["{sale}"] = m.names["waiting sale"]
	}
	for k, v := range other {
		names[k] = v
	}
	return place.ReplaceAllStringFunc(pattern, func(p string) string {
		if v, ok := names[p]; ok {
			return url.PathEscape(v)
		}
		return "x1"
	})
}

// ask makes the call. Of a stream the header is enough.
func (m *matrix) ask(op string, r right, c caller, other map[string]string) answer {
	method, pattern, _ := strings.Cut(op, " ")
	listener := "public"
	if strings.HasPrefix(pattern, "/admin/") {
		listener = "admin"
	}
	req, err := http.NewRequestWithContext(m.t.Context(), method, "http://"+m.address(listener)+m.path(pattern, other), strings.NewReader(r.body))
	if err != nil {
		return answer{err: err}
	}
	req.Header.Set("Content-Type", "application/json")
	if strings.HasPrefix(r.body, "grant") {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.Header.Set("Idempotency-Key", fmt.Sprintf("%q", unique("m")))
	by := client
	if c.cookies != nil {
		by = c.cookies
		req.Header.Set("Sec-Fetch-Site", map[bool]string{true: "cross-site", false: "same-origin"}[c.cross])
	} else if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := by.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer res.Body.Close()
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		return answer{status: res.StatusCode, header: res.Header}
	}
	body, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, body, err}
}

// looksMissing compares the answer about the owner's thing with that about one that is not there.
func (m *matrix) looksMissing(op string, r right) {
	m.t.Helper()
	missing := map[string]string{"{order}": "1", "{key}": "no-such-key", "{entry}": "1"}
	if strings.Contains(op, "/line") {
		missing["{entry}"] = strings.Repeat("1", len(m.names["line entry"]))
	}
	instance := regexp.MustCompile(`"(instance|requestId)":"[^"]*"`)
	_, pattern, _ := strings.Cut(op, " ")
	asked := func(other map[string]string) string { // the last place is what is asked for
		places := place.FindAllString(pattern, -1)
		last := places[len(places)-1]
		if v := other[last]; v != "" {
			return v
		}
		if last == "{entry}" && strings.Contains(op, "/line") {
			return m.names["line entry"]
		}
		return m.names[last]
	}
	plain := func(a answer, id string) string {
		a.body = []byte(strings.ReplaceAll(strings.ReplaceAll(string(a.body), " "+id, " ID"), `\"`+id+`\"`, "ID"))
		names := make([]string, 0, len(a.header))
		for name, v := range a.header {
			if name != "Date" && name != "X-Request-Id" && name != "X-Trace-Id" && name != "Content-Length" {
				names = append(names, fmt.Sprint(name, v))
			}
		}
		slices.Sort(names)
		return fmt.Sprint(a.status, names, instance.ReplaceAllString(string(a.body), ""))
	}
	for _, c := range m.callers {
		if c.name != "other" && (c.name != "other app" || r.api == "") {
			continue
		}
		theirs, none := plain(m.ask(op, r, c, nil), asked(nil)), plain(m.ask(op, r, c, missing), asked(missing))
		if theirs != none {
			m.t.Errorf("%s by %s tells that it exists:\n%s\n%s", op, c.name, theirs, none)
		}
	}
}

func newMatrix(t *testing.T) *matrix {
	t.Helper()
	m := &matrix{server: ownMatrix(t), t: t, names: map[string]string{"{provider}": "sandbox", "{name}": "orders", "{currency}": "EUR"}}
	owner, other := m.token(t, "owner"), m.token(t, "other")
	m.boss = m.token(t, "boss", "--role", "admin")
	sale := m.sale(t, definition(item(100, 50)))
	m.names["{sale}"], m.names["{key}"] = sale, "mine"
	won := m.attempt(sale, owner, "mine", one(1)).is(t, "buy", 201, "")
	m.names["{order}"] = won.text("order")
	m.reaches(t, m.names["{order}"], owner, "pending_payment")

	d := definition(item(1, 5))
	d["waitingList"] = true
	m.names["waiting sale"] = m.sale(t, d)
	m.won(t, m.names["waiting sale"], other, 1)
	m.names["{entry}"] = m.public("POST", "/v1/sales/"+m.names["waiting sale"]+"/waiting", owner, one(1), "Idempotency-Key", `"w"`).is(t, "wait", 201, "").text("entry")
	d = definition(item(100, 50))
	d["admission"] = "line"
	m.names["line sale"] = m.sale(t, d)
	m.names["line entry"] = m.public("POST", "/v1/sales/"+m.names["line sale"]+"/line", owner, obj{"sku": "a"}).is(t, "join", 201, "").text("entry")

	pass := func(of string) string {
		return m.public("POST", "/v1/sales/"+of+"/pass", owner, nil).is(t, "pass", 200, "").text("pass")
	}
	live, dead := m.newApp("one"), m.newApp("two")
	m.admin("POST", "/admin/v1/apps/"+dead.id+"/disable", obj{"reason": "r"}).is(t, "disable", 200, "")
	person, gone := m.login("vera", "operator"), m.login("gone", "admin")
	m.call("admin", "PATCH", "/admin/v1/users/gone", m.boss, obj{"disabled": true, "reason": "left"}).is(t, "disable", 200, "")
	eventually(t, "the app is disabled", func() error {
		if a := m.public("GET", "/v1/orders", dead.token, nil); a.status != 401 {
			return fmt.Errorf("it answers %v", a)
		}
		return nil
	})
	m.callers = []caller{
		{name: "anonymous"}, {name: "other", token: other}, {name: "other app", token: live.token, app: true}, {name: "disabled app", token: dead.token, app: true, dead: true},
		{name: "forged token", token: owner[:len(owner)-4] + "AAAA", dead: true}, {name: "pass of another sale", token: pass(m.sale(t, definition(item(1, 1)))), stray: true, owner: true},
		{name: "disabled person", cookies: gone, dead: true}, {name: "person on another site's page", cookies: person, cross: true, rank: 3}, {name: "person", cookies: person, rank: 3},
	}
	for rank, role := range []string{"", "viewer", "support", "operator", "admin"} {
		if role != "" {
			m.callers = append(m.callers, caller{name: role, token: m.token(t, "staff-"+role, "--role", role), rank: rank})
		}
	}
	m.callers = append(m.callers, caller{name: "owner", token: owner, owner: true})
	return m
}

// ownMatrix is a server of one's own without quotas.
func ownMatrix(t *testing.T) *server {
	t.Helper()
	return own(t, append(quotasOff, "PENSTOCK_LIMITS_API=off")...)
}

type partnerApp struct{ id, token string }

// newApp makes an app that may call every API, with a token.
func (m *matrix) newApp(name string) partnerApp {
	m.t.Helper()
	a := m.admin("POST", "/admin/v1/apps", obj{"name": name, "apis": []string{"sales.read", "orders.read", "orders.write", "payments.write", "balance.read"}}).is(m.t, "make an app", 201, "")
	var made struct {
		ID      string
		Secrets []struct{ Use, Secret string }
	}
	if err := json.Unmarshal(a.body, &made); err != nil {
		m.t.Fatal(err)
	}
	secret := ""
	for _, s := range made.Secrets {
		if s.Use == "oauth2" {
			secret = s.Secret
		}
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {made.ID}, "client_secret": {secret}}
	token := m.public("POST", "/oauth2/token", "", []byte(form.Encode()), "Content-Type", "application/x-www-form-urlencoded").is(m.t, "token", 200, "").text("access_token")
	return partnerApp{made.ID, token}
}

// login makes a person of the back office and a browser that has logged in as that person.
func (m *matrix) login(name, role string) *http.Client {
	m.t.Helper()
	password := m.call("admin", "POST", "/admin/v1/users", m.boss, obj{"name": name, "role": role}).is(m.t, "make a person", 201, "").text("password")
	jar, err := cookiejar.New(nil)
	if err != nil {
		m.t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, CheckRedirect: client.CheckRedirect, Timeout: client.Timeout}
	at := "http://" + m.address("admin")
	res, err := browser.Get(at + "/login")
	if err != nil {
		m.t.Fatal(err)
	}
	page, err := io.ReadAll(res.Body)
	res.Body.Close()
	csrf := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindSubmatch(page)
	if err != nil || csrf == nil {
		m.t.Fatalf("no form: %s", page)
	}
	res, err = browser.PostForm(at+"/login", url.Values{"csrf": {string(csrf[1])}, "step": {"password"}, "name": {name}, "password": {password}})
	if err != nil {
		m.t.Fatal(err)
	}
	res.Body.Close()
	for _, c := range res.Cookies() {
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" {
			m.t.Errorf("the cookie %s lacks an attribute: %v", c.Name, c.Raw)
		}
	}
	if res.StatusCode != http.StatusSeeOther {
		m.t.Fatalf("login: %d", res.StatusCode)
	}
	return browser
}
