package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"penstock/internal/engines"
)

// call makes a call of HTTP with a bearer, and reads an answer of JSON.
func (s *server) call(t *testing.T, method, path, bearer, body string) (status int, raw []byte, answer map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.at["public"]+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Authorization": {"Bearer " + bearer}, "Idempotency-Key": {`"k1"`}, "Content-Type": {"application/json"}}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if raw, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	_ = json.Unmarshal(raw, &answer)
	return resp.StatusCode, raw, answer
}

// soon polls a condition for at most half a minute.
func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("%s did not happen within half a minute", what)
		}
		time.Sleep(50 * time.Millisecond) // polling a condition that a server brings about
	}
}

// pot is a draw of two servers, or of one that is both, with those who entered it.
type pot struct {
	at     [2]*server
	tokens []string
	paths  []string // of entries
	dir    string
}

// A draw from the first promise to the last pass: entrants join, the pot closes, a value given too early is refused, the one given
// later draws, those who were drawn in front buy with their passes, and everybody verifies what was published, by Go and by Node. So
// it goes in one process, and in two over MariaDB.
func TestDrawFromEndToEnd(t *testing.T) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		s := serveOn(t, filepath.Join(t.TempDir(), "data"), "--limits-ip", "off")
		drawn(t, s, s)
	})
	t.Run("two processes on MariaDB", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		flags := []string{"--limits-ip", "off", "--stock", engines.MariaDB(t).Database(t), "--keys-file", filepath.Join(dir, "keys.json")}
		a := serveOn(t, filepath.Join(dir, "a"), flags...)
		b := serveOn(t, filepath.Join(dir, "b"), flags...)
		a.environ = append(a.environ, "PENSTOCK_KEYS_FILE="+filepath.Join(dir, "keys.json"))
		drawn(t, a, b)
	})
}

const entrants, units = 8, 3

func drawn(t *testing.T, a, b *server) {
	p := &pot{at: [2]*server{a, b}, dir: t.TempDir()}
	p.file(t, "sale.json", fmt.Appendf(nil, `{"id":"d","title":"Draw","startsAt":"2020-01-01T00:00:00Z","endsAt":"2100-01-01T00:00:00Z","admission":"draw",
		"line":{"closesAt":%q,"publicSource":"the test's beacon","reach":5},"items":[{"sku":"tea","title":"Tea","price":500,"currency":"EUR","stock":%d,"limitPerUser":1}]}`,
		time.Now().Add(6*time.Second).UTC().Format(time.RFC3339Nano), units))
	a.do(t, 0, []string{"sale", "create", "-f", filepath.Join(p.dir, "sale.json")}, "d")
	p.promised(t)
	p.enter(t)
	told := p.watch(t, 0)
	p.close(t)
	a.do(t, 0, []string{"draw", "value", "d", "--value", "8f2c", "--reason", "round 7"}, "drawn")
	a.do(t, 1, []string{"draw", "value", "d", "--value", "other", "--reason", "a better one"}, "conflict")
	p.buy(t)
	if last := <-told; !strings.Contains(last, `"drawn":`) {
		t.Errorf("the stream of a place ended with %s", last)
	}
	p.verify(t)
	p.served(t)
}

