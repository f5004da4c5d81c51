package outboxbus

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// lease is what a member holds of one source.
type lease struct {
	epoch    int64
	position uint64
}

// enrol makes the missing rows of a group, at the earliest message.
func (d *Driver) enrol(ctx context.Context, group, topic string, sources []Source) error {
	missing := 0
	for _, s := range sources {
		var n int
		err := d.db.R.QueryRowContext(ctx, `SELECT count(*) FROM cursor WHERE consumer_group = ? AND topic = ? AND source = ?`,
			group, topic, s.Name()).Scan(&n)
		if err != nil {
			return err
		}
		missing += 1 - n
	}
	if missing == 0 {
		return nil
	}
	return d.db.Tx(ctx, func(tx *sql.Tx) error {
		for _, s := range sources {
			if _, err := tx.ExecContext(ctx, `INSERT INTO cursor (consumer_group, topic, source, position, owner, lease_until, epoch)
				VALUES (?, ?, ?, 0, '', 0, 0) ON CONFLICT DO NOTHING`, group, topic, s.Name()); err != nil {
				return err
			}
		}
		return nil
	})
}

func (d *Driver) voidLeases(ctx context.Context) error {
	var held int
	if err := d.db.R.QueryRowContext(ctx, `SELECT count(*) FROM cursor WHERE owner <> ''`).Scan(&held); err != nil || held == 0 {
		return err
	}
	_, err := d.db.W.ExecContext(ctx, `UPDATE cursor SET owner = '', lease_until = 0, epoch = epoch + 1 WHERE owner <> ''`)
	return err
}

// free returns the lanes not held whose lease may be taken at now: nobody's, run out, or our own from a take that was cut off.
func (r *reader) free(ctx context.Context, now time.Time) ([]*lane, error) {
	rows, err := r.d.db.R.QueryContext(ctx, `SELECT source FROM cursor
		WHERE consumer_group = ? AND topic = ? AND (owner = ? OR lease_until <= ?)`, r.group, r.topic, r.owner, now.UnixNano())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var free []*lane
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		if l := r.lane(name); l != nil && !l.held.Load() {
			free = append(free, l)
		}
	}
	return free, rows.Err()
}

// take acquires those of the lanes that are still free. A new epoch shuts out whoever held them before.
func (r *reader) take(ctx context.Context, lanes []*lane, now time.Time) (map[*lane]lease, error) {
	taken := map[*lane]lease{}
	err := r.d.db.Tx(ctx, func(tx *sql.Tx) error {
		for _, l := range lanes {
			var got lease
			var position int64
			err := tx.QueryRowContext(ctx, `UPDATE cursor SET owner = ?1, lease_until = ?2, epoch = epoch + 1
				WHERE consumer_group = ?3 AND topic = ?4 AND source = ?5 AND (owner = ?1 OR lease_until <= ?6)
				RETURNING epoch, position`,
				r.owner, now.Add(r.d.opt.Lease).UnixNano(), r.group, r.topic, l.src.Name(), now.UnixNano()).Scan(&got.epoch, &position)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err != nil {
				return err
			}
			got.position = uint64(position)
			taken[l] = got
		}
		return nil
	})
	return taken, err
}

// mark is a cursor to write.
type mark struct {
	lane     *lane
	position uint64
}

// write moves cursors and renews their leases, all or none. lost names the lanes whose lease another member has.
func (r *reader) write(ctx context.Context, marks []mark, until time.Time, owner string) (lost []*lane, err error) {
	lapse := int64(0)
	if owner != "" {
		lapse = until.UnixNano()
	}
	err = r.d.db.Tx(ctx, func(tx *sql.Tx) error {
		for _, m := range marks {
			res, err := tx.ExecContext(ctx, `UPDATE cursor SET position = ?, lease_until = ?, owner = ?
				WHERE consumer_group = ? AND topic = ? AND source = ? AND owner = ? AND epoch = ?`,
				int64(m.position), lapse, owner, r.group, r.topic, m.lane.src.Name(), r.owner, m.lane.epoch)
			if err != nil {
				return err
			}
			n, err := res.RowsAffected()
			if err != nil {
				return err
			}
			if n == 0 {
				lost = append(lost, m.lane)
			}
		}
		if len(lost) > 0 {
			return fmt.Errorf("%w: %s of group %s on %s", ErrLeaseLost, lost[0].src.Name(), r.group, r.topic)
		}
		return nil
	})
	return lost, err
}

// position reads where the group stands in a source.
func (r *reader) position(ctx context.Context, source string) (uint64, error) {
	var position int64
	err := r.d.db.R.QueryRowContext(ctx, `SELECT position FROM cursor WHERE consumer_group = ? AND topic = ? AND source = ?`,
		r.group, r.topic, source).Scan(&position)
	return uint64(position), err
}

// tell tells the sources how far every known group, of any topic, has committed. What fails is told again by the next commit.
func (d *Driver) tell(ctx context.Context, lanes []*lane) {
	d.sentMu.Lock()
	defer d.sentMu.Unlock()
	for _, l := range lanes {
		name := l.src.Name()
		var low int64
		err := d.db.R.QueryRowContext(ctx, `SELECT coalesce(min(position), 0) FROM cursor WHERE source = ?`, name).Scan(&low)
		if err == nil && uint64(low) > d.sent[name] {
			if err = l.src.Sent(ctx, uint64(low)); err == nil {
				d.sent[name] = uint64(low)
			}
		}
		if err != nil {
			d.opt.Logger.Warn("outbox not told what was sent, telling it later", "source", name, "error", err)
		}
	}
}

// Forget removes a group that will never read again, so that the sources need not wait for it. Its readers must be closed.
func (d *Driver) Forget(ctx context.Context, group string) error {
	_, err := d.db.W.ExecContext(ctx, `DELETE FROM cursor WHERE consumer_group = ?`, group)
	return err
}
