package hostile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"penstock/test/cluster/rig"
)

// number is how many requests are made.
func number(t *testing.T) int {
	t.Helper()
	text := os.Getenv("HOSTILE")
	if text == "" {
		return 6_000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("HOSTILE=%s: a number is wanted", text)
	}
	return n
}

func seed(t *testing.T) uint64 {
	t.Helper()
	s := rand.Uint64()
	if text := os.Getenv("HOSTILE_SEED"); text != "" {
		var err error
		if s, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("HOSTILE_SEED=%s: a number is wanted", text)
		}
	}
	t.Logf("HOSTILE_SEED=%d", s)
	return s
}

// maxSeries bounds the metric series: routes by methods, answers and, for some, steps of a histogram.
const maxSeries = 8000

// victim is the process under attack.
type victim struct {
	*rig.Cluster
	t      *testing.T
	at     map[string]string // listener to address
	tokens []string
	log    string // all of its output
}

func open(t *testing.T) *victim {
	t.Helper()
	logs := t.TempDir()
	t.Setenv("CLUSTER_LOGS", logs)
	c := rig.New(t, rig.Plan{
		Binary: rig.Binary(t), Processes: []rig.Process{{Name: "all", Roles: "all"}},
		Env: []string{"PENSTOCK_PPROF=true"},
	})
	a := c.Nodes[0].Addresses()
	v := &victim{Cluster: c, t: t, at: map[string]string{"public": a.Public, "admin": a.Admin, "probe": a.Probe}, tokens: c.Tokens(50), log: filepath.Join(logs, "all.log")}
	if err := c.Offer("flash", 20, time.Hour); err != nil {
		t.Fatal(err)
	}
	return v
}

// get reads a page of the probe listener.
func (v *victim) get(path string) string {
	v.t.Helper()
	resp, err := http.Get("http://" + v.at["probe"] + path)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		v.t.Fatalf("%s: %d %v", path, resp.StatusCode, err)
	}
	return string(text)
}

// vitals is what a process has at a moment, after a collection of garbage.
type vitals struct {
	heap, resident          float64 // bytes
	goroutines, descriptors float64
	series                  int
	labels                  string
}

func (v *victim) vitals() vitals {
	v.t.Helper()
	v.get("/debug/pprof/heap?gc=1")
	text := v.get("/metrics")
	var out vitals
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		out.series++
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, _ := strconv.ParseFloat(value, 64)
		switch name {
		case "go_memstats_alloc_bytes":
			out.heap = n
		case "process_resident_memory_bytes":
			out.resident = n
		case "go_goroutines":
			out.goroutines = n
		case "process_open_fds":
			out.descriptors = n
		}
	}
	out.labels = text
	return out
}

func (v vitals) String() string {
	return fmt.Sprintf("%.1f MiB heap, %.0f MiB resident, %.0f goroutines, %.0f descriptors, %d series", v.heap/(1<<20), v.resident/(1<<20), v.goroutines, v.descriptors, v.series)
}

// over says what is more than the bounds allow over what was before.
func (v vitals) over(before vitals) []string {
	var all []string
	for _, b := range []struct {
		name              string
		now, then, margin float64
	}{
		{"bytes of heap", v.heap, before.heap, 24 << 20}, // what was won and created is kept, and caches are full now
		{"goroutines", v.goroutines, before.goroutines, 20}, {"descriptors", v.descriptors, before.descriptors, 20},
		{"bytes resident", v.resident, before.resident, 192 << 20}, // the collector gives memory back over minutes
	} {
		if b.now > b.then+b.margin {
			all = append(all, fmt.Sprintf("%.0f %s, %.0f before", b.now, b.name, b.then))
		}
	}
	return all
}

