package config

import (
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var update = flag.Bool("update", false, "write golden files")

var equal = cmp.Options{cmpopts.EquateComparable(netip.Prefix{}), cmpopts.EquateEmpty()}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "penstock.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A later source wins over an earlier one, and a key that no source names keeps its default.
func TestLaterSourceWins(t *testing.T) {
	t.Parallel()
	f := writeFile(t, "data: /a\nstock: sqlite\norders: 'sqlite:'\nlimits:\n  ip: 5/s\n  user: off\npayment: {window: 1m}\ntrustedProxies: [10.1.2.3/8, '::1/128']\nlisten:\n")
	c, err := Load(Sources{File: f,
		Environ: []string{"HOME=/root", "PENSTOCK_DATA=/b", "PENSTOCK_LIMITS_IP=20/10s", "PENSTOCK_PAYMENT_WINDOW=2m", "PENSTOCK_LISTEN_PUBLIC=:0"},
		Flags:   map[string]string{"data": "/c", "pprof": "true"}})
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Orders = "sqlite:"
	want.Data, want.Pprof, want.Payment.Window, want.Listen.Public = "/c", true, 2*time.Minute, ":0"
	want.Limits.IP, want.Limits.User = Rate{20, 10 * time.Second}, Rate{}
	want.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	if d := cmp.Diff(want, c, equal); d != "" {
		t.Error(d)
	}
}

// Every error names the key, the value as it was written and a value that works, wherever the value comes from.
func TestErrorsNameKeyValueAndExample(t *testing.T) {
	t.Parallel()
	for _, k := range Keys() {
		if _, free := k.v.(text); free || k.Secret {
			continue
		}
		const bad = "№ wrong"
		_, err := Load(Sources{Environ: []string{k.Env() + "=" + bad}})
		if err == nil {
			t.Errorf("%s takes %q", k.Name, bad)
			continue
		}
		for _, want := range []string{k.Name, bad, k.Example} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", k.Name, err, want)
			}
		}
	}
}

// What a file, a variable or a flag may not say is refused in words that name it.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file  string
		env   string
		flags map[string]string
		want  []string
	}{
		"unknown key":        {file: "limts: {ip: 1/s}\n", want: []string{"limts.ip", "not a key", "did you mean limits.ip?"}},
		"unknown top key":    {file: "daat: /x\n", want: []string{"daat", `"/x"`, "did you mean data?"}},
		"value for a group":  {file: "limits: 5\n", want: []string{"limits", "group of keys", "limits.ip"}},
		"group for a value":  {file: "data: {dir: /x}\n", want: []string{"data.dir", "not a key"}},
		"unknown variable":   {env: "PENSTOCK_LISTEN_PUBLC=:1", want: []string{"PENSTOCK_LISTEN_PUBLC", "did you mean PENSTOCK_LISTEN_PUBLIC?"}},
		"unknown flag key":   {flags: map[string]string{"nod": "1"}, want: []string{"nod", "did you mean node?"}},
		"unknown engine":     {env: "PENSTOCK_STOCK=postgres://root:hunter2@db/shop", want: []string{"stock", "not an engine", "postgres://root:***@db/shop", `"mysql://penstock:`}},
		"engine not whole":   {env: "PENSTOCK_GATE=redis:", want: []string{"gate", "whole URL", "redis://"}},
		"unknown role":       {env: "PENSTOCK_TARGET=sale,cashier", want: []string{"target", "cashier", "timers"}},
		"role on one file":   {env: "PENSTOCK_TARGET=sale", want: []string{"stock", "one process", "mysql://", "keys.file"}},
		"issuer no web":      {env: "PENSTOCK_IDENTITY_ISSUER=ftp://x", want: []string{"identity.issuer", "https", "loopback"}},
		"issuer with path":   {env: "PENSTOCK_IDENTITY_ISSUER=https://x/y", want: []string{"identity.issuer", "scheme and host only"}},
		"issuer in clear":    {env: "PENSTOCK_IDENTITY_ISSUER=http://login.shop", want: []string{"identity.issuer", "loopback"}},
		"our own by name":    {flags: map[string]string{"transactions.participants": "stock=http://x"}, want: []string{"names stock", "another name"}},
		"sqlite with a path": {env: "PENSTOCK_ORDERS=sqlite:/x.db", want: []string{"orders", "data directory"}},
		"no unit":            {file: "payment: {window: 15}\n", want: []string{"payment.window", `"15"`, "unit", `"15m"`}},
		"out of range":       {file: "node: 32\n", want: []string{"node", `"32"`, "0 to 31"}},
		"demo for everyone":  {env: "PENSTOCK_DEMOLOGIN=true", flags: map[string]string{"listen.public": "0.0.0.0:8080"}, want: []string{"demoLogin", "more than this machine"}},
		"same address twice": {env: "PENSTOCK_LISTEN_ADMIN=127.0.0.1:8080", want: []string{"listen.admin", "address of listen.public"}},
		"batch over attempt": {flags: map[string]string{"batch.wait": "50ms", "timeouts.attempt": "50ms"}, want: []string{"batch.wait", "timeouts.attempt"}},
		"not yaml":           {file: "data: [\n", want: []string{"not YAML", "line"}},
		"two documents":      {file: "data: a\n---\ndata: b\n", want: []string{"more than one YAML document"}},
		"list for a value":   {file: "data: [a, b]\n", want: []string{"data", "is a list where one value belongs", `"a, b"`}},
		"key twice":          {file: "data: a\ndata: b\n", want: []string{"not YAML", "data"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := Sources{Environ: []string{c.env}, Flags: c.flags}
			if c.file != "" {
				s.File = writeFile(t, c.file)
			}
			_, err := Load(s)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%q gives the password away", err)
			}
		})
	}
}

