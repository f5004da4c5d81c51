package page

import (
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"penstock/check"
	"penstock/storm"
)

func report() *storm.Report {
	rep := &storm.Report{
		Verdict: check.Fail, Sale: `<b>"sale"`, URL: "http://127.0.0.1:8080", Started: time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC), Seed: 7, Attempts: 23456,
		Latency: storm.Latency{P50: 0.7, P99: 12, P999: 40, Max: 120}, Notes: []string{"a & b"}, Stock: storm.Levels{Offered: 1000, Sold: 900, Held: 100},
		Invariants: []check.Invariant{
			{ID: "I1", Name: "no oversell", Checked: 12, Unit: "rows", Violations: 2, Verdict: check.Fail, Examples: []string{"<script>alert(1)</script>"}},
			{ID: "I3", Name: "no leak", Verdict: check.NotRun, Note: "needs a history"},
		},
	}
	for i := range 20 {
		n := int64(i * 50)
		p := storm.Point{At: float64(i) / 4, Span: 0.25, Answers: storm.Counts{n, 0, n}, Latency: storm.Latency{P50: 1, P99: float64(i)}}
		if i != 7 {
			p.Stock = &storm.Levels{Offered: 1000, Available: 1000 - n, Held: n}
		}
		rep.Points = append(rep.Points, p)
	}
	return rep
}

// The page needs nothing from anywhere and runs nothing, and what comes from outside cannot become markup.
func TestSelfContainedAndEscaped(t *testing.T) {
	t.Parallel()
	got := HTML(report())
	for _, bad := range []string{"<script", "<link", "src=", "href=", "@import", "url(", `<b>"sale"`, "NaN", "Inf"} {
		if strings.Contains(got, bad) {
			t.Errorf("the page contains %q", bad)
		}
	}
	for _, want := range []string{"&lt;b&gt;", "&lt;script&gt;alert(1)", "a &amp; b", "needs a history", ">Fail<", "23,456", "12 rows"} {
		if !strings.Contains(got, want) {
			t.Errorf("the page does not contain %q", want)
		}
	}
}

var drawing = regexp.MustCompile(`(?s)<svg.*?</svg>`)

// Every drawing is well-formed, even when nothing happened.
func TestDrawingsAreWellFormed(t *testing.T) {
	t.Parallel()
	for _, rep := range []*storm.Report{report(), {}} {
		all := drawing.FindAllString(HTML(rep), -1)
		if len(all) != 4 {
			t.Fatalf("%d drawings", len(all))
		}
		for _, svg := range all {
			d := xml.NewDecoder(strings.NewReader(svg))
			for {
				if _, err := d.Token(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatalf("%v in\n%s", err, svg)
				}
			}
			if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
				t.Errorf("not a number in\n%s", svg)
			}
		}
	}
}

// Axis steps are 1, 2 or 5 times a power of ten and never below what is asked for.
func TestNiceSteps(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]float64{0: 1, 0.03: 0.05, 1: 1, 1.2: 2, 30: 50, 51: 100, 2600: 5000} {
		if got := nice(v); got < want*0.999 || got > want*1.001 {
			t.Errorf("nice(%v) = %v, want %v", v, got, want)
		}
	}
}
