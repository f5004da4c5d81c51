package resilience

import (
	"bufio"
	"flag"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// options are the flags of the long form.
type options struct {
	soak    int
	update  bool
	results string
}

func flags() (o options) {
	get := func(name string) any { return flag.Lookup(name).Value.(flag.Getter).Get() }
	return options{get("soak").(int), get("update").(bool), get("results").(string)}
}

func TestMain(m *testing.M) {
	flag.Int("soak", 0, "run all cells, so many times")
	flag.String("results", "", "append what is measured to this file")
	flag.Bool("update", false, "write docs/resilience.md from that file")
	flag.Parse()
	os.Exit(m.Run())
}

// Whatever goes bad for a while, and however: no promise is broken, every unknown outcome settles, the sale sells out exactly,
// and afterwards everything is well again without help.
func TestFaults(t *testing.T) {
	w := newWorld(t)
	o := flags()
	chosen := choose(t, o.soak > 0)
	first := number(t, "RESILIENCE_SEED", time.Now().UnixMicro())
	for i := range max(o.soak, 1) {
		for _, d := range matrix() {
			for _, f := range d.faults {
				id := d.id + "/" + f.name
				if f.not == "" && chosen(id) {
					t.Run(id, func(t *testing.T) { w.keep(t, o.results, id, w.cell(t, id, f, first+int64(i))) })
				}
			}
		}
	}
	w.leaks(t)
}

// cell runs a cell and leaves a world in which the next can run.
func (w *world) cell(t *testing.T, id string, f fault, seed int64) result {
	res := w.run(t, id, f, seed)
	t.Logf("measured: %s, seed %d: buys %+v, pays %+v, lists %+v, all %+v; first win %v, normal %v %v, ready %v (%d were not); %.1f lines/s",
		id, seed, res.Buys, res.Pays, res.Lists, res.All, res.FirstWin, res.Normal, res.Late, res.Ready, res.UnreadyDuring, res.Lines)
	for _, wrong := range res.Wrong {
		t.Error(wrong)
	}
	if len(res.Wrong) > 0 {
		for _, n := range w.Nodes {
			t.Logf("log of %s:\n%s", n.Name, n.Tail())
		}
		w.renew()
	}
	return res
}

// choose says which cells to run.
func choose(t *testing.T, all bool) func(id string) bool {
	if only := os.Getenv("RESILIENCE_ONLY"); only != "" {
		re, err := regexp.Compile(only)
		if err != nil {
			t.Fatalf("RESILIENCE_ONLY: %v", err)
		}
		return re.MatchString
	}
	return func(id string) bool { return all || slices.Contains(brief, id) }
}

func number(t *testing.T, name string, otherwise int64) int64 {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// leaks fails the test when a process has many more goroutines than when it began: something waits for what never comes.
func (w *world) leaks(t *testing.T) {
	t.Helper()
	now, deadline := w.goroutines(), time.Now().Add(bound)
	for grown(w.before, now) != "" && time.Now().Before(deadline) {
		wait(t.Context(), time.Second)
		now = w.goroutines()
	}
	if name := grown(w.before, now); name != "" {
		t.Errorf("%s has %.0f goroutines, it began with %.0f", name, now[name], w.before[name])
	}
	t.Logf("measured: goroutines at the start %v, at the end %v", w.before, now)
}

// room is for what comes with having worked: above all the provider's idle connections, 128 with two goroutines each.
const room = 400

func grown(before, now map[string]float64) string {
	for name, n := range now {
		if n > before[name]+room {
			return name
		}
	}
	return ""
}

// goroutines is what each process says of itself.
func (w *world) goroutines() map[string]float64 {
	all := map[string]float64{}
	for _, n := range w.Nodes {
		resp, err := http.Get("http://" + n.Addresses().Probe + "/metrics")
		if err != nil {
			w.t.Errorf("metrics of %s: %v", n.Name, err)
			continue
		}
		in := bufio.NewScanner(resp.Body)
		for in.Scan() {
			if value, found := strings.CutPrefix(in.Text(), "go_goroutines "); found {
				all[n.Name], _ = strconv.ParseFloat(value, 64) // a number by its format
			}
		}
		resp.Body.Close()
	}
	return all
}
