package partner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock/errs"
	"penstock/internal/clock"
	"penstock/internal/engines"
	"penstock/partner/signature"
)

// Everything holds on an embedded file.
func TestOnSQLite(t *testing.T) {
	t.Parallel()
	conformance(t, onSQLite())
}

// Everything holds on a database that processes share.
func TestOnMySQL(t *testing.T) {
	t.Parallel()
	server := engines.MariaDB(t)
	conformance(t, onMySQL(server))
	t.Run("revoked everywhere", func(t *testing.T) { t.Parallel(); revokedEverywhere(t, onMySQL(server)) })
	t.Run("store gone", func(t *testing.T) { storeGone(t, engines.MariaDB(t)) })
}

func conformance(t *testing.T, e engine) {
	for name, test := range map[string]func(*testing.T, engine){
		"signatures": signatures, "replay": replay, "rotation": rotation, "tokens": tokens, "permissions": permissions, "life": life,
		"secrets stay hidden": hidden, "reopen": reopen, "prune": prune, "invalid": invalid,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, e) })
	}
}

// signatures: a signed call speaks for its app; whatever part of it is altered, whoever else signs it and however far its clock is
// off, it is refused, and a refusal does not use up the nonce.
func signatures(t *testing.T, e engine) {
	w := newWorld(t, e, clock.NewFake(noon))
	a, b := w.create("orders.write"), w.create("orders.write")
	c := buy()
	at := func(d time.Duration) func(*signature.Input) {
		return func(in *signature.Input) { in.Created = noon.Add(d).Unix() }
	}
	for name, bad := range map[string]func(r *http.Request) (body string){
		"method": func(r *http.Request) string { r.Method = "PUT"; return c.body },
		"path":   func(r *http.Request) string { r.URL.Path = "/v1/sales/t/attempts"; return c.body },
		"path spelling": func(r *http.Request) string {
			r.URL.Path, r.URL.RawPath = "/v1/sales/s/attempts", "/v1/sales/%73/attempts"
			return c.body
		},
		"query":          func(r *http.Request) string { r.URL.RawQuery = "trace=2&x=%2F"; return c.body },
		"query spelling": func(r *http.Request) string { r.URL.RawQuery = "trace=1&x=/"; return c.body },
		"query gone":     func(r *http.Request) string { r.URL.RawQuery = ""; return c.body },
		"authority":      func(r *http.Request) string { r.Host = "other.example.com"; return c.body },
		"body":           func(r *http.Request) string { return `{"sku":"tea","quantity":9}` },
		"body gone":      func(r *http.Request) string { return "" },
		"digest and body": func(r *http.Request) string {
			r.Header.Set("Content-Digest", signature.Digest([]byte("{}")))
			return "{}"
		},
		"digest gone":     func(r *http.Request) string { r.Header.Del("Content-Digest"); return c.body },
		"key header":      func(r *http.Request) string { r.Header.Set("Idempotency-Key", `"k-2"`); return c.body },
		"key twice":       func(r *http.Request) string { r.Header.Add("Idempotency-Key", `"k-2"`); return c.body },
		"key gone":        func(r *http.Request) string { r.Header.Del("Idempotency-Key"); return c.body },
		"media type":      func(r *http.Request) string { r.Header.Set("Content-Type", "text/plain"); return c.body },
		"uncovered field": func(r *http.Request) string { r.Header.Set("If-Match", `"1"`); return c.body },
		"bearer too":      func(r *http.Request) string { r.Header.Set("Authorization", "Bearer x"); return c.body },
		"two signatures":  func(r *http.Request) string { r.Header.Add("Signature", r.Header.Get("Signature")); return c.body },
		"no signature":    func(r *http.Request) string { r.Header.Del("Signature"); return c.body },
		"other key id": func(r *http.Request) string {
			r.Header.Set("Signature-Input", strings.Replace(r.Header.Get("Signature-Input"), a.signing.ID, b.signing.ID, 1))
			return c.body
		},
		"other nonce": func(r *http.Request) string {
			r.Header.Set("Signature-Input", strings.Replace(r.Header.Get("Signature-Input"), `nonce="`, `nonce="A`, 1))
			return c.body
		},
	} {
		r := w.signed(c, a.signing)
		body := bad(r)
		if who, err := w.verify(r, body); !errs.Is(err, errs.BadSignature) {
			t.Errorf("%s: %+v, %v", name, who, err)
		}
	}
	for name, r := range map[string]*http.Request{
		"another app's secret": w.signed(c, Secret{SecretInfo{ID: a.signing.ID}, b.signing.Text}),
		"a client secret":      w.signed(c, a.client),
		"unknown key":          w.signed(c, Secret{SecretInfo{ID: "sk_none"}, a.signing.Text}),
		"5 min and 1 s late":   w.signed(c, a.signing, at(-Tolerance-time.Second)),
		"5 min and 1 s early":  w.signed(c, a.signing, at(Tolerance+time.Second)),
		"expired":              w.signed(c, a.signing, func(in *signature.Input) { in.Expires = noon.Unix() }),
		"too little covered":   w.signed(c, a.signing, func(in *signature.Input) { in.Components = []string{"@method", "@path", "@authority"} }),
		"short nonce":          w.signed(c, a.signing, func(in *signature.Input) { in.Nonce = "short" }),
		"other algorithm":      w.signed(c, a.signing, func(in *signature.Input) { in.Alg = "rsa-v1_5-sha256" }),
	} {
		if who, err := w.verify(r, c.body); !errs.Is(err, errs.BadSignature) {
			t.Errorf("%s: %+v, %v", name, who, err)
		}
	}
	good := w.signed(c, a.signing)
	if _, err := w.verify(good, "altered"); !errs.Is(err, errs.BadSignature) {
		t.Errorf("altered: %v", err)
	}
	for _, r := range []*http.Request{good, w.signed(c, a.signing, at(-Tolerance)), w.signed(c, a.signing, at(Tolerance)), w.signed(c, a.signing, func(in *signature.Input) { in.Expires = noon.Unix() + 1; in.Tag = "x"; in.Label = "mine" })} {
		who, err := w.verify(r, c.body)
		if err != nil || who.User != "app:"+a.ID || who.App != a.ID || who.Role != "" || who.Secret != a.signing.ID || who.Sandbox {
			t.Errorf("%+v, %v", who, err)
		}
	}
	if r := w.signed(call{method: "GET", target: "/"}, a.signing); !w.Signed(r) || w.Signed(call{method: "GET", target: "/"}.request()) {
		t.Error("what is signed is not told from what is not")
	}
}