// A process that only forwards calls needs keys of the others and no database; an issuer of this machine may be plain; names are words.
func TestAccepted(t *testing.T) {
	t.Parallel()
	for _, flags := range []map[string]string{
		{"target": RoleGateway, "keys.file": "/k.json"}, {"identity.issuer": "http://127.0.0.1:8081"}, {"identity.issuer": "http://localhost"}, {"identity.issuer": ""},
	} {
		if _, err := Load(Sources{Flags: flags}); err != nil {
			t.Errorf("%v: %v", flags, err)
		}
	}
	for name, want := range map[string]string{"apps.tokenTTL": "apps-token-ttl", "keys.passTTL": "keys-pass-ttl", "payment.lateMoney": "payment-late-money"} {
		if got := (Key{Name: name}).Flag(); got != want {
			t.Errorf("the flag of %s is %s, want %s", name, got, want)
		}
	}
	if near := Nearest("reason", []string{"json", "role"}); near != "" {
		t.Errorf("reason is taken for %s", near)
	}
}

// All problems are reported at once, each on its own line.
func TestAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := Load(Sources{Environ: []string{"PENSTOCK_NODE=x", "PENSTOCK_BUS=y"}, Flags: map[string]string{"log.level": "loud"}})
	p, ok := errors.AsType[Problems](err)
	if !ok || len(p) != 3 || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("want 3 problems on 3 lines, got %v", err)
	}
}

// A missing file is an error that names it, never silently the defaults.
func TestMissingFile(t *testing.T) {
	t.Parallel()
	_, err := Load(Sources{File: "/nowhere/penstock.yaml"})
	if err == nil || !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "/nowhere/penstock.yaml") {
		t.Errorf("got %v", err)
	}
}

// What a platform puts into the environment of a service called penstock is not taken for configuration.
func TestForeignVariablesAreLeftAlone(t *testing.T) {
	t.Parallel()
	_, err := Load(Sources{Environ: []string{"PENSTOCK_SERVICE_HOST=10.0.0.1", "PENSTOCK_SERVICE_PORT=80", "PENSTOCK_SERVICE_PORT_HTTP=80", "PENSTOCK_PORT=tcp://10.0.0.1:80",
		"PENSTOCK_PORT_80_TCP_ADDR=10.0.0.1", "PENSTOCK_ADMIN_PORT_8081_TCP=tcp://10.0.0.1:8081", "PENSTOCK_ADMIN_SERVICE_HOST=10.0.0.1", "PENSTOCK_TOKEN=t", "PENSTOCK_URL=u", "PENSTOCK_CONFIG=f"}})
	if err != nil {
		t.Error(err)
	}
}

