package check

import (
	"slices"

	"github.com/cespare/xxhash/v2"
)

// Records are read one after the other, so on a server that works two of them may disagree about what moved in between. Such a
// disagreement is gone, or is another one, at the next reading; a violation is there again, word for word. So a violation of a
// server that runs counts when every one of several readings shows it.
const (
	readingsAtRest   = 2
	readingsInMotion = 3
)

// suspicion is what the readings so far have shown alike.
type suspicion struct {
	texts map[uint64]struct{} // nil before the first reading that shows a violation
	n     int                 // readings that showed them
}

// again takes in a reading and reports whether another one must confirm it. A source at rest, such as files, needs none.
func (s *suspicion) again(t *tally, moved, live bool, try int) bool {
	if len(t.counted) == 0 {
		*s = suspicion{}
		return false
	}
	s.texts, s.n = t.counted, s.n+1
	switch {
	case !live:
		return moved && try < maxTries
	case moved:
		return s.n < readingsInMotion
	}
	return s.n < readingsAtRest
}

func textHash(id, text string) uint64 { return mix(xxhash.Sum64String(id), xxhash.Sum64String(text)) }

// markMoved marks the stock rows that changed since the reading began, and reports whether there are any.
func (w *world) markMoved(after Snapshot) bool {
	was := map[shelfKey]StockRow{}
	for _, sh := range w.shelves {
		if sh.known {
			was[shelfKey{sh.sale, sh.sku}] = sh.row
		}
	}
	for i := range after.Stock {
		r := &after.Stock[i]
		k := shelfKey{r.Sale, r.SKU}
		if row, ok := was[k]; !ok || row != *r {
			w.shelf(r.Sale, r.SKU).moved = true
			w.counts["movedRows"]++
		}
		delete(was, k)
	}
	for k := range was { // gone: sales are removed whole
		w.shelf(k.sale, k.sku).moved = true
		w.counts["movedRows"]++
	}
	return slices.ContainsFunc(w.shelves, func(sh *shelf) bool { return sh.moved })
}
