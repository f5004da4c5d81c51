package screen

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"penstock/storm"
)

var update = flag.Bool("update", false, "write the golden files")

func frame() storm.Progress {
	p := storm.Progress{
		Phase: storm.Storming, Elapsed: 2340 * time.Millisecond, Arrivals: 10_000, Rate: 4000, Total: storm.Counts{1000, 12, 9876, 3, 1},
		Buyers: storm.Buyers{Arrived: 7400, Won: 1000, Lost: 12, Paid: 612, Cancelled: 98, WalkedAway: 140},
	}
	for i := range 40 {
		p.Points = append(p.Points, storm.Point{At: float64(i) / 4, Span: 0.25, Answers: storm.Counts{int64(i) * 10, 0, int64(i*i) * 2},
			Latency: storm.Latency{P50: 0.8, P99: float64(40-i) / 2, Max: 31}})
	}
	p.Points[38].Stock = &storm.Levels{Offered: 1000, Sold: 612, Held: 290, Available: 98}
	return p
}

// The picture is the one that was looked at and found good.
func TestGolden(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]Style{"plain": {Width: 80}, "color": {Width: 100, Color: true}, "empty": {}} {
		p := frame()
		if name == "empty" {
			p = storm.Progress{Phase: storm.Preparing}
		}
		got := Render(p, s)
		path := filepath.Join("testdata", name+".txt")
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

var escape = regexp.MustCompile("\x1b\\[[0-9;]*m")

// Whatever the figures are, a frame has the same number of lines and none is wider than asked for.
func TestKeepsItsSize(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, 1_000_000)
		p := frame()
		for i := range p.Total {
			p.Total[i] = n.Draw(t, "count")
		}
		p.Arrivals, p.Buyers.Arrived, p.Rate = n.Draw(t, "arrivals"), n.Draw(t, "arrived"), float64(n.Draw(t, "rate"))
		l := &storm.Levels{Sold: n.Draw(t, "sold"), Held: n.Draw(t, "held"), Available: n.Draw(t, "free")}
		l.Offered = l.Sold + l.Held + l.Available
		p.Points = append(p.Points[:rapid.IntRange(0, 40).Draw(t, "points")], storm.Point{Stock: l, Latency: storm.Latency{P99: float64(n.Draw(t, "p99"))}})
		width := rapid.IntRange(80, 110).Draw(t, "width")
		got := escape.ReplaceAllString(Render(p, Style{Width: width, Color: rapid.Bool().Draw(t, "color")}), "")
		lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
		if len(lines) != Lines {
			t.Fatalf("%d lines:\n%s", len(lines), got)
		}
		for _, line := range lines {
			if n := utf8.RuneCountInString(line); n > width {
				t.Fatalf("%d columns of %d: %q", n, width, line)
			}
		}
	})
}

// A unit that is there is seen, however large the stock.
func TestSmallPartsAreSeen(t *testing.T) {
	t.Parallel()
	p := frame()
	p.Points[39].Stock = &storm.Levels{Offered: 100_000, Sold: 1, Held: 1, Available: 99_998}
	bar := strings.Split(Render(p, Style{Width: 80}), "\n")[2]
	if !strings.Contains(bar, "█▓░") {
		t.Errorf("bar %q", bar)
	}
}
