package mysqlorder

import (
	"fmt"
	"strings"

	"penstock/bus/outbox"
	"penstock/order/shard"
)

// migrations returns the schema of database db. Times are nanoseconds since 1970, items is the JSON of the lines, amounts are
// minor units; what people chose compares as bytes. The id grows with time, so rows go to the end of a table; the index serves an
// owner's list. The events of all tables of a database share one table, in which one order's events are neighbours.
//
// STATS_PERSISTENT=0: tables that grow this fast have their persistent statistics
// made anew all the time, under a lock that every statement needs; that cost more than the inserts themselves.
func migrations(db int) []string {
	var b strings.Builder
	b.WriteString(`
CREATE TABLE IF NOT EXISTS meta(name VARBINARY(64) NOT NULL PRIMARY KEY, value MEDIUMBLOB NOT NULL) ENGINE=InnoDB STATS_PERSISTENT=0;
CREATE TABLE IF NOT EXISTS order_event(
  order_id BIGINT NOT NULL, n INT NOT NULL, at BIGINT NOT NULL, from_state VARBINARY(20) NOT NULL, to_state VARBINARY(20) NOT NULL,
  why VARBINARY(4096) NOT NULL, who VARBINARY(1024) NOT NULL, PRIMARY KEY(order_id, n)) ENGINE=InnoDB STATS_PERSISTENT=0;
`)
	for t := range shard.Tables {
		fmt.Fprintf(&b, "CREATE TABLE IF NOT EXISTS %s(\n"+
			"  id BIGINT NOT NULL PRIMARY KEY, user VARBINARY(512) NOT NULL, sale VARBINARY(512) NOT NULL, `key` VARBINARY(1024) NOT NULL,\n"+
			"  items MEDIUMBLOB NOT NULL, state VARBINARY(20) NOT NULL, amount BIGINT NOT NULL, currency VARBINARY(8) NOT NULL,\n"+
			"  refunded BIGINT NOT NULL, created BIGINT NOT NULL, pay_before BIGINT NOT NULL, changed BIGINT NOT NULL,\n"+
			"  version BIGINT NOT NULL, delivery MEDIUMBLOB NULL, trace VARBINARY(512) NOT NULL, KEY owner(user, id)) ENGINE=InnoDB STATS_PERSISTENT=0;\n",
			shard.TableName(db, t))
	}
	return []string{b.String(), outbox.MySQL}
}
