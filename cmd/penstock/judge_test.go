package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"penstock/check"
)

// shell runs a command line and returns its exit code and what it wrote.
func shell(t *testing.T, args ...string) (code int, out, err string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), &env{in: strings.NewReader(""), out: &o, err: &e, exit: func(int) { t.Error("exit at once") }}, args)
	return code, o.String(), e.String()
}

// A demo sells what there is, passes its own verdict, and leaves a directory that a check without a server passes too, with the
// history of its buyers. A directory that was tampered with fails.
func TestDemoThenCheck(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	report := filepath.Join(t.TempDir(), "demo.json")
	code, out, errText := shell(t, "demo", "--exit", "--stock", "15", "--buyers", "120", "--rate", "1000", "--seed", "7", "--pay", "1", "--cancel", "0", "--data", dir, "--json", report)
	if code != 0 || !strings.Contains(out, "verdict: pass") {
		t.Fatalf("exit %d\n%s%s", code, out, errText)
	}
	var rep struct {
		Verdict       string
		Won, Attempts int64
		Seed          int64
	}
	text, err := os.ReadFile(report)
	if err == nil {
		err = json.Unmarshal(text, &rep)
	}
	if err != nil || rep.Verdict != "pass" || rep.Won != 15 || rep.Seed != 7 || rep.Attempts < 120 {
		t.Errorf("%+v %v", rep, err)
	}
	if page, err := os.ReadFile(filepath.Join(dir, "report.html")); err != nil || !bytes.Contains(page, []byte("Stock over time")) {
		t.Errorf("the page: %d bytes, %v", len(page), err)
	}
	history := filepath.Join(dir, "history.ndjson")
	if code, out, errText = shell(t, "check", "--data", dir, "--history", history, "--json", "-"); code != 0 || !strings.Contains(out, `"verdict": "pass"`) {
		t.Errorf("check: exit %d\n%s%s", code, out, errText)
	}
	text, err = os.ReadFile(history)
	if err != nil {
		t.Fatal(err)
	}
	forged := strings.Replace(string(text), `"order":"`, `"order":"1`, 1)
	if err := os.WriteFile(history, []byte(forged), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, _ = shell(t, "check", "--data", dir, "--history", history); code != 1 || !strings.Contains(out, "acked is durable, once         fail") {
		t.Errorf("check against a forged history: exit %d\n%s", code, out)
	}
}

// A directory whose stock row contradicts its journal, which no server starts on, is judged all the same, and as a whole.
func TestCheckJudgesWhatNoServerStartsOn(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	if code, out, errText := shell(t, "demo", "--exit", "--stock", "3", "--buyers", "20", "--rate", "1000", "--seed", "11", "--pay", "1", "--cancel", "0", "--data", dir); code != 0 {
		t.Fatalf("exit %d\n%s%s", code, out, errText)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "stock.db"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec("PRAGMA ignore_check_constraints = 1; UPDATE stock SET sold = sold + 2, available = available - 2")
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	code, out, errText := shell(t, "check", "--data", dir, "--json", "-")
	var rep check.Report
	if err := json.Unmarshal([]byte(out), &rep); err != nil || code != exitFailed || rep.Verdict != check.Fail {
		t.Fatalf("exit %d, %v\n%s%s", code, err, out, errText)
	}
	if failed := rep.Failed(); !slices.Equal(failed, []string{"I1", "I2"}) {
		t.Errorf("failed: %v\n%s", failed, rep.Text())
	}
	if code, out, errText = shell(t, "serve", "--data", dir, "--listen-public", "127.0.0.1:0", "--listen-admin", "127.0.0.1:0", "--listen-probe", "127.0.0.1:0", "--listen-sandbox", "127.0.0.1:0"); code != exitFailed || !strings.Contains(errText, "does not add up") {
		t.Errorf("serve: exit %d\n%s%s", code, out, errText)
	}
}

// Wrong usage is said in one line with what to do, and ends with the code for it.
func TestJudgesRefuseNonsense(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tokens := filepath.Join(dir, "tokens")
	if err := os.WriteFile(tokens, []byte("no.token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	there := []string{"--url", "http://127.0.0.1:1", "--admin-url", "http://127.0.0.1:1", "--sale", "s", "--token", "t"}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"check", "--data", dir}, exitUnreachable, "no stock database"},
		{[]string{"check", "--url", "http://127.0.0.1:1", "--token", "t"}, exitUnreachable, "unreachable"},
		{[]string{"check", "--exports", dir}, exitUnreachable, "sales.ndjson"},
		{[]string{"check", "--history", filepath.Join(dir, "gone")}, exitUsage, "gone"},
		{[]string{"check", "--wait", "-1s"}, exitUsage, "--no-wait"},
		{[]string{"storm"}, exitUsage, "--url, --admin-url and --sale"},
		{append([]string{"storm", "--data", dir}, there...), exitUnreachable, "cannot reach"},
		{append([]string{"storm", "--data", dir}, there[:6]...), exitUnreachable, "cannot reach"},
		{[]string{"check", "--data", dir, "--url", "http://127.0.0.1:1"}, exitUnreachable, "cannot reach"},
		{append([]string{"storm", "--tokens", tokens}, there...), exitUsage, "line 1"},
		{append([]string{"storm", "--data", dir, "--outcomes", "x"}, there...), exitUnreachable, "cannot reach"},
		{[]string{"demo", "--exit", "--outcomes", "captured=1"}, exitUsage, "none of capture"},
		{[]string{"demo", "--exit", "--json", filepath.Join(dir, "gone", "x.json")}, exitUsage, "cannot be written"},
		{[]string{"demo", "--exit", "--json", dir}, exitUsage, "is a directory"},
		{[]string{"help", "stampede"}, exitUsage, `"stampede" is not a command of penstock`},
		{[]string{"help", "sale", "creat"}, exitUsage, "did you mean `penstock sale create`"},
		{[]string{"demo", "--stock", "0"}, exitUsage, "--stock is 0"},
		{[]string{"demo", "--data", dir}, exitUsage, "not empty"},
		{[]string{"demo", "--exit", "--rate", "0"}, exitUsage, "rate is 0"},
		{[]string{"demo", "--exit", "--outcomes", "capture"}, exitUsage, "name=weight"},
	} {
		code, out, errText := shell(t, c.args...)
		if code != c.code || !strings.Contains(errText, c.want) || strings.Contains(errText, "goroutine") || out != "" && c.args[0] != "demo" {
			t.Errorf("%v: exit %d, want %d with %q\n%s%s", c.args, code, c.code, c.want, out, errText)
		}
	}
}

// A token names its user.
func TestSubject(t *testing.T) {
	t.Parallel()
	if user, err := subject("x.eyJzdWIiOiJhbm4ifQ.y"); err != nil || user != "ann" {
		t.Errorf("%q %v", user, err)
	}
	for _, bad := range []string{"", "x.y", "x.!.y", "x.e30.y"} {
		if user, err := subject(bad); err == nil {
			t.Errorf("%q names %q", bad, user)
		}
	}
}
