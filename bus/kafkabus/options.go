package kafkabus

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"penstock/bus/driver"
	"penstock/internal/clock"
	"penstock/internal/fault"
)

// Options tunes a Driver. The zero value is good. Waits for the broker itself are measured by the machine's clock.
type Options struct {
	Clock  clock.Clock
	Logger *slog.Logger
	// Partitions is the number of partitions of a topic; 0 means 12. It never changes for a topic.
	Partitions int
	// Retention is how long a topic made here keeps its messages; 0 means 7 days. A group that is away for longer loses some.
	Retention time.Duration

	// Session is how long a silent consumer keeps its partitions; 0 means 30 s.
	Session time.Duration
	// Heartbeat is how often a consumer tells the broker that it lives; 0 means 8 s, or less for a short Session.
	Heartbeat time.Duration
	// Rebalance is how long a consumer may take to finish its batch when partitions are dealt out anew; 0 means 60 s.
	Rebalance time.Duration
	// Idle is how long a Poll waits for messages, and a fetch at the broker; 0 means 500 ms.
	Idle time.Duration
	// Gather is how long a Poll waits for company of the messages it has, while there is a crowd; 0 means 100 ms, or Idle if that is less.
	Gather time.Duration

	// Batch is how many messages the relay sends before it waits for their acknowledgement; 0 means 5000.
	Batch int
	// Timeout is how long the relay waits for an acknowledgement before it begins again at what is acknowledged; 0 means 30 s.
	Timeout time.Duration
	// Lease is how long a silent relay keeps its source; 0 means 30 s. It is renewed every quarter of that.
	Lease time.Duration
	// Quiet is how often a source is looked at without word of a change, for commits of other processes; 0 means 100 ms.
	Quiet time.Duration
	// Sent is how often a source is told what every group has got; 0 means 1 s.
	Sent time.Duration

	// Letters are the dead letters that this process copies to <topic>.dlq, while no other process does; nil copies none.
	Letters driver.Copies

	// Fault injects failures at the points named Point…; nil never fails.
	Fault *fault.Points
}

// Points where [Options.Fault] may fail a relay: a batch is acknowledged, its position not yet written; letters are acknowledged,
// not yet marked as copied.
const (
	PointAcked        = "kafkabus.acked"
	PointLettersAcked = "kafkabus.letters.acked"
)

// Validate names the first field that is out of range.
func (o Options) Validate() error {
	if o.Partitions < 0 || o.Partitions > 1000 {
		return fmt.Errorf("kafkabus: Partitions is %d; allowed are 1 to 1000", o.Partitions)
	}
	if o.Batch < 0 || o.Batch > 100_000 {
		return fmt.Errorf("kafkabus: Batch is %d; allowed are 1 to 100000", o.Batch)
	}
	for _, d := range []struct {
		name string
		d    time.Duration
	}{
		{"Retention", o.Retention}, {"Session", o.Session}, {"Heartbeat", o.Heartbeat}, {"Rebalance", o.Rebalance}, {"Idle", o.Idle}, {"Gather", o.Gather},
		{"Timeout", o.Timeout}, {"Lease", o.Lease}, {"Quiet", o.Quiet}, {"Sent", o.Sent},
	} {
		if d.d < 0 {
			return fmt.Errorf("kafkabus: %s is %v; it must be positive", d.name, d.d)
		}
	}
	if full := o.withDefaults(); full.Heartbeat >= full.Session {
		return errors.New("kafkabus: Heartbeat must be shorter than Session")
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Partitions, o.Batch = cmp.Or(o.Partitions, 12), cmp.Or(o.Batch, 5000)
	o.Retention, o.Session, o.Rebalance = cmp.Or(o.Retention, 7*24*time.Hour), cmp.Or(o.Session, 30*time.Second), cmp.Or(o.Rebalance, 60*time.Second)
	o.Idle, o.Timeout, o.Lease = cmp.Or(o.Idle, 500*time.Millisecond), cmp.Or(o.Timeout, 30*time.Second), cmp.Or(o.Lease, 30*time.Second)
	o.Quiet, o.Sent = cmp.Or(o.Quiet, 100*time.Millisecond), cmp.Or(o.Sent, time.Second)
	o.Gather = cmp.Or(o.Gather, min(100*time.Millisecond, o.Idle))
	o.Heartbeat = cmp.Or(o.Heartbeat, min(8*time.Second, o.Session/3))
	return o
}
