package reconcile

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"penstock/stock/driver"
)

// live reports whether a sale is one whose shared content is kept up: not over and not closed.
func live(doc *driver.Sale, l *look) bool { return l.at.Before(doc.EndsAt) && doc.ClosedAt.IsZero() }

// compareShared compares what processes share of the gate with the stock rows. It moves all the time and is behind for a moment,
// so only what is the same at two looks, further apart than it may be behind, is a difference.
func (l *look) compareShared(ctx context.Context) error {
	if l.r.Shared == nil {
		return nil
	}
	first, err := l.sharedDiffers(ctx, l.snap)
	if err != nil || len(first) == 0 {
		return err
	}
	if err := l.wait(ctx); err != nil {
		return err
	}
	snap, err := l.r.Stock.Snapshot(ctx)
	if err != nil {
		return err
	}
	second, err := l.sharedDiffers(ctx, snap)
	if err != nil {
		return err
	}
	for _, object := range slices.Sorted(maps.Keys(first)) {
		if d := first[object]; second[object].Found == d.Found && second[object].Expected == d.Expected {
			l.add(d)
		}
	}
	return nil
}

// wait lets the time pass that the gate may be behind.
func (l *look) wait(ctx context.Context) error {
	t := l.r.Clock.NewTimer(l.r.GateLag)
	defer t.Stop()
	select {
	case <-t.C():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sharedDiffers returns what differs now, by object. Content that cannot be read is told and not mended: it decides nothing.
func (l *look) sharedDiffers(ctx context.Context, snap *driver.Snapshot) (map[string]Difference, error) {
	rows := map[string][]*driver.Stock{}
	for i := range snap.Stock {
		rows[snap.Stock[i].Sale] = append(rows[snap.Stock[i].Sale], &snap.Stock[i])
	}
	out := map[string]Difference{}
	for i := range snap.Sales {
		sale := snap.Sales[i].ID
		if !live(&snap.Sales[i], l) {
			continue
		}
		content, err := l.r.Shared.Content(ctx, sale)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			out["sale/"+sale] = Difference{Kind: KindShared, Object: "sale/" + sale, Expected: "content that can be read", Found: err.Error()}
			continue
		}
		for _, row := range rows[sale] {
			if want, have := sharedWants(row, content[row.SKU]); want != "" {
				out[rowObject(row)] = Difference{Kind: KindShared, Object: rowObject(row), Expected: want, Found: have,
					mend: func(ctx context.Context, _, _ string) (bool, error) { return l.r.mendShared(ctx, sale, row.SKU) }}
			}
		}
	}
	return out, nil
}

// sharedWants says what the content of a row must be, "" where it is so. Units that attempts on their way have taken off the free
// count are not free, so that it may be lower than what is available, and after a build even below zero.
func sharedWants(row *driver.Stock, content string) (want, have string) {
	want = fmt.Sprintf("version %d, %d available, at most as many free", row.Version, row.Available)
	var version, available, free int64
	if n, err := fmt.Sscan(content, &version, &available, &free); content == "" || err != nil || n != 3 {
		return want, fmt.Sprintf("%q", content)
	}
	if version == row.Version && available == row.Available && free <= available {
		return "", ""
	}
	return want, fmt.Sprintf("version %d, %d available, %d free", version, available, free)
}

// mendShared builds the content of a sale anew and reports whether the row agrees with what is there now.
func (r *Reconciler) mendShared(ctx context.Context, sale, sku string) (bool, error) {
	agrees := func() (bool, error) {
		snap, err := r.Stock.Snapshot(ctx)
		if err != nil {
			return false, err
		}
		content, err := r.Shared.Content(ctx, sale)
		if err != nil {
			return false, err
		}
		for i := range snap.Stock {
			if row := &snap.Stock[i]; row.Sale == sale && row.SKU == sku {
				want, _ := sharedWants(row, content[sku])
				return want == "", nil
			}
		}
		return false, nil
	}
	if ok, err := agrees(); ok || err != nil { // the build for another SKU of the sale has mended this one
		return ok, err
	}
	if err := r.Shared.Rebuild(ctx, sale); err != nil {
		return false, err
	}
	return agrees()
}
