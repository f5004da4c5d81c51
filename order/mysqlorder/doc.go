// Package mysqlorder keeps orders in MySQL or MariaDB: databases <name>_orders_0 … _7 of thirty-two tables each, on one server or
// dealt over several, with replicas for lists and exports.
//
// Any number of processes may write the same databases. What keeps them right is in the rows: the primary key of an order and of
// an event, row locks in sorted order, and a compare-and-set on the version. A deadlock or a lock that is not got in time runs
// the transaction again. A commit whose answer is lost is [driver.ErrUnknown]; writing the same changes again settles it.
//
// A replica is read only while it shows, within a quarter of a second, everything that was committed before the read began; one
// that lags, stands still or is gone is left out for a second at a time. So no page and no export is older than its call.
//
// A [Store] is safe for concurrent use.
package mysqlorder
