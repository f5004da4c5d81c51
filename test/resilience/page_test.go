package resilience

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// page is where the matrix is published, from the root of the checkout.
const page = "docs/resilience.md"

const head = `# What the buyer sees when something breaks

Made by ` + "`make soak`" + ` from what its runs measured (` + "`test/resilience`" + `); do not edit by hand.

Five processes on real engines: operators; timers and relay; the payment provider; two that sell and write orders. Each engine stands behind a
proxy that spoils its connections, or is itself stopped, killed or emptied. A run is a stampede of %.0f arrivals a second, most of whom ask again until the
answer is final and pay when they win; the fault comes after %s and lasts %s unless its name says otherwise. Buyers give a call 8 s; an attempt is
answered within 2 s, if need be by *not yet known* (202).

- **Buying, paying, own orders, all orders**: answers to the calls that were made while the fault lasted, by kind, and the slowest answer. *Shed* is 503, not executed; *failed* is
  any other 5xx and what the router answers for a process that is gone; *silent* is no answer within 8 s. Paying counts the calls of winners, of which there are few when few win. *Own orders* are lists by buyers, *all orders* lists by an operator, which need every order database.
- **First win**: from the end of the fault, which is when the dependency answers again, to the next win that a buyer was told.
- **Normal**: from there to the last call that was shed, unknown, failed, silent or slower than %s; 0 when no such call was made after the end.
- **Kept**: runs in which ` + "`penstock check`" + ` passed on all invariants, every unknown answer was settled, the sale sold out to the exact unit, all processes were still there and ready, and somebody won afterwards.

Medians of the runs, worst in brackets where there are several. Times are of a machine that does everything at once; the row *nothing* shows what it does to them without any fault.

`

// writePage makes the page from a file of results.
func writePage(t *testing.T, name string) {
	t.Helper()
	all, err := kept(name)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join("..", "..", filepath.FromSlash(page))
	if err = os.WriteFile(to, []byte(render(all)), 0o644); err != nil {
		t.Fatal(err)
	}
}

func render(all []measured) string {
	var b strings.Builder
	fmt.Fprintf(&b, head, rate, short(lead), short(usual), short(slow))
	byID, commits := map[string][]result{}, []string{}
	var last time.Time
	most := 0 // runs of one cell
	for _, m := range all {
		byID[m.ID] = append(byID[m.ID], m.result)
		most = max(most, len(byID[m.ID]))
		if !slices.Contains(commits, m.Commit) {
			commits = append(commits, m.Commit)
		}
		if m.At.After(last) {
			last = m.At
		}
	}
	fmt.Fprintf(&b, "| date | commit | machine | command | cells run |\n|---|---|---|---|---|\n| %s | %s | %s | `make soak SOAK=%d` | %d |\n",
		last.Format(time.DateOnly), strings.Join(commits, ", "), machine(), most, len(all))
	for _, d := range matrix() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", d.name, d.promise)
		b.WriteString("| fault | buying | paying | own orders | all orders | first win | normal | kept |\n|---|---|---|---|---|---|---|---|\n")
		for _, f := range d.faults {
			row(&b, f, byID[d.id+"/"+f.name])
		}
	}
	return b.String()
}

func row(b *strings.Builder, f fault, runs []result) {
	switch {
	case f.not != "":
		fmt.Fprintf(b, "| %s | *not run*: %s | | | | | | |\n", f.name, f.not)
		return
	case len(runs) == 0:
		fmt.Fprintf(b, "| %s | *not run*: no run of this page had it | | | | | | |\n", f.name)
		return
	}
	good := 0
	for i := range runs {
		if len(runs[i].Wrong) == 0 {
			good++
		}
	}
	first, normal := times(runs, func(r *result) time.Duration { return r.FirstWin }), times(runs, func(r *result) time.Duration { return r.Normal })
	fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %d of %d |\n", f.name,
		said(runs, "won", func(r *result) answers { return r.Buys }), said(runs, "taken on", func(r *result) answers { return r.Pays }),
		said(runs, "read", func(r *result) answers { return r.Lists }), said(runs, "read", func(r *result) answers { return r.All }), first, normal, good, len(runs))
}

// said is what callers were told, over all runs.
func said(runs []result, good string, of func(*result) answers) string {
	var sum answers
	for i := range runs {
		a := of(&runs[i])
		sum.Asked += a.Asked
		sum.Good += a.Good
		sum.Refused += a.Refused
		sum.Shed += a.Shed
		sum.Unknown += a.Unknown
		sum.Failed += a.Failed
		sum.Silent += a.Silent
		sum.Worst = max(sum.Worst, a.Worst)
	}
	if sum.Asked == 0 {
		return "nobody asked"
	}
	var parts []string
	for _, p := range []struct {
		n    int
		name string
	}{{sum.Good, good}, {sum.Refused, "refused"}, {sum.Shed, "shed"}, {sum.Unknown, "not yet known"}, {sum.Failed, "failed"}, {sum.Silent, "silent"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", share(p.n, sum.Asked), p.name))
		}
	}
	text := strings.Join(parts, ", ") + fmt.Sprintf(" (of %d)", sum.Asked)
	if sum.Worst > 0 {
		text += "; slowest " + short(sum.Worst)
	}
	return text
}

// share is a percentage that is 0 or 100 only for none and all.
func share(n, of int) string {
	switch p := 100 * float64(n) / float64(of); {
	case n < of && p > 99:
		return "> 99 %"
	case p < 1:
		return "< 1 %"
	default:
		return fmt.Sprintf("%.0f %%", p)
	}
}

// times is the median and the worst; a negative time is none.
func times(runs []result, of func(*result) time.Duration) string {
	var all []time.Duration
	for i := range runs {
		if d := of(&runs[i]); d >= 0 {
			all = append(all, d)
		}
	}
	if len(all) == 0 {
		return "sold out before"
	}
	slices.Sort(all)
	text := short(all[len(all)/2])
	if len(all) > 1 {
		text += " (" + short(all[len(all)-1]) + ")"
	}
	return text
}

func short(d time.Duration) string {
	switch {
	case d == 0:
		return "0"
	case d < time.Second:
		return fmt.Sprintf("%d ms", max(1, d.Milliseconds()))
	}
	return strings.Replace(fmt.Sprintf("%.1f s", d.Seconds()), ".0 s", " s", 1)
}

func machine() string {
	model := "unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, found := strings.CutPrefix(line, "model name"); found {
				model = strings.TrimSpace(strings.TrimLeft(name, "\t :"))
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d cores, %s/%s, %s", model, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
}

func commit() string {
	out, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// Every fault of the matrix is on the page, be it as one that was not run. With -update the page is written first.
func TestPageHasEveryFault(t *testing.T) {
	if o := flags(); o.update {
		writePage(t, o.results)
	}
	b, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(page)))
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(b), "\n## ")
	sections := strings.Split(text, "\n## ")
	for i, d := range matrix() {
		if i >= len(sections) || !strings.HasPrefix(sections[i], d.name+"\n") {
			t.Fatalf("%s has no part %q in its place; run make soak", page, d.name)
		}
		for _, f := range d.faults {
			if !strings.Contains(sections[i], "\n| "+f.name+" | ") {
				t.Errorf("%s lacks %q of %q; run make soak", page, f.name, d.name)
			}
		}
	}
}
