package check

import (
	"fmt"
	"strings"
	"time"
)

// Verdicts.
const (
	Pass   = "pass"
	Fail   = "fail"
	NotRun = "not-run"
)

// Report is what a check found; it is the object that --json writes.
type Report struct {
	Verdict    string      `json:"verdict"`
	Invariants []Invariant `json:"invariants"`
	// Drained says whether nothing was in flight when the records were read; InFlight is what was.
	Drained  bool             `json:"drained"`
	InFlight map[string]int64 `json:"inFlight,omitempty"`
	// Notes are remarks about the whole check, such as why it fails although no invariant does.
	Notes []string `json:"notes,omitempty"`
	// Figures are totals of what was read, by name.
	Figures map[string]int64 `json:"figures"`
	Took    time.Duration    `json:"-"`
}

// Invariant is the verdict on one invariant of the proof page. Checked is the number of things looked at, which Unit names;
// Violations is how many of them break it.
type Invariant struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	Checked    int64    `json:"checked"`
	Unit       string   `json:"unit"`
	Violations int64    `json:"violations"`
	Verdict    string   `json:"verdict"`
	Note       string   `json:"note,omitempty"`
	Examples   []string `json:"examples,omitempty"`
}

// Failed returns the ids of the invariants that do not hold.
func (r *Report) Failed() []string {
	var ids []string
	for i := range r.Invariants {
		if r.Invariants[i].Verdict == Fail {
			ids = append(ids, r.Invariants[i].ID)
		}
	}
	return ids
}

// Text is the report for people: a line per invariant with its figures, examples below those that fail.
func (r *Report) Text() string {
	var b strings.Builder
	for i := range r.Invariants {
		v := &r.Invariants[i]
		fmt.Fprintf(&b, "%-4s %-30s %-8s %s", v.ID, v.Name, v.Verdict, v.Figures())
		if v.Note != "" {
			fmt.Fprintf(&b, " (%s)", v.Note)
		}
		b.WriteByte('\n')
		for _, e := range v.Examples {
			fmt.Fprintf(&b, "       %s\n", e)
		}
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	fmt.Fprintf(&b, "verdict: %s\n", r.Verdict)
	return b.String()
}

// Figures says how many violations there were among how many things; never a zero without its denominator.
func (v *Invariant) Figures() string {
	if v.Verdict == NotRun {
		return "-"
	}
	return fmt.Sprintf("%d violations in %d %s", v.Violations, v.Checked, v.Unit)
}

const maxExamples = 5

// tally collects the verdicts while the records stream by.
type tally struct {
	list []Invariant
	by   map[string]*Invariant

	suspects map[uint64]struct{} // what may count as a violation; nil means everything
	counted  map[uint64]struct{} // what did
	passing  int                 // violations that are not among the suspects
}

func newTally() *tally {
	t := &tally{by: map[string]*Invariant{}, counted: map[uint64]struct{}{}, list: []Invariant{
		{ID: "I1", Name: "no oversell", Unit: "stock rows and ledger steps"},
		{ID: "I2", Name: "conservation", Unit: "stock rows and claims"},
		{ID: "I3", Name: "no leak", Unit: "willing buyers"},
		{ID: "I4", Name: "acked is durable, once", Unit: "keys"},
		{ID: "I5", Name: "unknown converges", Unit: "keys with an unknown"},
		{ID: "I6", Name: "a definite no leaves nothing", Unit: "refused keys"},
		{ID: "I7", Name: "per-user limit", Unit: "holds"},
		{ID: "I8", Name: "money", Unit: "orders and payments"},
		{ID: "I8b", Name: "balance ledger", Unit: "transactions, accounts and payments"},
		{ID: "I9", Name: "order state machine", Unit: "events"},
		{ID: "I12", Name: "queue accounting", Unit: "messages"},
		{ID: "I13", Name: "published decision sequence", Unit: "ledger entries"},
		{ID: "I14", Name: "sale and payment window", Unit: "holds and sales"},
		{ID: "I20", Name: "placement", Unit: "orders"},
		{ID: "I22", Name: "audit append-only", Unit: "audit rows"},
		{ID: filesID, Name: "database files are whole", Unit: "files"},
	}}
	for i := range t.list {
		t.by[t.list[i].ID] = &t.list[i]
	}
	return t
}

func (t *tally) ids() []string {
	ids := make([]string, len(t.list))
	for i := range t.list {
		ids[i] = t.list[i].ID
	}
	return ids
}

func (t *tally) ran(id string, n int64) { t.by[id].Checked += n }

func (t *tally) bad(id, format string, args ...any) {
	v, text := t.by[id], fmt.Sprintf(format, args...)
	h := textHash(id, text)
	if _, suspect := t.suspects[h]; !suspect && t.suspects != nil {
		t.passing++
		return
	}
	t.counted[h] = struct{}{}
	v.Violations++
	if len(v.Examples) < maxExamples {
		v.Examples = append(v.Examples, text)
	}
}

// skip says why an invariant was not judged. It stays a failure if a violation was seen.
func (t *tally) skip(id, why string) {
	v := t.by[id]
	v.Verdict, v.Note = NotRun, why
}

func (t *tally) note(id, format string, args ...any) { t.by[id].Note = fmt.Sprintf(format, args...) }

func (t *tally) close() ([]Invariant, bool) {
	ok := true
	for i := range t.list {
		v := &t.list[i]
		switch {
		case v.Violations > 0:
			v.Verdict, ok = Fail, false
		case v.Verdict == NotRun:
		case v.Checked == 0:
			v.Verdict = NotRun
			if v.Note == "" {
				v.Note = "nothing to look at"
			}
		default:
			v.Verdict = Pass
		}
	}
	return t.list, ok
}
