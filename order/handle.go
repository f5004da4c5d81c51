package order

import (
	"context"
	"sync"

	bus "penstock/bus/driver"
)

// Handle takes messages of stock.Topic and brings their orders to where they say; it is the handler that the bus calls. The
// answer has one error per message: nil means that the effect is durable, now or from an earlier delivery; a poison message
// (wrong type, unreadable payload) wraps bus.ErrPoison; bus.ErrUnavailable means that its database takes nothing now; anything
// else is about this one message.
//
// Each database gets its messages in their order, in transactions of at most BatchRows, beside the others: one that is slow or
// gone costs its own messages, after Patience at the latest, and no others.
func (o *Orders) Handle(ctx context.Context, msgs []bus.Message) []error {
	out := make([]error, len(msgs))
	changes := make([]change, len(msgs))
	byDB := make([][]*change, len(o.writers))
	now := o.opt.Clock.Now().UnixNano()
	for i := range msgs {
		c := &changes[i]
		if out[i] = c.read(&msgs[i], now); out[i] != nil {
			continue
		}
		var db int
		db, c.Table = o.route(c.ID)
		c.msg = i
		byDB[db] = append(byDB[db], c)
	}
	var all sync.WaitGroup
	for db, cs := range byDB {
		if len(cs) > 0 {
			all.Go(func() { o.deliver(ctx, db, cs, out) })
		}
	}
	all.Wait()
	return out
}

// deliver writes one database's changes at the pace it is allowed, in batches that are neither longer than BatchRows nor
// than what the pace lets through in BatchWait, and puts the answers into out.
func (o *Orders) deliver(ctx context.Context, db int, cs []*change, out []error) {
	size := o.opt.BatchRows
	if o.opt.Pace > 0 {
		size = min(size, max(1, int(float64(o.opt.Pace)*o.opt.BatchWait.Seconds())))
	}
	at := make([]int, len(cs)) // what the writer keeps is not ours to read
	for i, c := range cs {
		at[i] = c.msg
	}
	for len(cs) > 0 {
		n := min(size, len(cs))
		err := o.paces[db].wait(ctx, o.opt.Clock, n, o.opt.Pace)
		if err != nil {
			err = unavailable(err)
		} else {
			err = o.writers[db].offer(cs[:n])
		}
		if err != nil {
			for _, i := range at {
				out[i] = err
			}
			return
		}
		for i, c := range cs[:n] {
			out[at[i]] = c.err
		}
		cs, at = cs[n:], at[n:]
	}
}
