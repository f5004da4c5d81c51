package driver

import (
	"context"
	"errors"
	"time"
)

// ErrLeaseLost says that another member holds by now what a cursor was to be written for.
var ErrLeaseLost = errors.New("lease lost")

// Cursors remembers, durably and fenced by leases, how far a group has read each source of a topic.
//
//	        Enrol              Take (epoch+1)            Write with a term
//	missing ─────► free at 0 ─────────────────► held ◄──────────────────┐
//	                 ▲ ▲                         │ │                    │
//	                 │ └── Write with term 0 ────┘ └────────────────────┘
//	                 └──── the term ends without a Write
//
// Leases are compared with one clock, the store's own, so that the clocks of several machines need not agree. Safe for
// concurrent use by several processes where the store is. Each call is durable when it returns nil. Each may be repeated when
// its outcome is not known: Enrol, Write and Forget change nothing the second time, though giving up a lease that is given up
// already says that it is lost, and Take takes its own lease again.
type Cursors interface {
	// Enrol makes the missing cursors of a group, at the earliest message and held by nobody.
	Enrol(ctx context.Context, group, topic string, sources []string) error
	// Free returns the enrolled sources that m may take: nobody's, those whose lease has run out, and m's own.
	Free(ctx context.Context, m Member) ([]string, error)
	// Take acquires those of the sources that are still free, for term. Its new epoch shuts out whoever held them before.
	Take(ctx context.Context, m Member, sources []string, term time.Duration) (map[string]Lease, error)
	// Write moves cursors and makes their leases last for term from now; term 0 gives the leases up. It writes all marks or
	// none: when m holds one no more under the mark's epoch, the error wraps [ErrLeaseLost] and lost names all such sources. A
	// lease that ran out but was taken by nobody is still good.
	Write(ctx context.Context, m Member, marks []Mark, term time.Duration) (lost []string, err error)
	// Position returns where the group stands in a source.
	Position(ctx context.Context, group, topic, source string) (uint64, error)
	// Low returns the lowest position of all groups and topics in a source, 0 when there is none.
	Low(ctx context.Context, source string) (uint64, error)
	// Forget removes a group that will never read again. Its readers must be closed.
	Forget(ctx context.Context, group string) error
}

// Member is one reader of a group. Owner names it among all members of all processes, and is never used again.
type Member struct{ Group, Topic, Owner string }

// Lease is what a member got with a source.
type Lease struct {
	Epoch    int64
	Position uint64 // the group has dealt with everything up to here
}

// Mark is a cursor to write, under the epoch of its lease.
type Mark struct {
	Source   string
	Epoch    int64
	Position uint64
}
