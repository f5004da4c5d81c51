package sqliteorder

import (
	"fmt"
	"strings"

	"penstock/bus/outbox"
	"penstock/order/shard"
)

// migrations returns the schema of database db. Times are nanoseconds since 1970, items is the JSON of the lines, amounts are
// minor units. The id grows with time, so rows go to the end of a table; the index serves an owner's list. The events of all
// tables of a database share one table, in which one order's events are neighbours.
func migrations(db int) []string {
	var b strings.Builder
	b.WriteString(`
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE order_event(
  order_id INTEGER NOT NULL, n INTEGER NOT NULL, at INTEGER NOT NULL, from_state TEXT NOT NULL, to_state TEXT NOT NULL,
  why TEXT NOT NULL, who TEXT NOT NULL, PRIMARY KEY(order_id, n)) STRICT, WITHOUT ROWID;
`)
	for t := range shard.Tables {
		name := shard.TableName(db, t)
		fmt.Fprintf(&b, `
CREATE TABLE %[1]s(
  id INTEGER PRIMARY KEY, user TEXT NOT NULL, sale TEXT NOT NULL, key TEXT NOT NULL, items TEXT NOT NULL, state TEXT NOT NULL,
  amount INTEGER NOT NULL, currency TEXT NOT NULL, refunded INTEGER NOT NULL, created INTEGER NOT NULL,
  pay_before INTEGER NOT NULL, changed INTEGER NOT NULL, version INTEGER NOT NULL, delivery BLOB, trace TEXT NOT NULL) STRICT;
CREATE INDEX %[1]s_owner ON %[1]s(user, id);
`, name)
	}
	return []string{b.String(), outbox.SQLite}
}
