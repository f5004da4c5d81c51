package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"penstock/bus/driver"
	"penstock/bus/sqlstore"
	"penstock/engine/sqlite"
)

// There is one running server for all of this, with a participant and a webhook's receiver beside it: what each part needs is in
// its data directory before, or comes about by buying and paying.
type trade struct {
	*server
	away  atomic.Bool // the participant answers 500
	posts atomic.Int64
	there *httptest.Server
}

func open(t *testing.T) *trade {
	t.Helper()
	x := &trade{}
	x.there = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/hook" {
			x.posts.Add(1)
		} else if x.away.Load() && r.URL.Path != "/try" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(x.there.Close)
	data := filepath.Join(t.TempDir(), "data")
	bury(t, data, 12)
	x.server = serveOn(t, data, "--webhooks-allow-insecure", "--webhooks-allow-private", "--transactions-tries", "1", "--transactions-participants", "shipping="+x.there.URL)
	file := filepath.Join(t.TempDir(), "sale.json")
	if err := os.WriteFile(file, []byte(saleJSON), 0o600); err != nil {
		t.Fatal(err)
	}
	x.do(t, 0, []string{"sale", "create", "-f", file})
	return x
}

// bury puts dead letters of user0, user1 and user2 by turns into the directory of a server to be.
func bury(t *testing.T, data string, n int) {
	t.Helper()
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	db, err := sqlstore.Open(t.Context(), filepath.Join(data, "bus.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		m := driver.Message{ID: fmt.Sprint("old-", i), Topic: "stock", User: fmt.Sprint("user", i%3), Key: fmt.Sprint("k", i), Type: "stock.lost",
			Payload: []byte(`{"v":1}`), At: time.Now(), Headers: map[string]string{"version": "1"}}
		l := &driver.DeadLetter{Group: "orders", Message: m, Reason: "poison: no order follows this", Attempts: 1, FailedAt: time.Now(), State: driver.Dead}
		if err := sqlstore.New(db).Settle(t.Context(), "orders", []driver.Outcome{{Parked: driver.Parked{Message: m}, Dead: l}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// ask makes a call of HTTP and returns the answer.
func (x *trade) ask(t *testing.T, url, token, body string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Authorization": {"Bearer " + token}, "Idempotency-Key": {`"k2"`}, "Content-Type": {"application/json"}}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

// paid buys for a user and pays with an outcome of the sandbox.
func (x *trade) paid(t *testing.T, user, outcome string) (order string) {
	t.Helper()
	token := strings.TrimSpace(x.do(t, 0, []string{"token", "--user", user}))
	order = x.buy(t, token)
	if status, said := x.ask(t, x.at["public"]+"/v1/orders/"+order+"/payments", token, `{"method":"sandbox","outcome":"`+outcome+`"}`); status != 201 {
		t.Fatalf("pay: %d %s", status, said)
	}
	return order
}

// until repeats a command until what it says matches, and returns the first group of the match.
func (x *trade) until(t *testing.T, pattern string, args ...string) string {
	t.Helper()
	want := regexp.MustCompile(pattern)
	for limit := time.Now().Add(60 * time.Second); ; {
		_, out, stderr := process(t, x.environ, args...)
		if m := want.FindStringSubmatch(out); m != nil {
			return m[len(m)-1]
		}
		if time.Now().After(limit) {
			t.Fatalf("%q never said %q, but %s%s", args, pattern, out, stderr)
		}
	}
}

// object is what a command says with --json.
func (x *trade) object(t *testing.T, code int, args ...string) (got map[string]any) {
	t.Helper()
	out := x.do(t, code, append(args, "--json"))
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Errorf("%q --json is no JSON object: %v: %s", args, err, out)
	}
	return got
}

// said is one command with its exit code and what it must say.
type said struct {
	words string // separated by blanks; ~ is a blank within a word
	code  int
	want  string
}

func (x *trade) all(t *testing.T, lines ...said) {
	t.Helper()
	for _, l := range lines {
		args := strings.Fields(l.words)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "~", " ")
		}
		x.do(t, l.code, args, l.want)
	}
}

// Every command of an operator does against a running server what it says, refuses what is wrong with the code for it and a word
// about what is wrong, and has its answer as JSON.
func TestOperatorsCommands(t *testing.T) {
	t.Parallel()
	x := open(t)
	t.Run("balance", x.balances)
	t.Run("case", x.cases)
	t.Run("statement", x.statements)
	t.Run("report", x.reports)
	t.Run("dlq", x.letters)
	t.Run("webhook", x.webhooks)
	t.Run("app", x.apps)
	t.Run("saga", x.sagas)
	x.do(t, 0, []string{"export", "audit"}, "case.", "dead-letter.replay", "dead-letter.discard", "dead-letter.edit", "webhook.")
	x.end(t)
}

func (x *trade) balances(t *testing.T) {
	x.all(t, said{"balance add ann --amount 5000 --currency EUR --reason top~up --key b1", 0, "5000 EUR"},
		said{"balance add ann --amount 5000 --currency EUR --reason top~up --key b1", 0, "5000 EUR"},
		said{"balance add ann --amount 1 --currency EUR --reason top~up --key b1", 2, "key-reused"},
		said{"balance show ann", 0, "5000 EUR"},
		said{"balance add ann --amount -9000 --currency EUR --reason out", 1, "balance"},
		said{"balance limit ann --limit 700 --currency EUR --reason trusted", 0, "700 EUR"},
		said{"balance add ann --amount -5500 --currency EUR --reason out", 0, "withdrawal"},
		said{"balance entries ann", 0, "top up"},
		said{"balance entries ann --limit 1", 0, "withdrawal"},
		said{"balance add ann --amount 5 --currency euro --reason r", 2, "currency"},
		said{"balance add ann --amount 1x --currency EUR --reason r", 2, `--amount is "1x"; it is a whole number`},
		said{"balance add ann --amount 5 --currency EUR", 2, "--reason is missing"},
		said{"balance limit ann --limit -1 --currency EUR --reason r", 2, "--limit, at least 0"},
		said{"balance show nobody", 0, "USER"})
	if got := x.object(t, 0, "balance", "show", "ann"); fmt.Sprint(got["user"]) != "ann" {
		t.Errorf("%v", got)
	}
	if items, _ := x.object(t, 0, "balance", "entries", "ann")["items"].([]any); len(items) != 2 {
		t.Errorf("%d entries, wanted one for each act", len(items))
	}
}

func (x *trade) cases(t *testing.T) {
	x.paid(t, "eve", "wrong_amount")
	id := x.until(t, `(\d+) +mismatch +open`, "case", "list")
	x.all(t, said{"case show " + id, 0, "may refund"},
		said{"case list --kind silent", 0, "CASE"}, said{"case list --kind nonsense", 2, "second-capture"},
		said{"case accept " + id, 2, "--reason is missing"}, said{"case retry " + id + " --reason r", 2, "takes one of refund, accept"},
		said{"case show 99", 1, "not-found"}, said{"case show x", 1, "not-found"}, said{"case show", 2, "takes 1 argument"},
		said{"case accept " + id + " --reason looked~at", 0, "accept"}, said{"case accept " + id + " --reason again", 0, "looked at"}, said{"case refund " + id + " --reason r", 1, "illegal-transition"},
		said{"case list --all", 0, "accept"})
	if got := x.object(t, 0, "case", "show", id); fmt.Sprint(got["id"]) != id || got["closing"] == nil {
		t.Errorf("%v", got)
	}
}

func (x *trade) statements(t *testing.T) {
	order := x.paid(t, "bob", "capture")
	x.until(t, `(paid)`, "order", "show", order)
	day := time.Now().UTC().Format(time.DateOnly)
	resp, err := http.Get("http://" + x.at["sandbox"] + "/statement?day=" + day)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %s %v", resp.StatusCode, raw, err)
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	whole := write("whole.csv", string(raw))
	torn := write("torn.csv", strings.Replace(string(raw), "500", "501", 1))
	wild := write("wild.csv", "this,is\nno,statement\n")
	x.do(t, 0, []string{"statement", "check", "-f", whole, "--day", day}, "0 differences", "captured map[EUR:")
	x.do(t, 1, []string{"statement", "check", "-f", torn, "--day", day}, "501", "difference(s)")
	x.do(t, 1, []string{"statement", "check", "-f", wild}, "line 1")
	x.all(t, said{"statement check", 2, "-f is missing"}, said{"statement check -f /nowhere.csv", 2, "/nowhere.csv"},
		said{"statement check -f " + whole + " --day monday", 2, `"monday" is not a day`},
		said{"statement check -f " + whole + " --provider nobody", 2, "provider"})
	out := x.do(t, 1, []string{"statement", "check", "-f", torn, "--json"})
	for line := range strings.Lines(out) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no line of JSON: %s", line)
		}
	}
}

