package mysqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"penstock/bus/driver"
	"penstock/bus/sqlrow"
	"penstock/engine/mysql"
)

const importPage = 200

// Import copies every dead letter, settled ones too, under its own id, and returns how many there are. It may be repeated: a
// letter that is here already is left as it is. When a letter was settled is not known to the port; at stands for it. Parked
// messages are not copied: whoever reads the outbox from its beginning meets them again. For the same reason a letter that was
// replayed comes here as a dead one: what became of its message may still be parked over there.
func (s *Store) Import(ctx context.Context, from driver.DeadLetters, at time.Time) (n int64, err error) {
	for after := int64(0); ; {
		page, err := from.List(ctx, driver.Filter{All: true}, after, importPage)
		if err != nil || len(page) == 0 {
			return n, err
		}
		for i := range page {
			if err := s.adopt(ctx, &page[i], at); err != nil {
				return n, fmt.Errorf("dead letter %d: %w", page[i].ID, err)
			}
			n, after = n+1, page[i].ID
		}
	}
}

func (s *Store) adopt(ctx context.Context, l *driver.DeadLetter, at time.Time) error {
	copied := *l
	if l.State == driver.Replayed {
		copied.State = driver.Dead
	}
	var settled int64
	if copied.State != driver.Dead {
		settled = sqlrow.Nanos(at)
	}
	values, err := sqlrow.OfLetter(l.Group, &copied)
	if err != nil {
		return err
	}
	values = append(values, l.ID, settled)
	err = mysql.Tx(ctx, s.db, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO dead_letter (`+sqlrow.Letter+`, id, settled_at) VALUES `+mysql.Placeholders(1, len(values)), values...)
		return err
	})
	if mysql.Duplicate(err) {
		return nil
	}
	return err
}
