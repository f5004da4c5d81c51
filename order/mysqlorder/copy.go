package mysqlorder

import (
	"context"
	"sync/atomic"

	"penstock/internal/ident"
	"penstock/order/driver"
	"penstock/order/shard"
)

// Copy returns a reader of a replica that knows what was committed before the call, or of the primary.
func (d *database) Copy(ctx context.Context) driver.Reader {
	r := d.copies.pick(ctx)
	if r == nil {
		return &d.reader
	}
	second := d.reader
	second.db = r.db
	return &copyReader{primary: &d.reader, second: &second, replica: r, all: d.copies}
}

// copyReader reads a replica until it fails, and the primary from then on: the primary has all that the replica had.
type copyReader struct {
	primary, second *reader
	replica         *replica
	all             *replicas
	failed          atomic.Bool
}

// read runs f on the replica, or on the primary.
func read[T any](ctx context.Context, c *copyReader, f func(*reader) (T, error)) (T, error) {
	if !c.failed.Load() {
		v, err := f(c.second)
		if err == nil || ctx.Err() != nil {
			return v, err
		}
		c.failed.Store(true)
		c.all.leave(c.replica, err)
	}
	return f(c.primary)
}

func (c *copyReader) Get(ctx context.Context, table int, id ident.ID) (*driver.Order, error) {
	return read(ctx, c, func(r *reader) (*driver.Order, error) { return r.Get(ctx, table, id) })
}

func (c *copyReader) Owned(ctx context.Context, table int, user string, before ident.ID, limit int) ([]driver.Order, error) {
	return read(ctx, c, func(r *reader) ([]driver.Order, error) { return r.Owned(ctx, table, user, before, limit) })
}

func (c *copyReader) Newest(ctx context.Context, before ident.ID, limit int) ([]ident.ID, error) {
	return read(ctx, c, func(r *reader) ([]ident.ID, error) { return r.Newest(ctx, before, limit) })
}

func (c *copyReader) Last(ctx context.Context) (driver.Last, error) {
	return read(ctx, c, func(r *reader) (driver.Last, error) { return r.Last(ctx) })
}

func (c *copyReader) Page(ctx context.Context, p driver.Page) ([]driver.Order, error) {
	return read(ctx, c, func(r *reader) ([]driver.Order, error) { return r.Page(ctx, p) })
}

func (c *copyReader) Events(ctx context.Context, after ident.ID, n int64, last ident.ID, limit int) ([]driver.OrderEvent, error) {
	return read(ctx, c, func(r *reader) ([]driver.OrderEvent, error) { return r.Events(ctx, after, n, last, limit) })
}

func (c *copyReader) Count(ctx context.Context) ([shard.Tables]int64, error) {
	return read(ctx, c, func(r *reader) ([shard.Tables]int64, error) { return r.Count(ctx) })
}