// replay: of many copies of one signed request sent at once, one is taken, and none later.
func replay(t *testing.T, e engine) {
	fake := clock.NewFake(noon)
	w := newWorld(t, e, fake)
	a := w.create("orders.write")
	c := buy()
	r := w.signed(c, a.signing, func(in *signature.Input) { in.Created += 290 })
	var taken, refused atomic.Int64
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			switch _, err := w.verify(r, c.body); {
			case err == nil:
				taken.Add(1)
			case errs.Is(err, errs.BadSignature):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if taken.Load() != 1 || refused.Load() != 19 {
		t.Errorf("%d taken, %d refused of 20 copies", taken.Load(), refused.Load())
	}
	for range 58 { // until the signature is too old by itself
		fake.Advance(10 * time.Second)
		check(t, w.refresh(t.Context()))
		if _, err := w.verify(r, c.body); !errs.Is(err, errs.BadSignature) {
			t.Fatalf("a copy was taken later: %v", err)
		}
	}
	other := w.create("orders.write")
	if _, err := w.verify(w.signed(c, other.signing, func(in *signature.Input) { in.Nonce = "0123456789abcdef" }), c.body); err != nil {
		t.Error(err)
	}
	if _, err := w.verify(w.signed(c, a.signing, func(in *signature.Input) { in.Nonce = "0123456789abcdef" }), c.body); err != nil {
		t.Errorf("two apps may have one nonce: %v", err)
	}
}

// rotation: through the overlap both secrets are good, each with its id and end; afterwards the new one alone. A third secret ends
// the first, and an overlap of zero ends every other at once.
func rotation(t *testing.T, e engine) {
	fake := clock.NewFake(noon)
	w := newWorld(t, e, fake)
	a := w.create("orders.write")
	good := func(s Secret) bool {
		_, err := w.verify(w.signed(buy(), s), buy().body)
		if err != nil && !errs.Is(err, errs.BadSignature) {
			t.Fatal(err)
		}
		return err == nil
	}
	grants := func(s Secret) bool { _, err := w.Grant(a.ID, s.Text, ""); return err == nil }
	for use, uses := range map[Use]func(Secret) bool{Signing: good, OAuth2: grants} {
		first := map[Use]Secret{Signing: a.signing, OAuth2: a.client}[use]
		app, second, err := w.Rotate(t.Context(), "op", a.ID, "r", Rotation{use, time.Hour})
		check(t, err)
		var ends []string
		for _, s := range app.Secrets {
			if s.Use == use {
				ends = append(ends, fmt.Sprint(s.ID, s.Until.IsZero() || s.Until.Equal(w.clock.Now().Add(time.Hour))))
			}
		}
		if len(ends) != 2 || !uses(first) || !uses(second) {
			t.Errorf("%s: during the overlap %v: %v %v", use, ends, uses(first), uses(second))
		}
		_, third, err := w.Rotate(t.Context(), "op", a.ID, "r", Rotation{use, time.Hour})
		check(t, err)
		if uses(first) || !uses(second) || !uses(third) {
			t.Errorf("%s: after a third: %v %v %v", use, uses(first), uses(second), uses(third))
		}
		fake.Advance(time.Hour)
		check(t, w.refresh(t.Context()))
		if uses(second) || !uses(third) {
			t.Errorf("%s: after the overlap: %v %v", use, uses(second), uses(third))
		}
		_, fourth, err := w.Rotate(t.Context(), "op", a.ID, "r", Rotation{use, 0})
		check(t, err)
		if uses(third) || !uses(fourth) {
			t.Errorf("%s: without overlap: %v %v", use, uses(third), uses(fourth))
		}
		if _, err = w.EndSecret(t.Context(), "op", a.ID, fourth.ID, "r"); err != nil || uses(fourth) {
			t.Errorf("%s: ended: %v", use, err)
		}
		if _, err = w.EndSecret(t.Context(), "op", a.ID, fourth.ID, "r"); !errs.Is(err, errs.NotFound) {
			t.Errorf("%s: ended twice: %v", use, err)
		}
	}
}

// tokens: a client secret gets a token for the APIs asked for, and dies with its secret, its app, or the permission.
func tokens(t *testing.T, e engine) {
	fake := clock.NewFake(noon)
	w := newWorld(t, e, fake)
	a, other := w.create("sales.read", "orders.read"), w.create("sales.read")
	bearers := w.Bearers(w.ring)
	refused := func(code string, id, secret, scope string) {
		t.Helper()
		if g, err := w.Grant(id, secret, scope); err == nil || !strings.HasPrefix(err.Error(), code+": ") {
			t.Errorf("granted %v, %v; want %s", g, err, code)
		}
	}
	refused("invalid_client", a.ID, other.client.Text, "")
	refused("invalid_client", "app_none", a.client.Text, "")
	refused("invalid_client", a.ID, a.signing.Text, "")
	refused("invalid_client", a.ID, "", "")
	refused("invalid_client", "", "", "")
	refused("invalid_scope", a.ID, a.client.Text, "sales.read orders.write")
	refused("invalid_scope", a.ID, a.client.Text, "openid")
	g, err := w.Grant(a.ID, a.client.Text, "sales.read")
	check(t, err)
	who, err := bearers.Verify(g.Token)
	if err != nil || who.User != "app:"+a.ID || who.App != a.ID || who.Scopes != "sales.read" || g.Life != time.Hour {
		t.Fatalf("%+v %v %v", who, g.Life, err)
	}
	if err := w.Permit(who, "sales.read"); err != nil {
		t.Error(err)
	}
	if err := w.Permit(who, "orders.read"); !errs.Is(err, errs.Forbidden) {
		t.Errorf("the app may, the token may not: %v", err)
	}
	all, err := w.Grant(a.ID, a.client.Text, "")
	if err != nil || strings.Join(all.Scopes, " ") != "orders.read sales.read" {
		t.Errorf("%v %v", all, err)
	}
	if person, err := w.ring.Sign(claims("ann", fake)); err != nil {
		t.Error(err)
	} else if who, err := bearers.Verify(person); err != nil || who.User != "ann" {
		t.Errorf("a person: %+v %v", who, err)
	}
	_, next, err := w.Rotate(t.Context(), "op", a.ID, "r", Rotation{OAuth2, 10 * time.Minute})
	check(t, err)
	if short, err := w.Grant(a.ID, a.client.Text, ""); err != nil || short.Life != 10*time.Minute {
		t.Errorf("a token outlives its secret: %v %v", short.Life, err)
	}
	later, err := w.Grant(a.ID, next.Text, "")
	check(t, err)
	if _, err := bearers.Verify(g.Token); err != nil {
		t.Errorf("during the overlap: %v", err)
	}
	fake.Advance(10 * time.Minute)
	check(t, w.refresh(t.Context()))
	if _, err := bearers.Verify(g.Token); !errs.Is(err, errs.Unauthenticated) {
		t.Errorf("issued for a secret that has ended: %v", err)
	}
	if err := w.Permit(who, "sales.read"); !errs.Is(err, errs.Unauthenticated) {
		t.Errorf("the same where the token was not looked at: %v", err)
	}
	if _, err := bearers.Verify(later.Token); err != nil {
		t.Error(err)
	}
	_, err = w.EndSecret(t.Context(), "op", a.ID, next.ID, "leaked")
	check(t, err)
	if _, err := bearers.Verify(later.Token); !errs.Is(err, errs.Unauthenticated) {
		t.Errorf("issued for a secret that was ended: %v", err)
	}
}

// permissions: an app may call what it was given and nothing else, people are not asked, and a call without a name is not for apps.
func permissions(t *testing.T, e engine) {
	w := newWorld(t, e, clock.NewFake(noon))
	a := w.create("sales.read", "orders.write", "sales.read")
	who, err := w.verify(w.signed(buy(), a.signing), buy().body)
	check(t, err)
	for api, want := range map[string]errs.Code{"sales.read": "", "orders.write": "", "orders.read": errs.Forbidden, "": errs.Forbidden, "sales": errs.Forbidden} {
		if err := w.Permit(who, api); errs.CodeOf(err) != want {
			t.Errorf("%q: %v", api, err)
		}
	}
	_, err = w.Change(t.Context(), "op", a.ID, "r", Change{APIs: []string{"orders.write"}})
	check(t, err)
	if err := w.Permit(who, "sales.read"); !errs.Is(err, errs.Forbidden) {
		t.Errorf("taken away: %v", err)
	}
	person := who
	person.App = ""
	if err := w.Permit(person, "anything"); err != nil {
		t.Errorf("a person: %v", err)
	}
	box, made, err := w.Create(t.Context(), "op", Definition{Name: "box", Sandbox: true, APIs: []string{"sales.read", "stock.upstream"}})
	check(t, err)
	who, err = w.verify(w.signed(buy(), made[1]), buy().body)
	if err != nil || !who.Sandbox || w.Permit(who, "sales.read") != nil || !errs.Is(w.Permit(who, "stock.upstream"), errs.Forbidden) {
		t.Errorf("a sandbox app: %+v %v", who, err)
	}
	g, err := w.Grant(box.ID, made[0].Text, "")
	check(t, err)
	if who, err = w.Bearers(w.ring).Verify(g.Token); err != nil || !who.Sandbox {
		t.Errorf("its token: %+v %v", who, err)
	}
	if len(a.APIs) != 2 {
		t.Errorf("a name twice: %v", a.APIs)
	}
}

// life: an app is made, changed, disabled, enabled and deleted, each act in the trail with who and why, before it is done.
func life(t *testing.T, e engine) {
	w := newWorld(t, e, clock.NewFake(noon))
	a := w.create("sales.read")
	name, n := "new", 7
	app, err := w.Change(t.Context(), "op", a.ID, "why", Change{Name: &name, PerMinute: &n, PerDay: &n})
	if err != nil || app.Name != "new" || app.Version != 2 || w.Quota(a.ID, time.Minute).Calls != 7 || w.Quota(a.ID, Day).Per != Day || !w.Quota("none", Day).Off() {
		t.Fatalf("%+v %v", app, err)
	}
	app, err = w.Disable(t.Context(), "op", a.ID, "why")
	if err != nil || app.Enabled || app.Why != "disabled by op" {
		t.Errorf("%+v %v", app, err)
	}
	if _, err := w.verify(w.signed(buy(), a.signing), buy().body); !errs.Is(err, errs.Unauthenticated) {
		t.Errorf("disabled: %v", err)
	}
	if _, err := w.Grant(a.ID, a.client.Text, ""); err == nil {
		t.Error("a disabled app got a token")
	}
	if app, err = w.Enable(t.Context(), "op", a.ID, "why"); err != nil || !app.Enabled || app.Why != "" {
		t.Errorf("%+v %v", app, err)
	}
	if _, err := w.verify(w.signed(buy(), a.signing), buy().body); err != nil {
		t.Errorf("enabled: %v", err)
	}
	check(t, w.Delete(t.Context(), "op", a.ID, "why"))
	if _, err := w.verify(w.signed(buy(), a.signing), buy().body); !errs.Is(err, errs.BadSignature) {
		t.Errorf("deleted: %v", err)
	}
	for _, err := range []error{
		w.Delete(t.Context(), "op", a.ID, ""), second(w.Get(t.Context(), a.ID)), second(w.Enable(t.Context(), "op", a.ID, "")),
		second(w.Change(t.Context(), "op", "app_none", "", Change{})),
	} {
		if !errs.Is(err, errs.NotFound) {
			t.Errorf("after the deletion: %v", err)
		}
	}
	if all, err := w.List(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%v %v", all, err)
	}
	var acts []string
	for _, act := range *w.acts {
		acts = append(acts, act.Act)
		if act.Who != "op" || act.Object != "app/"+a.ID || act.Act != "app.create" && act.Why != "why" || act.ID == "" {
			t.Errorf("%+v", act)
		}
	}
	if got := strings.Join(acts, " "); got != "app.create app.change app.disable app.enable app.delete" {
		t.Errorf("trail: %s", got)
	}
	w.o.Audit = func(context.Context, Act) error { return errors.New("no trail") }
	if _, _, err := w.Create(t.Context(), "op", Definition{Name: "x"}); err == nil {
		t.Error("an act without a trail was done")
	}
}

func second[T any](_ T, err error) error { return err }

// hidden: no secret is in a list, a look, the trail, the log or the rows of the database.
func hidden(t *testing.T, e engine) {
	w := newWorld(t, e, clock.NewFake(noon))
	a := w.create("sales.read")
	_, fresh, err := w.Rotate(t.Context(), "op", a.ID, "r", Rotation{Signing, time.Hour})
	check(t, err)
	_, _ = w.verify(w.signed(buy(), fresh), buy().body)
	_, _ = w.verify(w.signed(buy(), Secret{fresh.SecretInfo, "wrong"}), buy().body)
	_, _ = w.Grant(a.ID, a.client.Text+"x", "")
	all, err := w.List(t.Context())
	check(t, err)
	one, err := w.Get(t.Context(), a.ID)
	check(t, err)
	shown, err := json.Marshal(map[string]any{"list": all, "get": one, "trail": *w.acts, "log": w.log.String()})
	check(t, err)
	var stored []byte
	check(t, w.db.Scan(t.Context(), `SELECT secrets FROM partner_apps WHERE id=?`, []any{a.ID}, &stored))
	for _, s := range []Secret{a.client, a.signing, fresh} {
		if text := string(shown) + string(stored); strings.Contains(text, s.Text) || strings.Contains(text, s.Text[5:]) {
			t.Errorf("secret %s shows in %s", s.ID, text)
		}
		if len(s.Text) != 48 {
			t.Errorf("%d bytes", len(s.Text))
		}
	}
	sealed := w.snap.Load().apps[a.ID].kept
	if _, err := w.box.Open(sealed[0].Sealed, "app_other/"+sealed[0].ID); err == nil {
		t.Error("a sealed secret opens for another app")
	}
}

// reopen: apps, secrets and used nonces are there after a restart.
func reopen(t *testing.T, e engine) {
	where := e.place(t)
	fake := clock.NewFake(noon)
	var a made
	var used *http.Request
	t.Run("before", func(t *testing.T) {
		w := openWorld(t, e.open(t, where), fake)
		a = w.create("sales.read")
		used = w.signed(buy(), a.signing)
		if _, err := w.verify(used, buy().body); err != nil {
			t.Error(err)
		}
	})
	w := openWorld(t, e.open(t, where), fake)
	if _, err := w.verify(w.signed(buy(), a.signing), buy().body); err != nil {
		t.Error(err)
	}
	if _, err := w.verify(used, buy().body); !errs.Is(err, errs.BadSignature) {
		t.Errorf("a restart forgot a nonce: %v", err)
	}
}

// prune: nonces that no signature can have any more leave the database, in pieces, and no others.
func prune(t *testing.T, e engine) {
	w := newWorld(t, e, clock.NewFake(noon))
	n := nonces{w.db}
	for i := range 30 {
		_, err := n.Once(t.Context(), nonceID("k", fmt.Sprint(i)), noon.Add(time.Duration(i-20)*time.Second))
		check(t, err)
	}
	check(t, n.prune(t.Context(), noon))
	var left int
	check(t, w.db.Scan(t.Context(), `SELECT count(*) FROM partner_nonces`, nil, &left))
	if left != 10 {
		t.Errorf("%d nonces left, want the 10 that may still come", left)
	}
}

// invalid: what an operator may not ask for is said by field.
func invalid(t *testing.T, e engine) {
	w := newWorld(t, e, clock.NewFake(noon))
	_, _, err := w.Create(t.Context(), "op", Definition{Name: "a\nb", Description: strings.Repeat("x", 501), APIs: []string{"Sales.read", "sales", "a.b"}, PerMinute: -1, PerDay: MaxPerDay + 1})
	var said []string
	if e, ok := errors.AsType[*errs.Error](err); ok {
		for _, f := range e.Fields {
			said = append(said, f.Pointer)
		}
	}
	if got := strings.Join(said, " "); got != "/name /description /apis/0 /apis/1 /perMinute /perDay" {
		t.Errorf("%v: %s", err, got)
	}
	a := w.create()
	for _, n := range []Rotation{{"both", 0}, {Signing, -1}, {Signing, MaxOverlap + 1}} {
		if _, _, err := w.Rotate(t.Context(), "op", a.ID, "", n); !errs.Is(err, errs.Invalid) {
			t.Errorf("%v: %v", n, err)
		}
	}
	if _, err := w.Grant(a.ID, a.client.Text, ""); err == nil {
		t.Error("a token for no API")
	}
}
