package mysqlstore

import (
	"context"
	"database/sql"
	"slices"

	"penstock/bus/driver"
	"penstock/bus/sqlrow"
	"penstock/engine/mysql"
)

// queues are the parked queues of some users of a group, locked by a transaction until its end.
type queues struct {
	tx    *sql.Tx
	group string
	users []string
}

// lock locks the queues of users, in one order for everybody. A user without a queue gets an empty one, which close removes.
func lock(ctx context.Context, tx *sql.Tx, group string, users []string) (*queues, error) {
	slices.Sort(users)
	q := &queues{tx, group, slices.Compact(users)}
	for some := range slices.Chunk(q.users, chunk) {
		var values []any
		for _, u := range some {
			values = append(values, group, u, 0, 0)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO parked_user (consumer_group, user, head, due) VALUES `+
			mysql.Placeholders(len(some), 4)+` ON DUPLICATE KEY UPDATE head = head`, values...); err != nil {
			return nil, err
		}
	}
	return q, nil
}

// chunk is how many rows one statement names.
const chunk = 200

// close writes what the queues have become: the oldest message of each is its head, and who has none has no row.
func (q *queues) close(ctx context.Context) error {
	for some := range slices.Chunk(q.users, chunk) {
		users := args([]any{q.group}, some)
		if _, err := q.tx.ExecContext(ctx, `UPDATE parked_user u
			JOIN (SELECT user, MIN(seq) AS seq FROM parked WHERE consumer_group = ? AND user IN `+list(len(some))+` GROUP BY user) first
				ON first.user = u.user
			JOIN parked p ON p.seq = first.seq
			SET u.head = p.seq, u.due = p.due WHERE u.consumer_group = ?`, append(users, q.group)...); err != nil {
			return err
		}
		if _, err := q.tx.ExecContext(ctx, `DELETE u FROM parked_user u
			LEFT JOIN parked p ON p.consumer_group = u.consumer_group AND p.user = u.user
			WHERE u.consumer_group = ? AND u.user IN `+list(len(some))+` AND p.seq IS NULL`, users...); err != nil {
			return err
		}
	}
	return nil
}

// add appends messages in their order. One that is parked already stays where it is, and one that is or was a letter with as
// many replays stays away.
func (q *queues) add(ctx context.Context, msgs []driver.Parked) error {
	for some := range slices.Chunk(msgs, chunk) {
		buried, err := q.buried(ctx, some)
		if err != nil {
			return err
		}
		var values []any
		rows := 0
		for _, p := range some {
			if replays, dead := buried[name{p.Message.Topic, p.Message.ID}]; dead && replays >= p.Replays {
				continue
			}
			row, err := sqlrow.OfParked(q.group, p)
			if err != nil {
				return err
			}
			values = append(values, row...)
			rows++
		}
		if rows == 0 {
			continue
		}
		if _, err := q.tx.ExecContext(ctx, `INSERT INTO parked (`+sqlrow.Parked+`) VALUES `+
			mysql.Placeholders(rows, len(values)/rows)+` ON DUPLICATE KEY UPDATE tries = tries`, values...); err != nil {
			return err
		}
	}
	return nil
}

// name names a message within a group.
type name struct{ topic, id string }

// buried returns the highest count of replays of those of the messages that have letters.
func (q *queues) buried(ctx context.Context, msgs []driver.Parked) (map[name]int, error) {
	values := []any{q.group}
	for _, p := range msgs {
		values = append(values, p.Message.Topic, p.Message.ID)
	}
	rows, err := q.tx.QueryContext(ctx, `SELECT topic, message_id, MAX(replays) FROM dead_letter
		WHERE consumer_group = ? AND (topic, message_id) IN (`+mysql.Placeholders(len(msgs), 2)+`) GROUP BY topic, message_id`, values...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[name]int{}
	for rows.Next() {
		var n name
		var replays int
		if err := rows.Scan(&n.topic, &n.id, &replays); err != nil {
			return nil, err
		}
		out[n] = replays
	}
	return out, rows.Err()
}
