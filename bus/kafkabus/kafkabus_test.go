package kafkabus

import (
	"testing"

	"penstock/bus/drivertest"
	"penstock/bus/sqlstore"
	"penstock/internal/engines"
)

// TestOnOneNode holds everything that needs no more than one broker, which all its parts share.
func TestOnOneNode(t *testing.T) {
	url := engines.Kafka(t, 1, engines.KafkaOptions{}).URL
	t.Run("contract", func(t *testing.T) { contract(t, url) })
}

// The contract of the bus's ports, by way of the relay: what is published goes through an outbox.
func contract(t *testing.T, url string) {
	drivertest.Run(t, func(t *testing.T) drivertest.Harness {
		b := begin(t, url)
		d := b.driver(quick())
		return drivertest.Harness{
			Driver: d, Store: sqlstore.New(b.db), Topic: b.topic, Publish: b.log.Append,
			Expire: func() { b.expire(d, "g") },
		}
	})
}

// expire holds up the network until the broker has given up every member of a group.
func (b *bench) expire(d *Driver, group string) {
	b.t.Helper()
	other := *b
	other.cluster = b.open(nil)
	b.line.hold()
	b.until("the broker gives up the silent member", func() bool { return other.members(d, group) == 0 })
	b.line.release()
}
