package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// Each subcommand of balance makes the call that its words say, and what is missing is told before any call.
func TestBalanceCalls(t *testing.T) {
	t.Parallel()
	var seen, answers string
	h := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen = r.Method + " " + r.URL.EscapedPath() + " " + r.Header.Get("Idempotency-Key") + " " + string(body)
		_, _ = io.WriteString(w, answers)
	}
	for words, c := range map[string]struct{ answer, call, out string }{
		"balance show a/b": {`{"user":"a/b","items":[{"currency":"EUR","balance":-5,"held":2,"creditLimit":10,"available":5}]}`,
			"GET /admin/v1/balances/a%2Fb  ", "-5 EUR"},
		"balance entries ann": {`{"items":[{"transaction":"7-1","kind":"top-up","account":"user","currency":"EUR","amount":5,"balance":5,"who":"op"}],"next":"14"}`,
			"GET /admin/v1/balances/ann/entries  ", "top-up"},
		"balance add ann --amount -5 --currency EUR --reason paid --key k1": {`{"transaction":"7-2","kind":"withdrawal","user":"ann","currency":"EUR","amount":-5}`,
			`POST /admin/v1/balances/ann/entries "k1" {"amount":-5,"currency":"EUR","reason":"paid"}`, "withdrawal"},
		"balance limit ann --limit 0 --currency EUR --reason over": {`{"currency":"EUR","creditLimit":0}`,
			`PUT /admin/v1/balances/ann/limits/EUR  {"limit":0,"reason":"over"}`, "0 EUR"},
	} {
		seen, answers = "", c.answer
		code, out, stderr := operate(t, h, strings.Fields(words)...)
		if code != 0 || seen != c.call || !strings.Contains(out, c.out) {
			t.Errorf("%s: exit code %d %s, called %q, said %q", words, code, stderr, seen, out)
		}
	}
	for _, words := range []string{"balance add ann --amount 5 --reason r", "balance add ann --amount 5 --currency EUR", "balance limit ann --currency EUR --reason r", "balance show"} {
		seen = ""
		if code, _, _ := operate(t, h, strings.Fields(words)...); code != 2 || seen != "" {
			t.Errorf("%s: exit code %d, called %q", words, code, seen)
		}
	}
}
