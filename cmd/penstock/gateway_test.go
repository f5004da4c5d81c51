package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each subcommand of gateway makes the call that its words say, and shows what came of it.
func TestGatewayCalls(t *testing.T) {
	t.Parallel()
	var seen, answers string
	h := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen = r.Method + " " + r.URL.EscapedPath() + " " + string(body)
		_, _ = io.WriteString(w, answers)
	}
	const policy = `{"file":"","version":4,"hash":"aa","breakers":{"pay":{"state":"open","forced":true}},"routes":[{"route":"GET /v1/orders","access":"user","class":"reading-won","limits":["ip"],"apis":["orders.read"],"off":["shedding"]}]}`
	for words, c := range map[string]struct{ answer, call, out string }{
		"gateway show":                   {policy, "GET /admin/v1/gateway ", "open, tripped by hand until it is reset"},
		"gateway trip pay --reason slow": {`{"breaker":"pay","state":"open"}`, `POST /admin/v1/gateway/breakers/pay {"action":"trip","reason":"slow"}`, "open"},
		"gateway reset pay --reason ok":  {`{"breaker":"pay","state":"closed"}`, `POST /admin/v1/gateway/breakers/pay {"action":"reset","reason":"ok"}`, "closed"},
		"gateway reload --reason friday": {policy, `POST /admin/v1/gateway/reload {"reason":"friday"}`, "built in"},
		"gateway explain get /v1/orders --as tok --from 192.0.2.1": {
			`{"route":"GET /v1/orders","access":"user","summary":"refused by the stage lists","stages":[{"stage":"lists","verdict":"refuse","detail":"no","problem":"forbidden","status":403}]}`,
			`POST /admin/v1/gateway/explain {"from":"192.0.2.1","method":"GET","path":"/v1/orders","token":"tok"}`, "403 forbidden: no",
		},
	} {
		seen, answers = "", c.answer
		code, out, stderr := operate(t, h, strings.Fields(words)...)
		if code != 0 || seen != c.call || !strings.Contains(out, c.out) {
			t.Errorf("%s: exit code %d %s, called %q, said %q", words, code, stderr, seen, out)
		}
	}
}

// A policy file is judged without a server, by its line, and a bad one is exit code 2.
func TestGatewayCheck(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for text, c := range map[string]struct {
		code int
		says string
	}{
		"{}": {0, "is good"}, "limits:\n  - {name: ip, by: [ip], rate: x}": {2, `line 2: limits[0].rate: "x" is not a rate`},
	} {
		file := filepath.Join(dir, "policy.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, stderr bytes.Buffer
		code := run(t.Context(), &env{in: strings.NewReader(""), out: &out, err: &stderr}, []string{"gateway", "check", file})
		if code != c.code || !strings.Contains(out.String()+stderr.String(), c.says) {
			t.Errorf("%q: exit code %d, %s%s", text, code, &out, &stderr)
		}
	}
}
