package limit

import "time"

const (
	// exactCalls is the largest rate whose calls are remembered one by one.
	exactCalls = 16
	// parts is into how many pieces the period of a larger rate is cut. One piece more is kept, for the piece that has begun.
	parts = 15

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

func (w window) take(cells []int64, now int64) Result {
	if w.exact {
		return w.takeExact(cells, now)
	}
	return w.takePieces(cells, now)
}

func (w window) takeExact(cells []int64, now int64) Result {
	used, first, spare := 0, now, -1
	for i, c := range cells {
		if at := c - 1; c != 0 && at > now-w.per {
			used++
			first = min(first, at)
		} else {
			spare = i
		}
	}
	wait := time.Duration(first + w.per - now)
	if spare < 0 {
		return Result{Reset: wait, RetryAfter: wait}
	}
	cells[spare] = now + 1
	return Result{Allowed: true, Remaining: w.calls - used - 1, Reset: wait}
}

func (w window) takePieces(cells []int64, now int64) Result {
	current := now/w.piece + 1 // from 1, so that an empty cell is of no piece
	used, first := 0, current
	for _, c := range cells {
		if number := c >> countBits; number > current-int64(len(cells)) && c&countMask > 0 {
			used += int(c & countMask)
			first = min(first, number)
		}
	}
	wait := time.Duration((first-1+int64(len(cells)))*w.piece - now)
	if used >= w.calls {
		return Result{Reset: wait, RetryAfter: wait}
	}
	cell := &cells[current%int64(len(cells))]
	if *cell>>countBits != current {
		*cell = current << countBits
	}
	*cell++
	return Result{Allowed: true, Remaining: w.calls - used - 1, Reset: wait}
}
