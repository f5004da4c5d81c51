package limit

import (
	"time"

	"penstock/limit/driver"
)

const (
	// exactCalls is the largest rate whose calls are remembered one by one.
	exactCalls = driver.ExactCalls
	// parts is into how many pieces the period of a larger rate is cut. One piece more is kept, for the piece that has begun.
	parts = driver.Parts

	countBits = 24
	countMask = 1<<countBits - 1
)

// window counts the calls of one key in its cells. With few calls a cell is the time of a call (plus one, so that 0 is no
// call); with many it is the number of a piece of time, shifted left, and the calls in that piece.
type window struct {
	calls int
	per   int64
	exact bool
	cells int
	piece int64
}

func windowOf(r Rate) window {
	if r.Calls <= exactCalls {
		return window{calls: r.Calls, per: int64(r.Per), exact: true, cells: r.Calls}
	}
	return window{calls: r.Calls, per: int64(r.Per), cells: parts + 1, piece: (int64(r.Per) + parts - 1) / parts}
}

// take counts a call if there is room.
func (w window) take(cells []int64, now int64) Result {
	r := w.look(cells, now)
	if r.Allowed {
		w.count(cells, now)
	}
	return r
}

// look says what take would say, and changes nothing.
func (w window) look(cells []int64, now int64) Result {
	if w.exact {
		return w.lookExact(cells, now)
	}
	return w.lookPieces(cells, now)
}

func (w window) lookExact(cells []int64, now int64) Result {
	used, first := 0, now
	for _, c := range cells {
		if at := c - 1; c != 0 && at > now-w.per {
			used++
			first = min(first, at)
		}
	}
	return w.result(used, time.Duration(first+w.per-now))
}

func (w window) lookPieces(cells []int64, now int64) Result {
	current := w.pieceAt(now)
	used, first := 0, current
	for _, c := range cells {
		if number := c >> countBits; number > current-int64(len(cells)) && c&countMask > 0 {
			used += int(c & countMask)
			first = min(first, number)
		}
	}
	return w.result(used, time.Duration((first-1+int64(len(cells)))*w.piece-now))
}

func (w window) result(used int, wait time.Duration) Result {
	if used >= w.calls {
		return Result{Reset: wait, RetryAfter: wait}
	}
	return Result{Allowed: true, Remaining: w.calls - used - 1, Reset: wait}
}

// count adds a call, also when there is no room: the oldest one is forgotten then.
func (w window) count(cells []int64, now int64) {
	if w.exact {
		oldest := 0
		for i, c := range cells {
			if c < cells[oldest] {
				oldest = i
			}
		}
		cells[oldest] = now + 1
		return
	}
	w.add(cells, now, 1)
}

// pieceAt is the number of the piece of a time, from 1, so that an empty cell is of no piece.
func (w window) pieceAt(now int64) int64 { return now/w.piece + 1 }

// add counts n calls in the piece of the time.
func (w window) add(cells []int64, now, n int64) {
	current := w.pieceAt(now)
	cell := &cells[current%int64(len(cells))]
	if *cell>>countBits != current {
		*cell = current << countBits
	}
	*cell += n
}

// back takes calls out of the count again: those of a number of a piece, shifted left, and how many, unless the piece is forgotten.
func (w window) back(cells []int64, of int64) {
	cell := &cells[of>>countBits%int64(len(cells))]
	if *cell>>countBits == of>>countBits {
		*cell -= min(of&countMask, *cell&countMask)
	}
}
