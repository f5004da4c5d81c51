package order

import (
	"context"

	"golang.org/x/sync/errgroup"

	bus "penstock/bus/driver"
)

// Handle takes messages of stock.Topic and brings their orders to where they say; it is the handler that the bus calls. The
// answer has one error per message: nil means that the effect is durable, now or from an earlier delivery; a poison message
// (wrong type, unreadable payload) wraps bus.ErrPoison; bus.ErrUnavailable means that its database takes nothing now; anything
// else is about this one message.
//
// Each database gets its messages in their order, in transactions of at most BatchRows.
func (o *Orders) Handle(ctx context.Context, msgs []bus.Message) []error {
	out := make([]error, len(msgs))
	changes := make([]change, len(msgs))
	at := make([]int, 0, len(msgs))
	byDB := make([][]*change, len(o.writers))
	now := o.opt.Clock.Now().UnixNano()
	for i := range msgs {
		c := &changes[i]
		if out[i] = c.read(&msgs[i], now); out[i] != nil {
			continue
		}
		db, table := o.store.Route(c.id)
		c.table = table
		byDB[db] = append(byDB[db], c)
		at = append(at, i)
	}
	g := new(errgroup.Group)
	g.SetLimit(o.opt.Parallel)
	for db, cs := range byDB {
		if len(cs) > 0 {
			g.Go(func() error {
				o.deliver(ctx, db, cs)
				return nil
			})
		}
	}
	_ = g.Wait() // the errors are in the changes
	for _, i := range at {
		out[i] = changes[i].err
	}
	return out
}

// deliver writes one database's changes at the pace it is allowed, in batches that are neither longer than BatchRows nor
// than what the pace lets through in BatchWait.
func (o *Orders) deliver(ctx context.Context, db int, cs []*change) {
	size := o.opt.BatchRows
	if o.opt.Pace > 0 {
		size = min(size, max(1, int(float64(o.opt.Pace)*o.opt.BatchWait.Seconds())))
	}
	for len(cs) > 0 {
		n := min(size, len(cs))
		if err := o.paces[db].wait(ctx, o.opt.Clock, n, o.opt.Pace); err != nil {
			for _, c := range cs {
				c.err = unavailable(err)
			}
			return
		}
		o.writers[db].do(cs[:n])
		cs = cs[n:]
	}
}
