package kafkabus

import (
	"testing"

	"go.uber.org/goleak"

	"penstock/bus/drivertest"
	"penstock/bus/sqlstore"
	"penstock/internal/engines"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestOnOneNode holds everything that needs no more than one broker, which all its parts share.
func TestOnOneNode(t *testing.T) {
	c := engines.Kafka(t, 1, engines.KafkaOptions{})
	t.Run("up", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T, string){
			"contract": contract, "deposed relay": deposed, "position not written": unwritten, "too large": tooLarge,
			"sent is sound": sentIsSound, "paused member": paused, "rebalance": rebalanced, "batch in hand": finished,
			"lags":    lags,
			"letters": lettersAreCopied, "gzip": compressed,
			"poison": poison, "bus": wholeBus, "wrong partitions": wrongPartitions,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, c.URL)
			})
		}
	})
	t.Run("away", func(t *testing.T) { outage(t, c) })
	t.Run("away with letters", func(t *testing.T) { lettersOutlastAnOutage(t, c) })
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
