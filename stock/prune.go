package stock

import (
	"context"
	"errors"
	"fmt"
	"time"

	"penstock/stock/driver"
)

const (
	// LeastKept is the least time that final noes stay after the end of their sale.
	LeastKept = 24 * time.Hour
	pruneRows = 1000
	pruneWho  = "penstock"
)

// pruning is how far the pruning of a sale has come, as far as this process did it.
type pruning struct {
	noes, allowances int
	next             uint64
}

// Pruned is what a call of Prune has removed.
type Pruned struct{ Sales, Noes, Allowances int }

// Prune removes final noes and allowances of sales that ended before a time and hold nothing any more, in up to most short transactions,
// and returns what it removed; Sales are those that it has come to the end of. A sale is closed for good first. Whoever sends the key of
// a removed no again is told that the sale is closed; wins are replayed as ever. One call at a time; several processes do no harm.
//
// What is removed is told to nobody: the ledger, the messages and the claims do not have it.
func (s *Stock) Prune(ctx context.Context, before time.Time, most int) (all Pruned, err error) {
	drv, ok := s.drv.(driver.Pruner)
	if !ok {
		return all, nil
	}
	snap, err := s.drv.Snapshot(ctx)
	if err != nil {
		return all, err
	}
	before = earlier(before, snap.Now.Add(-LeastKept))
	held := map[string]int64{}
	for i := range snap.Stock {
		held[snap.Stock[i].Sale] += snap.Stock[i].Held
	}
	for i := range snap.Sales {
		doc := &snap.Sales[i]
		if most <= 0 {
			break
		}
		if !doc.PrunedAt.IsZero() || held[doc.ID] > 0 || !EndOf(doc).Before(before) {
			continue
		}
		if err = s.pruneSale(ctx, drv, doc, &most, &all); err != nil && !errors.Is(err, driver.ErrKept) {
			return all, fmt.Errorf("prune sale %q: %w", doc.ID, err)
		}
	}
	return all, nil
}

// EndOf returns when a sale ends, or was closed.
func EndOf(doc *driver.Sale) time.Time {
	if doc.ClosedAt.IsZero() {
		return doc.EndsAt
	}
	return earlier(doc.ClosedAt, doc.EndsAt)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func (s *Stock) pruneSale(ctx context.Context, drv driver.Pruner, doc *driver.Sale, most *int, all *Pruned) error {
	if doc.ClosedAt.IsZero() { // so that no clock that steps back opens a sale that has forgotten its users' limits
		closed := func(now *driver.Sale) error {
			if now.ClosedAt.IsZero() {
				now.ClosedAt = now.EndsAt
			}
			return nil
		}
		if _, err := s.UpdateSale(ctx, doc.ID, 0, closed, driver.Audit{Who: pruneWho, Act: "sale.prune", Why: "it ended long ago: its final refusals and its limits are about to be forgotten"}); err != nil {
			return err
		}
	}
	if s.pruning == nil {
		s.pruning = map[string]pruning{}
	}
	for at := s.pruning[doc.ID]; *most > 0; *most-- {
		p, err := drv.Prune(ctx, doc.ID, at.next, pruneRows)
		if err != nil {
			return err
		}
		at.noes, at.allowances, at.next = at.noes+p.Noes, at.allowances+p.Allowances, p.Next
		all.Noes, all.Allowances = all.Noes+p.Noes, all.Allowances+p.Allowances
		if s.pruning[doc.ID] = at; at.next > 0 {
			continue
		}
		delete(s.pruning, doc.ID)
		all.Sales++
		marked := func(now *driver.Sale) error { now.PrunedAt = s.opt.Clock.Now().UTC(); return nil }
		_, err = s.UpdateSale(ctx, doc.ID, 0, marked, driver.Audit{
			Who: pruneWho, Act: "sale.prune", Why: fmt.Sprintf("it ended long ago: %d final refusals and %d limits in use were forgotten", at.noes, at.allowances),
		})
		return err
	}
	return nil
}
