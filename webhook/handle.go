package webhook

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"penstock/bus"
	"penstock/bus/driver"
	"penstock/engine/sqldb"
	"penstock/errs"
)

// Group is the consumer group that queues deliveries.
const Group = "webhooks"

// Handle queues what endpoints asked for and returns when that is durable. It has the shape of a bus handler, and is idempotent.
func (h *Hooks) Handle(ctx context.Context, batch []driver.Message) []error {
	failed := make([]error, len(batch))
	all, err := h.rows(ctx)
	if err != nil {
		return every(failed, err)
	}
	events := make([]Event, 0, len(batch))
	for i := range batch {
		if h.o.Skip != nil && h.o.Skip(&batch[i]) {
			continue
		}
		if !slices.ContainsFunc(all, func(r row) bool { return wants(r.Events, batch[i].Type) && h.after(&r, batch[i].At) }) {
			continue
		}
		e, err := eventOf(&batch[i], h.o.Source)
		if err != nil {
			failed[i] = err
			continue
		}
		events = append(events, e)
	}
	if len(events) == 0 {
		return failed
	}
	if err := h.keep(ctx, events); err != nil {
		return every(failed, err)
	}
	for _, r := range all {
		if !r.Enabled {
			continue
		}
		if err := h.queue(ctx, r.ID, events); err != nil {
			return every(failed, err)
		}
		h.nudge(r.ID)
	}
	return failed
}

// Wanted reports whether some endpoint, be it disabled, may ask for a message of a topic. While none does, the topic need not be
// read for [Group]: an endpoint gets what happens after its creation. A topic whose types are not known is always wanted as soon
// as there is an endpoint.
func (h *Hooks) Wanted(ctx context.Context, topic string) (bool, error) {
	all, err := h.rows(ctx)
	if err != nil {
		return false, err
	}
	types, known := h.o.Types[topic]
	return slices.ContainsFunc(all, func(r row) bool {
		return !known || slices.ContainsFunc(types, func(kind string) bool { return wants(r.Events, kind) })
	}), nil
}

// every fails all messages that have not failed for good. That the store is away is no fault of the messages.
func every(failed []error, err error) []error {
	if errs.Is(err, errs.ReducedCapacity) || errs.Is(err, errs.Unknown) {
		err = fmt.Errorf("%w: %w", bus.ErrUnavailable, err)
	}
	for i := range failed {
		if failed[i] == nil {
			failed[i] = err
		}
	}
	return failed
}

// keep stores events. Those kept before stay as they are.
func (h *Hooks) keep(ctx context.Context, events []Event) error {
	now := h.o.Clock.Now().UnixMilli()
	return h.db.Do(ctx, sqldb.NoLock, func(tx sqldb.Tx) error {
		for i := range events {
			e := &events[i]
			if _, err := tx.Insert(`INSERT INTO webhook_events (id, topic, type, user, at, seen, body) VALUES (?, ?, ?, ?, ?, ?, ?)`,
				e.ID, e.Topic, e.Type, e.User, e.At.UnixMilli(), now, e.Body); err != nil {
				return fmt.Errorf("keep webhook event: %w", err)
			}
		}
		return nil
	})
}

// queue adds deliveries of events to an endpoint, in their order.
func (h *Hooks) queue(ctx context.Context, endpoint string, events []Event) error {
	return h.db.Do(ctx, slot(endpoint), func(tx sqldb.Tx) error {
		r, err := scanEndpoint(inTx(tx, `SELECT `+endpointColumns+` FROM webhook_endpoints WHERE id=?`, endpoint))
		if errors.Is(err, sql.ErrNoRows) || err == nil && !r.Enabled {
			return nil // deleted or disabled meanwhile
		}
		if err != nil {
			return err
		}
		first := r.nextSeq
		for i := range events {
			if !wants(r.Events, events[i].Type) || !h.after(&r, events[i].At) {
				continue
			}
			if err := h.add(tx, &r, &events[i]); err != nil {
				return err
			}
		}
		if r.nextSeq == first {
			return nil
		}
		_, err = tx.Exec(`UPDATE webhook_endpoints SET next_seq=? WHERE id=?`, r.nextSeq, endpoint)
		return err
	})
}

// clocks is how far the clock of a database that several processes share may be behind that of the process which made an endpoint.
const clocks = 5 * time.Second

// after reports whether something happened after an endpoint was created. Where two clocks tell that, doubt is in its favour.
func (h *Hooks) after(r *row, at time.Time) bool {
	created := r.CreatedAt
	if h.db.Shared() {
		created = created.Add(-clocks)
	}
	return !at.Before(created.Truncate(time.Millisecond))
}

// add queues one event, unless it was queued before. r is the endpoint, under its slot.
func (h *Hooks) add(tx sqldb.Tx, r *row, e *Event) error {
	state, next, err := h.turn(tx, r.ID, e.User)
	if err != nil {
		return err
	}
	added, err := tx.Insert(`INSERT INTO webhook_deliveries (`+deliveryColumns+`) VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0, '', ?, 0, ?)`,
		r.ID, r.nextSeq, e.ID, e.Type, e.User, state, h.o.Clock.Now().UnixMilli(), next)
	if added {
		r.nextSeq++
	}
	return err
}

// turn says whether a delivery to the user may be made now or stands behind another.
func (h *Hooks) turn(tx sqldb.Tx, endpoint, user string) (State, any, error) {
	var one int
	err := tx.Scan(`SELECT 1 FROM webhook_deliveries WHERE endpoint=? AND user=? AND state IN (0, 1) LIMIT 1`, []any{endpoint, user}, &one)
	if errors.Is(err, sql.ErrNoRows) {
		return Due, h.o.Clock.Now().UnixMilli(), nil
	}
	return Waiting, nil, err
}