// Whatever is sent, the process stays, names each refusal, and has afterwards what it had before.
func TestHostileRequests(t *testing.T) {
	v, n := open(t), number(t)
	t.Run("raw", v.rawMessages)
	from := seed(t)
	ops := operations(t)
	v.attack(from, 1, n/10, ops) // caches and metrics of every route exist then
	before := v.rested(vitals{goroutines: 1 << 20, descriptors: 1 << 20, heap: 1 << 40, resident: 1 << 40})
	begun := time.Now()
	sum := v.attack(from, 2, n, ops)
	took := time.Since(begun)
	slow := v.slowly()
	after := v.rested(before)
	t.Logf("measured: %d hostile requests in %v, %d connections cut without an answer, %d slow or endless clients", sum.total, took.Round(time.Millisecond), sum.cut, slow)
	for _, what := range slices.Sorted(maps.Keys(sum.counts)) {
		t.Logf("measured: %7d  %s", sum.counts[what], what)
	}
	t.Logf("measured: before %v", before)
	t.Logf("measured: after  %v", after)
	for i, w := range sum.wrong {
		if i == 10 {
			t.Errorf("and %d more", len(sum.wrong)-10)
			break
		}
		t.Error(w)
	}
	for _, w := range after.over(before) {
		t.Error("not back to what it was: ", w)
	}
	if after.series > maxSeries || strings.Contains(after.labels, marker) {
		t.Errorf("%d metric series; the attacker's text is in them: %v", after.series, strings.Contains(after.labels, marker))
	}
	if sum.cut > sum.total/20 {
		t.Errorf("%d of %d connections were cut", sum.cut, sum.total)
	}
	v.checkLog()
	if err := v.Nodes[0].Ready(); err != nil || !v.Nodes[0].Running() {
		t.Errorf("afterwards: %v", err)
	}
}

// attack makes n requests on some connections at once.
func (v *victim) attack(seed, round uint64, n int, ops []operation) *tally {
	const workers = 16
	sum := newTally()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			m := newMaker(seed, round<<32|uint64(w), ops, v.tokens, v.Operator)
			clients := map[string]*client{}
			for listener, addr := range v.at {
				clients[listener] = &client{addr: addr}
				defer clients[listener].hangUp()
			}
			for range (n + workers - 1 - w) / workers {
				r := m.next()
				if m.chance(1) {
					v.leave(m, r)
					sum.note("left in the middle", "")
					continue
				}
				a, err := clients[r.listener].send(r)
				if err != nil {
					v.silent(sum, r, err)
					continue
				}
				sum.note(judge(r, a))
			}
		})
	}
	wg.Wait()
	return sum
}

// silent notes a request that was not answered. A connection may be cut by design: a server that closes with bytes unread resets
// it, and what it said may be lost. A handler that dies shows in the log.
func (v *victim) silent(sum *tally, r request, err error) {
	wrong := ""
	if ready := v.Nodes[0].Ready(); ready != nil || os.IsTimeout(err) {
		wrong = fmt.Sprintf("no answer: %v (then ready: %v)\n  asked %s: %.300q", err, ready, r.listener, r.bytes)
	}
	sum.note("cut", wrong)
	sum.mu.Lock()
	defer sum.mu.Unlock()
	sum.cut++
}

// leave sends a part of a request and goes away.
func (v *victim) leave(m *maker, r request) {
	c := &client{addr: v.at[r.listener]}
	if c.dial() == nil {
		_, _ = c.conn.Write(r.bytes[:m.IntN(len(r.bytes))])
		c.hangUp()
	}
}

// rested waits until the process has no more than before, or for a while, and tells what it has.
func (v *victim) rested(before vitals) vitals {
	http.DefaultClient.CloseIdleConnections()
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(250 * time.Millisecond) {
		now := v.vitals()
		if len(now.over(before)) == 0 || time.Now().After(deadline) {
			return now
		}
	}
}

// checkLog reads all the process has written: each line is one object of its own making.
func (v *victim) checkLog() {
	v.t.Helper()
	text, err := os.ReadFile(v.log)
	if err != nil {
		v.t.Fatal(err)
	}
	lines, bad, panics := 0, 0, 0
	in := bufio.NewScanner(bytes.NewReader(text))
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		lines++
		var o map[string]any
		if err := json.Unmarshal(in.Bytes(), &o); err != nil || o["@timestamp"] == nil {
			if bad++; bad < 4 && lines > 20 {
				v.t.Errorf("line %d of the log is not the server's: %.300q", lines, in.Bytes())
			}
			continue
		}
		for _, name := range []string{"message", "level"} {
			if s, _ := o[name].(string); strings.Contains(s, marker) {
				v.t.Errorf("the attacker writes the %s: %.300q", name, in.Bytes())
			}
		}
		if s, _ := o["message"].(string); strings.Contains(s, "panic") {
			if panics++; panics < 4 {
				v.t.Errorf("a panic: %.600q", in.Bytes())
			}
		}
	}
	if bytes.ContainsRune(text, '\x1b') || bytes.ContainsRune(text, 0) {
		v.t.Error("control characters are in the log")
	}
	v.t.Logf("measured: %d lines of log, %d that are none (greeting included)", lines, bad)
}
