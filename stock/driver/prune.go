package driver

import (
	"context"
	"errors"
)

// ErrKept says that nothing of a sale may be pruned yet: it is not closed for good, or its messages have not all left.
var ErrKept = errors.New("the sale is not closed for good yet")

// Pruner is a driver that can forget what nobody needs of sales that are closed for good. Those of engines can.
type Pruner interface {
	// Prune removes a part of the allowances of a sale and of its final noes, with the keys that these bound and their entries in
	// the journal: of noes those that were bound up to a day after the end. from is 0 at first, then what the call before said was
	// next; most is about how many rows to look at. Wins and their moves, offers, waiting lists and the trail stay. A repeat does
	// no harm. The error wraps ErrKept when ClosedAt is not set.
	Prune(ctx context.Context, sale string, from uint64, most int) (Pruned, error)
}

// Pruned is what a call of Prune removed, and where the next one goes on: 0 when the sale has been gone through.
type Pruned struct {
	Noes, Allowances int
	Next             uint64
}
