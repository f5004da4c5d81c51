package line

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// ErrUnfair says that a line was not served in its order.
var ErrUnfair = errors.New("the line was not served in its order")

// Served is what Recompute found.
type Served struct{ Lines, Entries, Calls int }

// Recompute reads the export "line" and checks its rule with nothing but what stands there: entries are numbered without gaps, a draw
// gave each of its pot one place, and whenever an entry was called, nobody in front of it was waiting. Within a batch, moves away from
// waiting come first, then calls in their order, then returns and new entries. Errors wrap [ErrUnfair] unless it is no such export.
func Recompute(r io.Reader) (Served, error) {
	lines := map[string]*history{}
	var names []string
	d := json.NewDecoder(r)
	for d.More() {
		var rec Record
		if err := d.Decode(&rec); err != nil {
			return Served{}, fmt.Errorf("read the export: %w", err)
		}
		if rec.Kind == "" || rec.Sale == "" || rec.Entry == "" {
			return Served{}, errors.New("read the export: it has a line without kind, sale and entry, which no export \"line\" has")
		}
		name := rec.Sale + "\x00" + rec.SKU
		if lines[name] == nil {
			lines[name] = &history{}
			names = append(names, name)
		}
		lines[name].add(rec)
	}
	out := Served{Lines: len(names)}
	for _, name := range names {
		h := lines[name]
		if err := h.check(&out); err != nil {
			return out, fmt.Errorf("%w: %w", ErrUnfair, err)
		}
	}
	return out, nil
}

type history struct{ entries, moves []Record }

func (h *history) add(r Record) {
	if r.Kind == "entry" {
		h.entries = append(h.entries, r)
		return
	}
	h.moves = append(h.moves, r)
}

// rank orders what happened in one batch.
func rank(r Record) int {
	switch {
	case r.Kind == "entry", r.State == waiting.String():
		return 2
	case r.State == called.String():
		return 1
	}
	return 0
}

func (h *history) check(out *Served) error {
	place, err := h.places()
	if err != nil {
		return err
	}
	out.Entries += len(h.entries)
	all := append(slices.Clone(h.entries), h.moves...)
	slices.SortStableFunc(all, func(a, b Record) int {
		return cmp.Or(cmp.Compare(a.N, b.N), cmp.Compare(rank(a), rank(b)), cmp.Compare(place[a.Seq], place[b.Seq]))
	})
	var ahead tree
	ahead.grow(len(h.entries))
	waits := make([]bool, len(h.entries)+1)
	for _, r := range all {
		if r.Seq < 1 || int(r.Seq) > len(h.entries) {
			return fmt.Errorf("entry %s moved and is not there", r.Entry)
		}
		if r.State == called.String() {
			out.Calls++
			if n := ahead.before(place[r.Seq]); n > 0 || !waits[r.Seq] {
				return fmt.Errorf("entry %s was called in batch %d, with %d waiting in front of it (it waited: %v)", r.Entry, r.N, n, waits[r.Seq])
			}
		}
		if is := rank(r) == 2; is != waits[r.Seq] {
			waits[r.Seq] = is
			ahead.add(place[r.Seq], map[bool]int32{true: 1, false: -1}[is])
		}
	}
	return nil
}

// places returns the place of each number, from 0.
func (h *history) places() (map[uint64]int, error) {
	place := map[uint64]int{}
	pot, taken := 0, map[int]bool{}
	for i, e := range h.entries {
		if e.Seq != uint64(i+1) {
			return nil, fmt.Errorf("entry %s stands where number %d should", e.Entry, i+1)
		}
		if i > 0 && e.N < h.entries[i-1].N {
			return nil, fmt.Errorf("entry %s was made before the one in front of it", e.Entry)
		}
		place[e.Seq] = i
		if e.Drawn == 0 {
			continue
		}
		if pot++; pot != i+1 || taken[e.Drawn] {
			return nil, fmt.Errorf("entry %s was drawn at place %d, which is another's, or came after the pot", e.Entry, e.Drawn)
		}
		taken[e.Drawn] = true
		place[e.Seq] = e.Drawn - 1
	}
	for d := range taken {
		if d > pot {
			return nil, fmt.Errorf("place %d was drawn in a pot of %d", d, pot)
		}
	}
	return place, nil
}
