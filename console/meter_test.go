package console

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"penstock/errs"
	"penstock/internal/clock"
)

// Answers are counted by kind, over a second, five seconds and a minute, for the sale that is watched and no other.
func TestMeterTellsWhatHappenedLately(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(time.Unix(0, 0))
	m := NewMeter(c.Now)
	m.Count("a", "", time.Second) // before the watch
	read, stop := m.Watch("a")
	for range 100 {
		m.Count("a", "", 2*time.Millisecond)
		m.Count("b", "", time.Second)
	}
	for code, n := range map[errs.Code]int{errs.SoldOut: 40, errs.StockHeld: 30, errs.QuotaExceeded: 20, errs.ReducedCapacity: 10, errs.Unknown: 5, errs.Internal: 3} {
		for range n {
			m.Count("a", code, 20*time.Millisecond)
		}
	}
	c.Advance(time.Second)
	got := read()
	want := Answers{
		PerSecond: Kinds{Won: 100, Lost: 40, Refused: 30, Throttled: 20, Shed: 10, Unknown: 5, Failed: 3},
		Reasons:   []Reason{{errs.SoldOut, 40}, {errs.StockHeld, 30}, {errs.QuotaExceeded, 20}, {errs.ReducedCapacity, 10}, {errs.Unknown, 5}, {errs.Internal, 3}},
		Latency:   got.Latency, Total: 208,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if l := got.Latency; l == nil || l.P50 < 20 || l.P50 > 24 || l.P99 < 20 || l.P99 > 24 {
		t.Errorf("latency %+v", l)
	}
	for range 10 {
		c.Advance(time.Second)
		got = read()
	}
	if got.PerSecond != (Kinds{}) || got.Latency != nil || len(got.Reasons) != 6 {
		t.Errorf("after ten seconds: %+v", got)
	}
	for range 70 {
		c.Advance(time.Second)
		got = read()
	}
	if len(got.Reasons) != 0 || got.Total != 208 {
		t.Errorf("after a minute: %+v", got)
	}
	stop()
	stop()
	if m.sales.Load() != nil {
		t.Error("still counted")
	}
}

// Buckets are in order, and none is wider than a quarter of what it begins with.
func TestBuckets(t *testing.T) {
	t.Parallel()
	for us := int64(1); us < 200_000_000; us += 1 + us/7 {
		d := time.Duration(us) * time.Microsecond
		i := bucket(d)
		if upTo(i) <= d && i < buckets-1 || i > 0 && upTo(i-1) > d || i > 0 && i < buckets-1 && float64(upTo(i)) > float64(d)*1.26+1000 {
			t.Fatalf("%v is in bucket %d, which ends at %v", d, i, upTo(i))
		}
	}
}

// BenchmarkCount is what an attempt pays, with nobody watching, another sale watched, and its own.
func BenchmarkCount(b *testing.B) {
	for name, watched := range map[string]string{"nobody": "", "another": "b", "own": "a"} {
		b.Run(name, func(b *testing.B) {
			m := NewMeter(time.Now)
			if watched != "" {
				_, stop := m.Watch(watched)
				defer stop()
			}
			b.ReportAllocs()
			for b.Loop() {
				m.Count("a", errs.SoldOut, 123*time.Microsecond)
			}
		})
	}
}
