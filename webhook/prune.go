package webhook

import (
	"context"
	"time"

	"penstock/engine/sqldb"
)

const (
	housekeepEvery = time.Hour
	prunePage      = 500
)

// housekeep forgets what is older than is kept. Several processes may do it at a time.
func (h *Hooks) housekeep(ctx context.Context) {
	for ctx.Err() == nil {
		if n, err := h.prune(ctx); err != nil && ctx.Err() == nil {
			h.o.Logger.Warn("old webhook deliveries were not forgotten", "error", err.Error())
		} else if n > 0 {
			h.o.Logger.Info("old webhook deliveries were forgotten", "rows", n)
		}
		h.pause(ctx, housekeepEvery, nil)
	}
}

type pruned struct {
	endpoint string
	seq      int64
	event    string
}

// prune removes settled deliveries, then events, that are older than Keep. One that is replayed meanwhile stays, for others may wait
// behind it. A delivery that outlives its event is given up by its next try.
func (h *Hooks) prune(ctx context.Context) (n int, err error) {
	before := h.o.Clock.Now().Add(-h.o.Keep).UnixMilli()
	for _, part := range []struct{ find, remove string }{
		{`SELECT endpoint, seq, event FROM webhook_deliveries WHERE state IN (2, 3) AND at<? LIMIT ?`, `DELETE FROM webhook_deliveries WHERE endpoint=? AND seq=? AND state IN (2, 3)`},
		{`SELECT '', 0, id FROM webhook_events WHERE seen<? LIMIT ?`, `DELETE FROM webhook_events WHERE id=?`},
	} {
		for ctx.Err() == nil {
			rows, err := h.db.Query(ctx, part.find, before, prunePage)
			page, err := collect(rows, err, func(s scanner) (p pruned, err error) {
				err = s.Scan(&p.endpoint, &p.seq, &p.event)
				return p, err
			})
			if err != nil || len(page) == 0 {
				if err != nil {
					return n, err
				}
				break
			}
			err = h.db.Do(ctx, sqldb.NoLock, func(tx txn) error {
				for _, p := range page {
					args := []any{p.endpoint, p.seq}
					if p.endpoint == "" {
						args = []any{p.event}
					}
					if _, err := tx.Exec(part.remove, args...); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return n, err
			}
			n += len(page)
		}
	}
	return n, ctx.Err()
}
