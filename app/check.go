package app

import (
	"context"

	"penstock/check"
)

// Source gives the records of this Penstock to a check, without the way over HTTP.
func (a *App) Source() check.Source {
	return check.Source{
		Export: a.Write,
		Snapshot: func(ctx context.Context) (check.Snapshot, error) {
			snap, err := a.stock.Stored(ctx)
			if err != nil {
				return check.Snapshot{}, err
			}
			return check.SnapshotOf(snap), nil
		},
		InFlight: a.Drained,
	}
}