func (x *trade) reports(t *testing.T) {
	dir := t.TempDir()
	for name, has := range map[string]string{"r.html": "<polygon", "r.json": `"sale"`, "r.xlsx": "PK"} {
		path := filepath.Join(dir, name)
		x.do(t, 0, []string{"report", "--sale", "s1", "-o", path})
		if raw, err := os.ReadFile(path); err != nil || !strings.Contains(string(raw), has) {
			t.Errorf("%s: %d bytes without %q, %v", name, len(raw), has, err)
		}
	}
	x.all(t, said{"report --sale s1", 2, ".xlsx"}, said{"report -o r.html", 2, "--sale"}, said{"report --sale s1 -o r.pdf", 2, ".xlsx"},
		said{"report --sale nothing -o " + dir + "/n.html", 1, "not-found"}, said{"report --sale s1 -o " + dir + "/no/where.html", 2, "no/where"})
	if left, _ := filepath.Glob(dir + "/n*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func (x *trade) letters(t *testing.T) {
	x.all(t, said{"dlq list --user user1", 0, "no order follows this"}, said{"dlq list --from yesterday", 2, "from"},
		said{"dlq show 1", 0, `{"v":1}`}, said{"dlq show 99", 1, "not-found"},
		said{"dlq discard-all --reason r", 2, "say --all"}, said{"dlq discard-all --all", 2, "--reason is missing"},
		said{"dlq replay-all --all --rate fast --reason r", 2, `--rate is "fast"; it is a number`}, said{"dlq replay-all --all --rate -1 --reason r", 2, "above 0"},
		said{"dlq replay-all --all --rate 5000 --reason r", 2, "rate"}, said{"dlq discard-all --all --cursor x --reason r", 2, "cursor"},
		said{"dlq discard-all --user user1 --reason sent~twice", 0, "4 settled, 0 skipped"}, said{"dlq discard-all --user user1 --reason again", 0, "0 settled"},
		said{"dlq edit 1 --payload { --reason r", 2, "no JSON"}, said{"dlq edit 1 --reason r", 2, "--payload is missing"},
		said{"dlq edit 1 --payload @/nowhere --reason r", 2, "/nowhere"},
		said{"dlq edit 1 --payload {} --reason mended", 0, "new message"}, said{"dlq edit 1 --payload {} --reason again", 1, "conflict"})
	if got := x.object(t, 0, "dlq", "replay-all", "--user", "user2", "--reason", "mended"); fmt.Sprint(got["settled"], got["skipped"]) != "4 0" {
		t.Errorf("%v", got)
	}
	x.until(t, `(?s)(user2.*user2.*user2.*user2)`, "dlq", "list") // they died again, as new letters
	if n := strings.Count(x.do(t, 0, []string{"dlq", "list", "--user", "user2"}), "poison: "); n != 4 {
		t.Errorf("%d letters of user2 after a replay of 4 that die again", n)
	}
}

func (x *trade) webhooks(t *testing.T) {
	made := x.object(t, 0, "webhook", "create", "--to", x.there.URL+"/hook", "--events", "stock.*", "--rate", "20")
	id := fmt.Sprint(made["id"])
	if !strings.HasPrefix(fmt.Sprint(made["secret"]), "whsec_") {
		t.Errorf("%v", made)
	}
	x.all(t, said{"webhook list", 0, id}, said{"webhook show " + id, 0, "enabled"}, said{"webhook ping " + id + " --reason try", 0, "true"},
		said{"webhook change " + id + " --rate 30 --reason more", 0, "30/s"}, said{"webhook rotate " + id + " --overlap 1h --reason leak", 0, "whsec_"},
		said{"webhook disable " + id + " --reason look", 0, "disabled"}, said{"webhook enable " + id + " --reason looked", 0, "enabled"})
	x.paid(t, "fay", "capture")
	delivery := x.until(t, `(\d+) +delivered +stock.sold`, "webhook", "deliveries", id)
	x.all(t, said{"webhook replay " + id + " --delivery " + delivery + " --reason lost", 0, delivery},
		said{"webhook replay " + id + " --since 2020-01-01T00:00:00Z --reason lost", 0, "QUEUED"},
		said{"webhook replay " + id + " --since " + time.Now().Add(-time.Hour).UTC().Format(time.RFC3339) + " --delivered --reason lost", 0, "QUEUED"},
		said{"webhook replay " + id + " --reason r", 2, "--delivery or --since"}, said{"webhook replay " + id + " --since monday --reason r", 2, "since"},
		said{"webhook deliveries " + id + " --state lost", 2, "state"}, said{"webhook create --to " + x.there.URL, 2, "--events are needed"},
		said{"webhook create --to ftp://x --events *", 2, "url"}, said{"webhook change " + id + " --rate 0x --reason r", 2, `--rate is "0x"; it is a whole number`}, said{"webhook rotate " + id + " --overlap soon --reason r", 2, "such as 90s"},
		said{"webhook disable " + id, 2, "--reason is missing"}, said{"webhook show wh_none", 1, "not-found"},
		said{"webhook delete " + id + " --reason done --json", 0, `"deleted": "` + id + `"`}, said{"webhook show " + id, 1, "not-found"})
	if x.posts.Load() < 2 {
		t.Errorf("the receiver had %d posts", x.posts.Load())
	}
}

func (x *trade) sagas(t *testing.T) {
	token := strings.TrimSpace(x.do(t, 0, []string{"token", "--user", "op", "--role", "operator"}))
	begin := func(id string) {
		t.Helper()
		status, said := x.ask(t, x.at["admin"]+"/admin/v1/transactions", token, `{"id":"`+id+`","branches":[{"name":"parcel","participant":"shipping","payload":{"to":"ann"},"stake":{"amount":500,"currency":"EUR"}}]}`)
		if status/100 != 2 {
			t.Fatalf("begin: %d %s", status, said)
		}
	}
	begin("good")
	x.away.Store(true)
	begin("stuck")
	x.until(t, `(stuck) +tcc +needs_human`, "saga", "list", "--state", "needs_human")
	x.all(t, said{"saga list", 0, "good"}, said{"saga show stuck", 0, "500 EUR"}, said{"saga list --state odd", 2, "state"}, said{"saga show none", 1, "not-found"},
		said{"saga resolve stuck --action fly --reason r", 2, `--action is "fly"`}, said{"saga resolve stuck --action retry", 2, "--reason is missing"},
		said{"saga resolve good --action retry --reason r", 1, "illegal-transition"}, said{"saga resolve stuck --action cancel --reason r --settled nothing", 2, "nothing"})
	x.away.Store(false)
	x.all(t, said{"saga resolve stuck --action retry --reason shipping~is~back", 0, "stuck"})
	x.until(t, `(stuck) +tcc +confirmed`, "saga", "show", "stuck")
	if got := x.object(t, 0, "saga", "show", "stuck"); got["id"] != "stuck" || got["state"] != "confirmed" {
		t.Errorf("%v", got)
	}
}

// Where no server is, every command says so with the code for it, and that it may be repeated or not.
func TestNoServer(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "s.csv")
	if err := os.WriteFile(file, []byte("type,ref,payment,amount,currency\ncapture,r,1,5,EUR\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{
		"balance show a", "balance add a --amount 1 --currency EUR --reason r", "case list", "case accept 1 --reason r", "statement check -f " + file, "report --sale s -o " + file + ".html",
		"dlq replay-all --all --reason r", "dlq discard-all --user u --reason r", "dlq edit 1 --payload {} --reason r", "saga list", "saga resolve a --action retry --reason r",
		"webhook list", "webhook create --to https://x --events *", "webhook delete wh --reason r",
	} {
		code, out, stderr := process(t, nil, append(strings.Fields(words), "--url", "http://127.0.0.1:1", "--token", "t")...)
		if code != exitUnreachable || !strings.Contains(stderr, "cannot reach http://127.0.0.1:1") || !strings.Contains(stderr, "hint: is the server running?") || out != "" {
			t.Errorf("%s: exit code %d, said %s%s", words, code, out, stderr)
		}
	}
}
