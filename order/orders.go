package order

import (
	"context"
	"sync"

	"penstock/errs"
	"penstock/internal/ident"
	store "penstock/order/driver"
	"penstock/order/shard"
)

// Orders is the orders of one set of shards.
type Orders struct {
	store   store.Store
	claims  Claims
	opt     Options
	writers []*writer
	paces   []pace
	expiry  expiry
	stop    sync.Once
}

// New returns the orders of a store. The caller keeps the store open until Stop has returned.
func New(s store.Store, claims Claims, opt Options) (*Orders, error) {
	if err := opt.Validate(); err != nil {
		return nil, err
	}
	o := &Orders{store: s, claims: claims, opt: opt.withDefaults()}
	o.writers = make([]*writer, s.Map().Databases())
	o.paces = make([]pace, len(o.writers))
	for i := range o.writers {
		o.writers[i] = newWriter(s.Database(i), i, &o.opt)
	}
	return o, nil
}

// Start begins to release claims whose time is over, and looks for them at once. Call it when the stock can take decisions.
func (o *Orders) Start(ctx context.Context) error { return o.expiry.start(ctx, o) }

// Stop ends the expiry after the releases that are running, waits for what is being written and refuses further writes with
// errs.ReducedCapacity. Idempotent; bounded by one transaction per database.
func (o *Orders) Stop() {
	o.stop.Do(func() {
		o.expiry.stop()
		for _, w := range o.writers {
			w.close()
		}
	})
}

// InFlight returns how many orders are waiting to be written or being written.
func (o *Orders) InFlight() int64 {
	var n int64
	for _, w := range o.writers {
		n += w.inFlight.Load()
	}
	return n
}

// write brings one change to its database and waits until it is durable or has failed.
func (o *Orders) write(ctx context.Context, c *change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	db, table := o.route(c.ID)
	c.Table = table
	c.plan()
	o.writers[db].do([]*change{c})
	return c.err
}

// route returns the place of an order by its id: the database and the table within it.
func (o *Orders) route(id ident.ID) (db, table int) { return o.store.Map().Route(id.Slot()) }

// Map returns the placement of the orders.
func (o *Orders) Map() *shard.Map { return o.store.Map() }

func notFound(id any) error { return errs.New(errs.NotFound, "there is no order %s", id) }