// The definitions are complete: each key has help, a flag and a variable of its own, an example that loads, and its own field;
// together they reach every field of Config.
func TestDefinitionsAreComplete(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, k := range Keys() {
		if k.Help == "" || k.Example == "" || seen[k.Env()] || seen[k.Flag()] || sections[groupOf(k.Name)] == "" {
			t.Errorf("%s has no help, no example, no described group, or a name that is taken", k.Name)
		}
		seen[k.Env()], seen[k.Flag()] = true, true
		if _, err := Load(Sources{Flags: map[string]string{k.Name: k.Example}}); err != nil {
			t.Errorf("example does not load: %v", err)
		}
		if g := groupOf(k.Name); g != "" && !isSection(g) {
			t.Errorf("%s is in no section", k.Name)
		}
	}
	if fields, keys := leaves(reflect.TypeFor[Config]()), len(Keys()); fields != keys {
		t.Errorf("Config has %d fields and %d keys", fields, keys)
	}
}

func leaves(t reflect.Type) int {
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[Rate]() {
		return 1
	}
	n := 0
	for f := range t.Fields() {
		n += leaves(f.Type)
	}
	return n
}

// The example file loads and changes nothing; what Show prints loads as the configuration it was printed from.
func TestExampleAndShowRoundTrip(t *testing.T) {
	t.Parallel()
	c, err := Load(Sources{File: writeFile(t, Example())})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Default(), c, equal); d != "" {
		t.Error(d)
	}
	flags := map[string]string{}
	for _, k := range Keys() {
		if !k.Secret {
			flags[k.Name] = k.Example
		}
	}
	if c, err = Load(Sources{Flags: flags}); err != nil {
		t.Fatal(err)
	}
	again, err := Load(Sources{File: writeFile(t, c.Show())})
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []*string{&c.Stock, &c.Orders, &c.Gate, &c.Bus} {
		*shown = Masked(*shown)
	}
	if d := cmp.Diff(c, again, equal); d != "" {
		t.Error(d)
	}
}

// A secret is neither shown nor repeated in an error.
func TestSecretsStayHidden(t *testing.T) {
	t.Parallel()
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	c, err := Load(Sources{Environ: []string{"PENSTOCK_PAYMENT_SECRET=" + secret}})
	if err != nil || c.Payment.Secret != secret {
		t.Fatalf("secret not loaded: %v", err)
	}
	if s := c.Show(); strings.Contains(s, "MfKQ") || !strings.Contains(s, `secret: "***"`) {
		t.Error(s)
	}
	c, err = Load(Sources{Environ: []string{"PENSTOCK_GATE=redis://:hunter2@cache:6379"}})
	if err != nil || !strings.Contains(c.Gate, "hunter2") || strings.Contains(c.Show(), "hunter2") {
		t.Errorf("the password of a URL is shown, or lost: %v", err)
	}
	if _, err = Load(Sources{Environ: []string{"PENSTOCK_PAYMENT_SECRET=topsecret"}}); err == nil || strings.Contains(err.Error(), "topsecret") {
		t.Errorf("got %v", err)
	}
}

// Rates, durations and sizes are read back as they are printed.
func TestValuesPrintAsWritten(t *testing.T) {
	t.Parallel()
	for key, values := range map[string][]string{
		"limits.ip":      {"100/m", "1/s", "7/h", "20/10s", "3/1m30s", "off"},
		"payment.window": {"15m", "1h", "1h30m", "10m30s", "1.5s", "10h"},
		"bodyLimit":      {"1025", "64KiB", "2MiB"},
		"log.sample":     {"0", "1", "0.25"},
	} {
		for _, v := range values {
			c, err := Load(Sources{Flags: map[string]string{key: v}})
			if err != nil {
				t.Error(err)
				continue
			}
			for _, k := range define(&c) {
				if k.Name == key && k.v.String() != v {
					t.Errorf("%s: %q prints as %q", key, v, k.v)
				}
			}
		}
	}
}

// docs/config.md is the reference of the definitions as they are.
func TestReferenceIsCurrent(t *testing.T) {
	t.Parallel()
	const path = "../docs/config.md"
	if *update {
		if err := os.WriteFile(path, []byte(Reference()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Reference(), string(have)); d != "" {
		t.Errorf("run go test ./config -update:\n%s", d)
	}
}

// No text makes a loader panic, and whatever is accepted survives being shown and loaded again.
func FuzzRate(f *testing.F) {
	for _, s := range []string{"100/m", "off", "1/0s", "-1/s", "9999999999/s", "1/1ns"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var a, b Rate
		if (rate{&a}).set(s) != nil {
			return
		}
		if err := (rate{&b}).set(a.String()); err != nil || a != b {
			t.Fatalf("%q became %v, then %v: %v", s, a, b, err)
		}
	})
}
