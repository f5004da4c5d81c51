package bus

import (
	"penstock/bus/driver"
	"penstock/bus/outbox"
)

// PublishTx writes messages into the caller's transaction: they are carried if it commits, and were never there if it does not.
// tx is a sqldb.Tx, a *groupcommit.Tx, or outbox.SQL of a *sql.Tx; its database has the table of outbox.Into, and an
// outbox.Source of each topic is given to the driver. See package outbox for what a message needs and what order it has.
func PublishTx(tx outbox.Tx, msgs ...driver.Message) error { return outbox.Publish(tx, msgs...) }