// file writes a file and returns its path.
func (p *pot) file(t *testing.T, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// published saves what is published of the draw.
func (p *pot) published(t *testing.T, s *server, name, state string) {
	t.Helper()
	soon(t, "the draw being "+state, func() bool {
		status, raw, _ := s.call(t, "GET", "/v1/sales/d/draw", "", "")
		if status != 200 || !bytes.Contains(raw, []byte(`"state":"`+state+`"`)) {
			return false
		}
		p.file(t, name, raw)
		return true
	})
}

func (p *pot) promised(t *testing.T) {
	p.published(t, p.at[1], "promised.json", "collecting")
	p.at[0].do(t, 1, []string{"draw", "verify", filepath.Join(p.dir, "promised.json")}, "nothing is drawn yet")
	p.at[0].do(t, 1, []string{"draw", "value", "d", "--value", "8f2c", "--reason", "too early"}, "illegal-transition")
	p.at[0].do(t, 2, []string{"draw", "value", "d", "--reason", "r"}, "--value is needed")
	p.at[0].do(t, 2, []string{"draw", "value", "d", "--value", "x"}, "--reason is missing")
}

// enter has everybody join, by turns at either server; looking at an entry is for its user.
func (p *pot) enter(t *testing.T) {
	for i := range entrants {
		p.tokens = append(p.tokens, strings.TrimSpace(p.at[0].do(t, 0, []string{"token", "--user", fmt.Sprint("user", i)})))
	}
	for i, token := range p.tokens {
		status, raw, e := p.at[i%2].call(t, "POST", "/v1/sales/d/line", token, "{}")
		if status != 201 || e["state"] != "pot" {
			t.Fatalf("join: %d %s", status, raw)
		}
		p.paths = append(p.paths, "/v1/sales/d/line/"+e["entry"].(string))
	}
	if status, raw, _ := p.at[0].call(t, "POST", "/v1/sales/d/attempts", p.tokens[0], `{"sku":"tea","quantity":1}`); status != 403 || !bytes.Contains(raw, []byte("pass-required")) {
		t.Errorf("without a pass: %d %s", status, raw)
	}
}

// watch follows an entry by its stream until the draw has given it a place, and tells the last event.
func (p *pot) watch(t *testing.T, i int) <-chan string {
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+p.at[0].at["public"]+p.paths[i], nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Authorization": {"Bearer " + p.tokens[i]}, "Accept": {"text/event-stream"}}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("the stream of a place: %d %v", resp.StatusCode, resp.Header)
	}
	last, first := make(chan string, 1), make(chan string, 1)
	go func() {
		defer resp.Body.Close()
		event, n := "", 0
		for in := bufio.NewScanner(resp.Body); in.Scan() && !strings.Contains(event, `"drawn":`); {
			if data, ok := strings.CutPrefix(in.Text(), "data: "); ok {
				if event = data; n == 0 {
					first <- data
				}
				n++
			}
		}
		last <- event
	}()
	if e := <-first; !strings.Contains(e, `"state":"pot"`) {
		t.Errorf("the first event of the stream is %s", e)
	}
	return last
}

// close waits for the pot to be closed, and for the list to be out long enough for a value; a value that is given before is refused.
func (p *pot) close(t *testing.T) {
	p.published(t, p.at[0], "listed.json", "closed")
	p.at[0].do(t, 1, []string{"draw", "verify", filepath.Join(p.dir, "listed.json")}, "nothing is drawn yet")
	listed, err := os.ReadFile(filepath.Join(p.dir, "listed.json"))
	var doc struct {
		Draws []struct {
			ListedAt         time.Time
			ListHash, Secret string
			Entrants         []string
		}
	}
	if err != nil || json.Unmarshal(listed, &doc) != nil || len(doc.Draws[0].Entrants) != entrants || len(doc.Draws[0].ListHash) != 64 || doc.Draws[0].Secret != "" {
		t.Fatalf("the list: %s %v", listed, err)
	}
	soon(t, "the list being out for a moment", func() bool { return time.Since(doc.Draws[0].ListedAt) > 2100*time.Millisecond })
}

// buy waits until as many have passes as there are units, and has them buy, each at the other server than he looked at.
func (p *pot) buy(t *testing.T) {
	passes := map[int]string{}
	soon(t, "the passes", func() bool {
		for i, token := range p.tokens {
			if _, _, e := p.at[(i+1)%2].call(t, "GET", p.paths[i], token, ""); e["pass"] != nil {
				if passes[i] = e["pass"].(string); e["drawn"].(float64) > units {
					t.Errorf("%v has a pass for %d units", e, units)
				}
			}
		}
		return len(passes) == units
	})
	for i, pass := range passes {
		if status, raw, _ := p.at[i%2].call(t, "POST", "/v1/sales/d/attempts", pass, `{"sku":"tea","quantity":1}`); status != 201 {
			t.Errorf("with a pass: %d %s", status, raw)
		}
	}
	for _, bad := range []string{"p2.AAAA.AAAA", anyOf(passes) + "x"} {
		if status, raw, _ := p.at[0].call(t, "POST", "/v1/sales/d/attempts", bad, `{"sku":"tea","quantity":1}`); status != 401 {
			t.Errorf("a forged pass: %d %s", status, raw)
		}
	}
}

