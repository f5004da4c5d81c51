package auth

import (
	"hash"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"penstock/internal/clock"
)

// counted counts the MACs that are finished.
type counted struct {
	hash.Hash
	n *int
}

func (c counted) Sum(b []byte) []byte { *c.n++; return c.Hash.Sum(b) }

// A junk admission pass costs one HMAC if it names a key that is there, and none else; it neither fills nor asks the cache of tokens,
// and allocates no more than its error.
func TestJunkAdmissionPassCostsOneHMAC(t *testing.T) { // not parallel: it counts allocations
	clk := clock.NewFake(time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC))
	r, err := Open(filepath.Join(t.TempDir(), "keys.json"), Options{Clock: clk})
	if err != nil {
		t.Fatal(err)
	}
	good, err := r.MintAdmission(Grant{User: "ann", Sale: "s", SKU: "tea", Number: 7, Expires: clk.Now().Add(time.Minute)}, clk.Now())
	if err != nil {
		t.Fatal(err)
	}
	macs := 0
	for _, k := range r.current(clk.Now()).passes {
		made := k.state.New
		k.state.New = func() any {
			st := made().(*passState)
			st.mac = counted{st.mac, &macs}
			return st
		}
		k.state.Get() // minting has left one that does not count
	}
	dot := strings.LastIndexByte(good, '.')
	for junk, want := range map[string]int{
		good: 1, good[:dot+1] + strings.Repeat("A", 43): 1, good[:dot-1] + "A" + good[dot:]: 1, good + "A": 1, good[:dot]: 0,
		"p2.": 0, "p2..": 0, "p2." + strings.Repeat("A", 60) + "." + strings.Repeat("A", 43): 0, "p2." + strings.Repeat("A", 5000): 0,
	} {
		macs = 0
		if _, err := r.Verify(junk); (err == nil) != (junk == good) {
			t.Errorf("%.80s: %v", junk, err)
		}
		if macs != want {
			t.Errorf("%.80s cost %d MACs, want %d", junk, macs, want)
		}
	}
	junk := good[:dot+1] + strings.Repeat("A", 43)
	if n := testing.AllocsPerRun(100, func() { _, _ = r.Verify(junk) }); n > 8 { // 3, and more where the race detector drops what a pool keeps
		t.Errorf("a junk pass allocates %v times", n)
	}
}

// What a junk admission pass costs to refuse.
func BenchmarkJunkAdmissionPass(b *testing.B) {
	r, err := Open(filepath.Join(b.TempDir(), "keys.json"), Options{})
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	good, err := r.MintAdmission(Grant{User: "ann", Sale: "s", SKU: "tea", Number: 7, Expires: now.Add(time.Hour)}, now)
	if err != nil {
		b.Fatal(err)
	}
	junk := good[:strings.LastIndexByte(good, '.')+1] + strings.Repeat("A", 43)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Verify(junk); err == nil {
			b.Fatal("junk was taken")
		}
	}
}
