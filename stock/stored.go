package stock

import (
	"context"

	"penstock/stock/driver"
)

// Stored is [Stock.Snapshot] for those who judge: with the stock rows as the database has them, also where the driver answers
// from a memory of its own and somebody else has changed the rows behind it.
func (s *Stock) Stored(ctx context.Context) (*driver.Snapshot, error) {
	d, ok := s.drv.(interface {
		Stored(context.Context) (*driver.Snapshot, error)
	})
	if !ok {
		return s.Snapshot(ctx)
	}
	snap, err := d.Stored(ctx)
	return snap, readable(err)
}