// anyOf returns one of the passes.
func anyOf(passes map[int]string) (pass string) {
	for _, pass = range passes {
		break
	}
	return pass
}

// verify recomputes what was published, here and by the verifier in Node, and finds what was altered.
func (p *pot) verify(t *testing.T) {
	p.published(t, p.at[1], "draw.json", "drawn")
	at := func(name string) string { return filepath.Join(p.dir, name) }
	s, agrees := p.at[0], fmt.Sprintf("agrees: sale d, SKU tea: %d entrants", entrants)
	s.do(t, 0, []string{"draw", "verify", at("draw.json"), "--before", at("promised.json")}, agrees)
	s.do(t, 0, []string{"draw", "verify", "--url", "http://" + s.at["public"] + "/v1/sales/d/draw", "--before", at("listed.json")}, agrees)
	s.do(t, 2, []string{"draw", "verify"}, "give a file or --url")
	s.do(t, 1, []string{"draw", "verify", at("promised.json")}, "nothing is drawn yet", "collecting")
	s.do(t, 2, []string{"draw", "verify", "--url", "http://" + s.at["public"] + "/v1/sales/nobodys/draw"}, "answered 404", "no sale")
	s.do(t, 2, []string{"line", "verify", at("promised.json")}, "no export")
	text, err := os.ReadFile(at("draw.json"))
	if err != nil {
		t.Fatal(err)
	}
	p.file(t, "altered.json", bytes.Replace(text, []byte("8f2c"), []byte("8f2d"), 1))
	listed, err := os.ReadFile(at("listed.json"))
	if err != nil {
		t.Fatal(err)
	}
	i := bytes.Index(listed, []byte(`"listHash":"`)) + len(`"listHash":"`)
	p.file(t, "another.json", append(append(bytes.Clone(listed[:i]), "0000"...), listed[i+4:]...))
	s.do(t, 1, []string{"draw", "verify", at("altered.json")}, "DISAGREES")
	s.do(t, 1, []string{"draw", "verify", at("draw.json"), "--before", at("another.json")}, "DISAGREES", "list of entrants")
	if _, err := exec.LookPath("node"); err != nil {
		t.Log("node is not installed: the verifier in Node was not run")
		return
	}
	node := func(args ...string) (string, error) {
		out, err := exec.Command("node", append([]string{"../../examples/draw-verify/verify.mjs"}, args...)...).CombinedOutput()
		return string(out), err
	}
	for _, before := range []string{"promised.json", "listed.json"} {
		if out, err := node(at("draw.json"), at(before)); err != nil || !strings.Contains(out, agrees) {
			t.Errorf("Node: %v %s", err, out)
		}
	}
	for _, args := range [][]string{{at("altered.json")}, {at("draw.json"), at("another.json")}} {
		if out, err := node(args...); err == nil {
			t.Errorf("Node agrees with %v: %s", args, out)
		}
	}
}

// served looks at what operators see, and recomputes the order of calls.
func (p *pot) served(t *testing.T) {
	s := p.at[0]
	soon(t, "the passes being used", func() bool {
		var page struct {
			Items []struct{ Used, Waiting, Total int }
		}
		out := s.do(t, 0, []string{"line", "show", "d", "--json"})
		return json.Unmarshal([]byte(out), &page) == nil && page.Items[0].Used == units && page.Items[0].Total == entrants
	})
	s.do(t, 0, []string{"line", "show", "d"}, "ADMISSION", "draw", "drawn", "tea")
	s.do(t, 1, []string{"line", "show", "nowhere"}, "not-found")
	export := s.do(t, 0, []string{"export", "line"})
	s.do(t, 0, []string{"line", "verify", p.file(t, "line.ndjson", []byte(export))}, fmt.Sprintf("in order: 1 lines, %d entries, %d calls", entrants, units))
	bad := strings.Replace(export, `"seq":2,`, `"seq":9,`, 1)
	s.do(t, 1, []string{"line", "verify", p.file(t, "bad.ndjson", []byte(bad))}, "not served in its order")
	s.do(t, 2, []string{"line", "verify", filepath.Join(p.dir, "gone")}, "export line")
	s.do(t, 0, []string{"export", "audit"}, "draw.value", "round 7")
}
