package stock

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	bus "penstock/bus/driver"
	"penstock/internal/ident"
	"penstock/stock/driver"
)

// Source reads the outgoing messages of the stock database: one per hold, sale and release, in commit order. It has the
// shape that bus/outboxbus wants.
type Source struct{ stock *Stock }

// Source returns the outbox of the stock database.
func (s *Stock) Source() *Source { return &Source{s} }

// Name tells the stock outbox from the outboxes of other databases.
func (*Source) Name() string { return "stock" }

// Read returns messages of entries after the given sequence number, and the number it has read up to: entries that send no
// message are passed over.
func (o *Source) Read(ctx context.Context, after uint64, limit int) ([]bus.Message, uint64, error) {
	entries, err := o.stock.drv.Journal(ctx, after, limit)
	if err != nil {
		return nil, after, err
	}
	msgs := make([]bus.Message, 0, len(entries))
	for i := range entries {
		if m, ok := message(&entries[i]); ok {
			msgs = append(msgs, m)
		}
		after = entries[i].Last()
	}
	return msgs, after, nil
}

// Head returns the last sequence number in use.
func (o *Source) Head(ctx context.Context) (uint64, error) {
	snap, err := o.stock.drv.Snapshot(ctx)
	if err != nil {
		return 0, err
	}
	return snap.Seq, nil
}

// Changed receives after commits; several commits may be told at once.
func (o *Source) Changed() <-chan struct{} { return o.stock.changed }

// Sent says that every consumer has durably got all messages up to a sequence number.
func (o *Source) Sent(ctx context.Context, upto uint64) error { return o.stock.drv.Sent(ctx, upto) }

var messageType = map[driver.Kind]string{driver.Hold: EventHeld, driver.Sell: EventSold, driver.Release: EventReleased}

// message turns a journal entry into the message it sends. Its id is its place in the journal.
func message(e *driver.Entry) (bus.Message, bool) {
	kind, ok := messageType[e.Kind]
	if !ok {
		return bus.Message{}, false
	}
	payload, err := json.Marshal(EventOf(e.Attempt, e.At, e.Why))
	if err != nil {
		return bus.Message{}, false // an Event has no value that JSON cannot say
	}
	headers := map[string]string{
		"source": "penstock/stock", "version": "1", "timestamp": strconv.FormatInt(e.At.UnixMilli(), 10),
	}
	if e.Trace != "" {
		headers["traceparent"] = e.Trace
		if part := strings.Split(e.Trace, "-"); len(part) == 4 {
			headers["traceId"] = part[1]
		}
	}
	return bus.Message{
		ID: "stock-" + strconv.FormatUint(e.Seq, 10), Topic: Topic, User: e.Attempt.Key.User, Key: e.Attempt.ID.String(),
		Type: kind, Payload: payload, Headers: headers, At: e.At, Partition: ident.SlotOf(e.Attempt.Key.User) % Partitions,
		Offset: e.Seq,
	}, true
}

// Partitions is the number of partitions of the topic; a user's messages are all in one.
const Partitions = 12
