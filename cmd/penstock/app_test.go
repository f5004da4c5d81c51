package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// grant asks the public listener for a token of an app and returns the status.
func (x *trade) grant(t *testing.T, id, secret string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+x.at["public"]+"/oauth2/token", strings.NewReader("grant_type=client_credentials"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// secretOf returns the new secret of a use that an answer shows.
func secretOf(t *testing.T, app map[string]any, use string) (id, text string) {
	t.Helper()
	all, _ := app["secrets"].([]any)
	for _, s := range all {
		if s, ok := s.(map[string]any); ok && s["use"] == use && s["secret"] != nil {
			return fmt.Sprint(s["id"]), fmt.Sprint(s["secret"])
		}
	}
	t.Fatalf("no new secret for %s in %v", use, app)
	return "", ""
}

func (x *trade) apps(t *testing.T) {
	made := x.object(t, 0, "app", "create", "--name", "acme", "--apis", "sales.read,orders.read", "--per-minute", "600")
	id := fmt.Sprint(made["id"])
	first, secret := secretOf(t, made, "oauth2")
	if status := x.grant(t, id, secret); status != http.StatusOK {
		t.Fatalf("a token of a new app: %d", status)
	}
	if shown := x.do(t, 0, []string{"app", "show", id, "--json"}, "sales.read"); strings.Contains(shown, secret) {
		t.Errorf("a secret is shown twice: %s", shown)
	}
	x.all(t, said{"app list", 0, id}, said{"app show " + id, 0, "orders.read"},
		said{"app change " + id + " --per-day 5000 --apis sales.read --reason contract", 0, "5000"},
		said{"app rotate " + id + " --use signing --overlap 1h --reason leak", 0, "shown this one time"})
	_, second := secretOf(t, x.object(t, 0, "app", "rotate", id, "--use", "oauth2", "--reason", "leak"), "oauth2")
	if a, b := x.grant(t, id, secret), x.grant(t, id, second); a != http.StatusOK || b != http.StatusOK {
		t.Errorf("while the secrets overlap: %d, %d", a, b)
	}
	x.all(t, said{"app end-secret " + id + " " + first + " --reason leak", 0, id})
	x.comes(t, "the end of a secret", func() bool {
		return x.grant(t, id, secret) == http.StatusUnauthorized && x.grant(t, id, second) == http.StatusOK
	})
	x.all(t, said{"app disable " + id + " --reason unpaid", 0, "disabled"})
	x.comes(t, "a disabled app", func() bool { return x.grant(t, id, second) == http.StatusUnauthorized })
	x.all(t, said{"app enable " + id + " --reason paid", 0, "enabled"})
	x.comes(t, "an enabled app", func() bool { return x.grant(t, id, second) == http.StatusOK })
	x.all(t, said{"app create --name x", 2, "--name and --apis are needed"}, said{"app create --name x --apis Nonsense", 2, "apis"},
		said{"app change " + id + " --per-day 1", 2, "--reason is missing"}, said{"app disable " + id, 2, "--reason is missing"},
		said{"app rotate " + id + " --use both --reason r", 2, "signing or oauth2"}, said{"app rotate " + id + " --use signing --overlap soon --reason r", 2, "such as 90s"},
		said{"app end-secret " + id + " none --reason r", 1, "not-found"}, said{"app show none", 1, "not-found"}, said{"app show", 2, "takes 1 argument"})
	if got := x.object(t, 0, "app", "delete", id, "--reason", "gone"); got["deleted"] != id {
		t.Errorf("%v", got)
	}
	x.comes(t, "the end of an app", func() bool { return x.grant(t, id, second) == http.StatusUnauthorized })
	x.all(t, said{"app show " + id, 1, "not-found"})
	x.do(t, 0, []string{"export", "audit"}, "app.create", "app.rotate", "app.disable", "app.delete")
}

// comes polls for what must come into force.
func (x *trade) comes(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in force: %s", what)
		}
	}
}
