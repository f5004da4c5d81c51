package outboxbus

import (
	"context"

	"penstock/bus/driver"
)

// Source is one committed outbox: a log of numbered entries in commit order, of which some carry a message. Safe for
// concurrent use.
type Source interface {
	// Name names the outbox for good: cursors are kept under it. Sources of the same name must be the same outbox.
	Name() string
	// Read returns up to limit messages with Offset > after, in order of Offset, and the number up to which it has looked:
	// at least the offset of the last message returned, at least after, and beyond which nothing was skipped. It may stop
	// looking early; it is called again from scanned as long as that grows. Numbers start at 1.
	Read(ctx context.Context, after uint64, limit int) (msgs []driver.Message, scanned uint64, err error)
	// Head returns what scanned would be for a Read of everything committed now.
	Head(ctx context.Context) (uint64, error)
	// Changed returns a channel of capacity 1 that gets a value after a commit, unless one is waiting there already. The
	// driver is its only receiver.
	Changed() <-chan struct{}
	// Sent says that every known group has durably committed up to this number. It never decreases, and it is said again
	// after a restart and after an error. It may be called beside Read.
	Sent(ctx context.Context, upto uint64) error
}
