package accept

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Killed in the middle of a storm and started again on the same directory, the server still knows every order it acknowledged,
// gives each key its one answer, and has lost or made no unit.
func TestKilledServerKeepsItsWord(t *testing.T) {
	t.Parallel()
	s := own(t, quotasOff...)
	d := definition(item(30, 2))
	sale, u := s.sale(t, d), s.tokens(t, "buyer", 40)
	told := make([]string, len(u))
	for range 2 {
		killed := make(chan struct{})
		for i, a := range together(len(u)+1, func(i int) answer {
			if i == len(u) {
				eventually(t, "somebody has bought", func() error {
					if a := s.admin("GET", "/admin/v1/stock?sale="+sale, nil); !strings.Contains(string(a.body), `"held":0`) {
						return nil
					}
					return fmt.Errorf("nobody yet")
				})
				s.stop(syscall.SIGKILL)
				close(killed)
				return answer{}
			}
			a := s.attempt(sale, u[i], "k", one(1))
			if i%2 == 0 { // half of them ask until the server is gone
				for n := 0; a.err == nil && n < 1000; n++ {
					a = s.attempt(sale, u[i], "k", one(1))
				}
			}
			return a
		}) {
			if i == len(u) || a.status != 201 {
				continue
			}
			if told[i] != "" && told[i] != a.text("order") {
				t.Errorf("buyer %d was told of orders %s and %s for one key", i, told[i], a.text("order"))
			}
			told[i] = a.text("order")
		}
		<-killed
		if err := s.start(); err != nil {
			t.Fatal(err)
		}
	}
	claims := map[string]string{}
	for _, c := range s.export(t, "claims", having("sale", sale)) {
		if claims[c["user"].(string)] != "" {
			t.Errorf("%s has two claims", c["user"])
		}
		claims[c["user"].(string)] = c["order"].(string)
	}
	for i, order := range told {
		if order == "" {
			continue
		}
		if claims[fmt.Sprint("buyer-", i+1)] != order {
			t.Errorf("the acknowledged order %s is gone", order)
		}
		if again := s.attempt(sale, u[i], "k", one(1)).is(t, "replay", 201, "").text("order"); again != order {
			t.Errorf("the replay names order %s, want %s", again, order)
		}
	}
	if l := s.stock(t, sale)[0]; l.Held != int64(len(claims)) {
		t.Errorf("%d claims, stock %+v", len(claims), l)
	}
	if out, code := command(t, "check", "--data", s.dir); code != 0 || !strings.Contains(out, "verdict: pass") {
		t.Errorf("penstock check: exit %d\n%s", code, out)
	}
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Errorf("SIGTERM ends with %v", err)
	}
	if out, code := command(t, "check", "--data", s.dir); code != 0 || !strings.Contains(out, "verdict: pass") {
		t.Errorf("penstock check without a server: exit %d\n%s", code, out)
	}
}

// A second process cannot take a directory that one serves: it says whose it is, and the first goes on.
func TestDirectoryHasOneOwner(t *testing.T) {
	t.Parallel()
	out, code := command(t, append([]string{"serve", "--data", shared.dir}, anyPorts...)...)
	if code != 3 || !strings.Contains(out, fmt.Sprint(shared.cmd.Process.Pid)) || strings.Contains(out, "goroutine") {
		t.Errorf("exit %d, want 3 and the owner's process: %s", code, out)
	}
	shared.public("GET", "/v1/sales", "", nil).is(t, "the first", 200, "")
}

