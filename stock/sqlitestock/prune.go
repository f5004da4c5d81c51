package sqlitestock

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"penstock/stock/driver"
)

// boundLate is how long after the end of a sale noes may be bound that are still removed.
const boundLate = 24 * time.Hour

// pruned is what a stretch of the journal loses. Its newest row stays, whatever it is: the numbers go on from there.
const pruned = `FROM journal WHERE seq > ? AND seq <= ? AND sale = ? AND kind = 2 AND seq < (SELECT max(seq) FROM journal)`

// Prune goes through the journal of an archived sale; its allowances left memory with its keys. The room in the file is used again.
func (d *Driver) Prune(ctx context.Context, id string, from uint64, most int) (out driver.Pruned, err error) {
	var s sale
	_, end := at(d, func(m *memory) uint64 {
		if found := m.sales[id]; found != nil {
			s = *found
		}
		return m.seq
	})
	if !s.archived || s.doc.ClosedAt.IsZero() {
		return out, fmt.Errorf("%w: %q", driver.ErrKept, id)
	}
	from = max(from, s.first)
	upto := min(from+uint64(max(most, 1)), end)
	var last int64
	err = d.locked(ctx, func(ctx context.Context) error {
		in := []any{int64(from), int64(upto), s.num}
		if err := d.own.QueryRowContext(ctx, "SELECT count(*) "+pruned, in...).Scan(&out.Noes); err != nil || out.Noes == 0 {
			return err
		}
		if err := d.exec(ctx, "DELETE FROM closed_key WHERE sale = ? AND (user, key) IN (SELECT user, key "+pruned+")", -1, s.num, in[0], in[1], in[2]); err != nil {
			return err
		}
		return d.exec(ctx, "DELETE "+pruned, int64(out.Noes), in...)
	})
	if err == nil {
		err = d.readAt(ctx, upto, &last)
	}
	if err != nil {
		return driver.Pruned{}, fmt.Errorf("prune sale %q: %w", id, err)
	}
	if upto < end && !fromMicro(last).After(s.doc.ClosedAt.Add(boundLate)) {
		out.Next = upto
	}
	return out, nil
}

// readAt reads the time of the newest row up to a number; zero when there is none.
func (d *Driver) readAt(ctx context.Context, upto uint64, us *int64) error {
	d.life.RLock()
	defer d.life.RUnlock()
	db, _ := at(d, func(*memory) bool { return true })
	err := db.QueryRowContext(ctx, "SELECT at FROM journal WHERE seq <= ? ORDER BY seq DESC LIMIT 1", int64(upto)).Scan(us)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}
