package history

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func draw(t *rapid.T) Record {
	r := Record{
		Phase: rapid.SampledFrom([]Phase{Send, Recv}).Draw(t, "phase"), Seed: rapid.Int64().Draw(t, "seed"),
		Client: rapid.IntRange(0, 9).Draw(t, "client"), Call: uint64(rapid.Uint32().Draw(t, "call")),
		Sale: "s", User: rapid.String().Draw(t, "user"), Key: rapid.StringMatching(`[a-z"\\]{0,9}`).Draw(t, "key"),
		Op: Buy, SKU: "sku", Qty: rapid.Int64().Draw(t, "qty"), TSend: time.UnixMicro(rapid.Int64Range(1, 1<<50).Draw(t, "send")).UTC(),
	}
	if r.Phase == Recv {
		r.TRecv = r.TSend.Add(time.Millisecond)
		r.Status, r.Problem, r.State, r.Order, r.Amount, r.Replayed = 201, "p", "won", "17", 5, true
	}
	return r
}

// What was written is what is read, whatever is in the names.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOf(rapid.Custom(draw)).Draw(t, "records")
		var file bytes.Buffer
		w := NewWriter(&file)
		for i := range want {
			w.Write(&want[i])
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		var got []Record
		err := Scan(&file, func(r *Record) error {
			got = append(got, *r)
			return nil
		})
		if err != nil || len(got) != len(want) {
			t.Fatalf("%d of %d records, %v", len(got), len(want), err)
		}
		for i := range want {
			if d := cmp.Diff(want[i], got[i]); d != "" {
				t.Fatal(d)
			}
		}
	})
}

// A history whose last line was cut by a kill is readable up to there; a hole in the middle is an error.
func TestCutHistory(t *testing.T) {
	t.Parallel()
	const line = `{"phase":"send","op":"buy","key":"k","t_send":"2026-11-11T00:00:00Z"}`
	n := 0
	count := func(*Record) error { n++; return nil }
	if err := Scan(strings.NewReader(line+"\n"+line[:30]), count); err != nil || n != 1 {
		t.Errorf("cut last line: %d records, %v", n, err)
	}
	if err := Scan(strings.NewReader(line[:30]+"\n"+line), count); err == nil {
		t.Error("a broken line in the middle was accepted")
	}
}

// Only answers that are definite count as definite: what may have happened is unknown.
func TestClassify(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		op      Op
		status  int
		problem string
		state   string
		order   string
		want    Outcome
	}{
		{Buy, 201, "", "won", "7", Ack},
		{Buy, 200, "", "won", "7", Ack},
		{Buy, 201, "", "won", "", Unknown},
		{Buy, 202, "", "unknown", "", Unknown},
		{Buy, 409, "sold-out", "", "", Nack},
		{Buy, 409, "key-in-progress", "", "", Unknown},
		{Buy, 429, "quota-exceeded", "", "", Nack},
		{Buy, 503, "reduced-capacity", "", "", Nack},
		{Buy, 503, "unknown-outcome", "", "", Unknown},
		{Buy, 503, "", "", "", Unknown},
		{Buy, 500, "internal", "", "", Unknown},
		{Buy, 0, "", "", "", Unknown},
		{Ask, 200, "", "lost", "", Nack},
		{Ask, 200, "", "won", "7", Ack},
		{Ask, 200, "", "unknown", "", Unknown},
		{Ask, 404, "not-found", "", "", Nack},
	} {
		if got := Classify(c.op, c.status, c.problem, c.state, c.order); got != c.want {
			t.Errorf("%v: %v", c, got)
		}
	}
}
