package messagetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"penstock/bus"
	"penstock/bus/driver"
	"penstock/engine/mysql"
)

// effectTables are what the handlers write. A row of effect is an effect, and nothing but the handler keeps it from being made
// twice; pos is the order in which they were made. account has a row for each user, which a handler locks first.
var effectTables = []string{`
CREATE TABLE IF NOT EXISTS account (user VARBINARY(64) NOT NULL PRIMARY KEY) ENGINE=InnoDB;

CREATE TABLE IF NOT EXISTS effect (
	pos        BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
	message_id VARBINARY(64) NOT NULL,
	user       VARBINARY(64) NOT NULL,
	n          BIGINT NOT NULL,
	KEY effect_message (message_id)
) ENGINE=InnoDB;

CREATE TABLE IF NOT EXISTS flaked (message_id VARBINARY(64) NOT NULL PRIMARY KEY) ENGINE=InnoDB;
`}

// effects is a handler that makes the effects of a batch in one transaction.
type effects struct{ db *mysql.DB }

// handle makes each effect once, by the message's id. One message in fifty fails at first.
func (e effects) handle(ctx context.Context, batch []driver.Message) []error {
	out := make([]error, len(batch))
	err := mysql.Tx(ctx, e.db, func(tx *sql.Tx) error {
		var users, ids []any
		for _, m := range batch {
			users, ids = append(users, m.User), append(ids, m.ID)
		}
		if _, err := column(ctx, tx, `SELECT user FROM account WHERE user IN `+mysql.Placeholders(1, len(users))+` ORDER BY user FOR UPDATE`, users...); err != nil {
			return err
		}
		made, err := column(ctx, tx, `SELECT message_id FROM effect WHERE message_id IN `+mysql.Placeholders(1, len(ids)), ids...)
		if err != nil {
			return err
		}
		flaked, err := column(ctx, tx, `SELECT message_id FROM flaked WHERE message_id IN `+mysql.Placeholders(1, len(ids)), ids...)
		if err != nil {
			return err
		}
		var rows, flakes []any
		for i, m := range batch {
			n := number(m.ID)
			switch {
			case slices.Contains(made, m.ID):
			case n%50 == 7 && !slices.Contains(flaked, m.ID):
				flakes, out[i] = append(flakes, m.ID), errors.New("not now")
			default:
				rows = append(rows, m.ID, m.User, n)
			}
		}
		return errors.Join(insert(ctx, tx, "effect (message_id, user, n)", 3, rows), insert(ctx, tx, "flaked (message_id)", 1, flakes))
	})
	if err != nil {
		for i := range out {
			out[i] = fmt.Errorf("%w: %w", bus.ErrUnavailable, err)
		}
	}
	return out
}

func insert(ctx context.Context, tx *sql.Tx, into string, cols int, values []any) error {
	if len(values) == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO "+into+" VALUES "+mysql.Placeholders(len(values)/cols, cols), values...)
	return err
}

// column reads the first column of all rows.
func column(ctx context.Context, tx *sql.Tx, query string, values ...any) (all []string, err error) {
	rows, err := tx.QueryContext(ctx, query, values...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, rows.Err()
}

// number is the number of a message among those of its user.
func number(id string) int {
	n, _ := strconv.Atoi(id[strings.LastIndex(id, "-")+1:])
	return n
}
