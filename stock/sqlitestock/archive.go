package sqlitestock

import (
	"context"
	"encoding/json"
	"fmt"

	"penstock/stock/driver"
)

const archiveRows = 2000 // journal rows per transaction, so that no decision waits long behind the archive

// Archive moves the keys of sales that ended Options.ArchiveAfter ago, hold nothing any more and have sent every message from
// memory to indexed tables, and returns how many sales it has moved. It works in short transactions between decisions; after a crash in the
// middle the next call begins that sale again. Call it now and then.
func (d *Driver) Archive(ctx context.Context) (int, error) {
	for moved := 0; ; moved++ {
		s := d.archivable()
		if s == nil {
			return moved, nil
		}
		_, end := at(d, func(m *memory) uint64 { return m.seq })
		for lo := s.first; lo < end; lo += archiveRows {
			if err := d.locked(ctx, func(ctx context.Context) error { return d.copyKeys(ctx, s.num, lo, min(lo+archiveRows, end)) }); err != nil {
				return moved, fmt.Errorf("archive sale %q: %w", s.doc.ID, err)
			}
		}
		if err := d.locked(ctx, func(ctx context.Context) error { return d.forget(ctx, s.doc.ID) }); err != nil {
			return moved, fmt.Errorf("archive sale %q: %w", s.doc.ID, err)
		}
	}
}

// forget drops the keys of a sale from memory. The sale is closed for good with it, so that a clock that steps back does not
// open a sale that no longer knows its buyers.
func (d *Driver) forget(ctx context.Context, id string) error {
	closed := *d.mem.sales[id]
	closed.archived, closed.keys, closed.more, closed.taken, closed.noes, closed.used = true, nil, nil, nil, nil, nil
	closed.lists = nil
	if closed.doc.ClosedAt.IsZero() {
		closed.doc.ClosedAt = closed.doc.EndsAt
	}
	doc, err := json.Marshal(closed.doc)
	if err != nil {
		return err
	}
	if err = d.exec(ctx, "UPDATE sale SET archived = 1, doc = ? WHERE n = ?", 1, string(doc), closed.num); err != nil {
		return err
	}
	d.mu.Lock()
	d.mem.sales[id], d.mem.byNum[closed.num] = &closed, &closed
	d.mem.dropSpans()
	d.mu.Unlock()
	return nil
}

// archivable returns a sale that ended long enough ago and takes no more keys.
func (d *Driver) archivable() *sale {
	before := d.opt.Clock.Now().Add(-d.opt.ArchiveAfter)
	_, found := at(d, func(m *memory) *sale {
		for _, s := range m.sales {
			ended := s.doc.EndsAt
			if !s.doc.ClosedAt.IsZero() && s.doc.ClosedAt.Before(ended) {
				ended = s.doc.ClosedAt
			}
			if !s.archived && ended.Before(before) && !m.holds(s) && m.sentAll(s) {
				return s
			}
		}
		return nil
	})
	return found
}

func (m *memory) holds(s *sale) bool {
	for _, it := range s.doc.Items {
		if l := m.levels[driver.StockRef{Sale: s.doc.ID, SKU: it.SKU}]; l != nil && l.Held > 0 {
			return true
		}
	}
	return false
}

func (d *Driver) copyKeys(ctx context.Context, num int64, after, upto uint64) error {
	err := d.exec(ctx, `INSERT OR REPLACE INTO closed_key SELECT sale, user, key, seq FROM journal
		WHERE seq > ? AND seq <= ? AND sale = ? AND key IS NOT NULL AND kind IN (1, 2, 5, 6)`, -1, int64(after), int64(upto), num)
	if err != nil {
		return err
	}
	err = d.exec(ctx, `INSERT OR REPLACE INTO closed_wait SELECT sale, user, key, seq FROM journal
		WHERE seq > ? AND seq <= ? AND sale = ? AND kind = 7`, -1, int64(after), int64(upto), num)
	if err != nil {
		return err
	}
	return d.exec(ctx, `INSERT OR REPLACE INTO closed_order SELECT id, seq FROM journal
		WHERE seq > ? AND seq <= ? AND sale = ? AND kind = 1`, -1, int64(after), int64(upto), num)
}

// locked runs f as the writer, in a durable transaction.
func (d *Driver) locked(ctx context.Context, f func(context.Context) error) error {
	d.write.Lock()
	defer d.write.Unlock()
	if d.closed || d.broken {
		return driver.ErrUnavailable
	}
	ctx = context.WithoutCancel(ctx)
	err := d.exec(ctx, "BEGIN IMMEDIATE", -1)
	if err == nil {
		err = d.exec(ctx, assertEpoch, 1, d.epoch)
	}
	if err == nil {
		err = f(ctx)
	}
	if err == nil {
		err = d.exec(ctx, "COMMIT", -1)
	}
	if err != nil {
		d.breakdown(true)
	}
	return err
}