// A wrong file, variable or flag ends the start with code 2 and a line that names the key, what it was set to and what would do.
func TestWrongConfigurationIsNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file, env, flag string
		says            []string
	}{
		{file: "limts: {ip: 5/m}", says: []string{"limts.ip", "5/m", "limits.ip"}},
		{file: "limits: {ip: lots}", says: []string{"limits.ip", "lots", "100/m"}},
		{file: "payment: {window: -5m}", says: []string{"payment.window", "-5m", "15m"}},
		{file: "node: 99", says: []string{"node", "99", "3"}},
		{file: "trustedProxies: [300.1.1.1/8]", says: []string{"trustedProxies", "300.1.1.1/8", "10.0.0.0/8"}},
		{file: "payment: {secret: tell-nobody}", says: []string{"payment.secret", "***", "whsec_"}},
		{file: "limits: [1]", says: []string{"limits"}},
		{file: ": : {", says: []string{"YAML"}},
		{env: "PENSTOCK_LIMITS_USER=zz", says: []string{"limits.user", "zz", "100"}},
		{env: "PENSTOCK_NONSENSE=1", says: []string{"PENSTOCK_NONSENSE", "1"}},
		{flag: "--payment-window=abc", says: []string{"payment.window", "abc", "15m"}},
		{flag: "--stock=postgres://u:tell-nobody@h/db", says: []string{"stock", "postgres", "mysql://"}},
		{flag: "--stock=mysql://u:tell-nobody@h:many/db", says: []string{"stock", "mysql", "port"}},
		{flag: "--listen-public=here", says: []string{"listen.public", "here", "0.0.0.0:8080"}},
		{flag: "--nonsense", says: []string{"--nonsense"}},
	} {
		dir := t.TempDir()
		args, env := append([]string{"serve", "--data", filepath.Join(dir, "data")}, anyPorts...), []string(nil)
		if c.file != "" {
			name := filepath.Join(dir, "penstock.yaml")
			if err := os.WriteFile(name, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			args = append(args, "--config", name)
		}
		if c.env != "" {
			env = append(env, c.env)
		}
		if c.flag != "" {
			args = append(args, c.flag)
		}
		out, code := commandEnv(t, env, args...)
		if code != 2 || strings.Contains(out, "goroutine") || strings.Contains(out, "tell-nobody") {
			t.Errorf("%+v: exit %d: %s", c, code, out)
		}
		for _, word := range c.says {
			if !strings.Contains(out, word) {
				t.Errorf("%+v: the message lacks %q: %s", c, word, out)
			}
		}
		if _, err := os.Stat(filepath.Join(dir, "data")); err == nil {
			t.Errorf("%+v: a data directory was made", c)
		}
	}
}

// Every export has the promised fields, ids as strings, in an order that a later export only adds to.
func TestExportsKeepTheirPromise(t *testing.T) {
	t.Parallel()
	s := own(t, quotasOff...)
	sale, user := s.sale(t, definition(item(9, 9))), s.token(t, "buyer")
	order := s.won(t, sale, user, 2)
	s.pay(order, user, "p", obj{"method": "sandbox"}).is(t, "pay", 201, "")
	s.reaches(t, order, user, "paid")
	before := map[string][]obj{}
	for name, fields := range map[string]string{
		"orders":       "id user sale key items amount currency state version createdAt payBefore shard table",
		"order-events": "order n at from to why",
		"claims":       "attempt order user sale sku quantity key state at",
		"stock-ledger": "seq sale sku delta kind ref at",
		"payments":     "id order provider providerRef state amount currency at",
		"outbox":       "", "audit": "", "dead-letters": "",
	} {
		rows := s.export(t, name, nil)
		if before[name] = rows; len(rows) == 0 && name != "dead-letters" {
			t.Errorf("%s is empty", name)
		}
		for _, row := range rows {
			for _, field := range strings.Fields(fields) {
				if _, has := row[field]; !has {
					t.Errorf("%s lacks %s: %v", name, field, row)
				}
			}
			for _, id := range []string{"id", "order", "attempt", "ref"} {
				if _, number := row[id].(json.Number); number {
					t.Errorf("%s: %s is not a string: %v", name, id, row)
				}
			}
		}
	}
	s.won(t, sale, user, 1)
	for _, name := range []string{"claims", "stock-ledger", "outbox", "audit"} {
		now := s.export(t, name, nil)
		if len(now) < len(before[name]) {
			t.Errorf("%s has become shorter", name)
		} else if diff := cmp.Diff(before[name], now[:len(before[name])]); diff != "" && name != "claims" {
			t.Errorf("%s: the earlier export is not a prefix: %s", name, diff)
		}
	}
	eventually(t, "nothing is in flight", func() error {
		if a := s.admin("GET", "/admin/v1/drained", nil); a.json()["drained"] != true {
			return fmt.Errorf("%v", a)
		}
		return nil
	})
	free := int64(0)
	for _, l := range s.export(t, "stock-ledger", having("sale", sale)) {
		if delta, err := l["delta"].(json.Number).Int64(); err != nil {
			t.Errorf("%v: %v", l, err)
		} else if l["kind"] != "sell" {
			free += delta
		}
	}
	if l := s.stock(t, sale)[0]; free != l.Available {
		t.Errorf("the ledger without sales adds up to %d, stock is %+v", free, l)
	}
}
