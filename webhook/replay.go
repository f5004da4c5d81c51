package webhook

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"penstock/errs"
)

// Deliveries returns up to limit deliveries of an endpoint after a number, oldest first; of one state unless that is negative.
func (h *Hooks) Deliveries(ctx context.Context, endpoint string, state State, after int64, limit int) ([]Delivery, error) {
	if _, err := h.row(ctx, endpoint); err != nil {
		return nil, err
	}
	query, args := `SELECT `+deliveryColumns+` FROM webhook_deliveries WHERE endpoint=? AND seq>?`, []any{endpoint, after}
	if state >= 0 {
		query, args = query+` AND state=?`, append(args, int(state))
	}
	rows, err := h.db.Query(ctx, query+` ORDER BY seq LIMIT ?`, append(args, limit)...)
	return collect(rows, err, scanDelivery)
}

// Replay makes one delivery again, with its webhook-id and all its tries. One that is due is tried now.
func (h *Hooks) Replay(ctx context.Context, who, endpoint string, seq int64, why string) (Delivery, error) {
	d, err := scanDelivery(h.committed(ctx, `SELECT `+deliveryColumns+` FROM webhook_deliveries WHERE endpoint=? AND seq=?`, endpoint, seq))
	if errors.Is(err, sql.ErrNoRows) {
		return d, notFound()
	}
	if err == nil {
		before, _ := json.Marshal(map[string]any{"state": d.State.String(), "tries": d.Tries, "replays": d.Replays}) // always has a JSON form
		err = h.o.Audit(ctx, Act{
			Who: who, Act: "webhook.replay", Object: object(endpoint) + "/" + strconv.FormatInt(seq, 10), Why: why, Before: string(before), ID: "webhook.replay/" + rand.Text(),
		})
	}
	if err != nil {
		return d, err
	}
	err = h.db.Do(ctx, slot(endpoint), func(tx txn) error {
		d, err = scanDelivery(inTx(tx, `SELECT `+deliveryColumns+` FROM webhook_deliveries WHERE endpoint=? AND seq=?`, endpoint, seq))
		if errors.Is(err, sql.ErrNoRows) {
			return notFound()
		}
		if err != nil {
			return err
		}
		return h.again(tx, &d)
	})
	h.nudge(endpoint)
	return d, err
}

// again puts a delivery back into its user's order.
func (h *Hooks) again(tx txn, d *Delivery) error {
	now := h.o.Clock.Now()
	var err error
	switch d.State {
	case Waiting:
		return errs.New(errs.Conflict, "it waits behind an earlier delivery of its user, which comes first")
	case Due:
		d.Tries, d.NextAt = 0, now
		_, err = tx.Exec(`UPDATE webhook_deliveries SET next_at=?, tries=0 WHERE endpoint=? AND seq=?`, now.UnixMilli(), d.Endpoint, d.Seq)
		return err
	}
	state, next, err := h.turn(tx, d.Endpoint, d.User)
	if err != nil {
		return err
	}
	d.State, d.Tries, d.Replays, d.NextAt = state, 0, d.Replays+1, time.Time{}
	if state == Due {
		d.NextAt = now
	}
	_, err = tx.Exec(`UPDATE webhook_deliveries SET state=?, next_at=?, tries=0, replays=replays+1 WHERE endpoint=? AND seq=?`, state, next, d.Endpoint, d.Seq)
	return err
}

// replayPage is how many events one transaction of a replay deals with.
const replayPage = 100

// Past says which events are to be replayed: those that came to be queued since a time, with Delivered also those that were taken.
type Past struct {
	Since     time.Time `json:"since"`
	Delivered bool      `json:"delivered"`
}

// ReplaySince queues every kept event of the past that the endpoint wants: those it never got, as after a time when it was
// disabled, those given up, and those it took if they are asked for. It returns how many; after an error, repeat it.
func (h *Hooks) ReplaySince(ctx context.Context, who, endpoint, why string, p Past) (n int, err error) {
	r, err := h.row(ctx, endpoint)
	if err != nil {
		return 0, err
	}
	after, _ := json.Marshal(p) // always has a JSON form
	err = h.o.Audit(ctx, Act{Who: who, Act: "webhook.replay-since", Object: object(endpoint), Why: why, Before: told(r.Endpoint), After: string(after), ID: "webhook.replay/" + rand.Text()})
	for seen, id := p.Since.UnixMilli(), ""; err == nil; {
		var page []Event
		var last int64
		rows, e := h.db.Query(ctx, `SELECT id, type, user, seen FROM webhook_events WHERE seen>? OR seen=? AND id>? ORDER BY seen, id LIMIT ?`, seen, seen, id, replayPage)
		page, err = collect(rows, e, func(s scanner) (e Event, err error) {
			err = s.Scan(&e.ID, &e.Type, &e.User, &last)
			return e, err
		})
		if err != nil || len(page) == 0 {
			break
		}
		seen, id = last, page[len(page)-1].ID
		var more int
		err = h.db.Do(ctx, slot(endpoint), func(tx txn) (err error) {
			more, err = h.replayPage(tx, endpoint, page, p.Delivered)
			return err
		})
		n += more
	}
	h.nudge(endpoint)
	return n, err
}

func (h *Hooks) replayPage(tx txn, endpoint string, page []Event, delivered bool) (n int, err error) {
	r, err := scanEndpoint(inTx(tx, `SELECT `+endpointColumns+` FROM webhook_endpoints WHERE id=?`, endpoint))
	if errors.Is(err, sql.ErrNoRows) {
		return 0, notFound()
	}
	if err != nil {
		return 0, err
	}
	first := r.nextSeq
	for i := range page {
		if !wants(r.Events, page[i].Type) {
			continue
		}
		d, err := scanDelivery(inTx(tx, `SELECT `+deliveryColumns+` FROM webhook_deliveries WHERE endpoint=? AND event=?`, endpoint, page[i].ID))
		switch {
		case errors.Is(err, sql.ErrNoRows):
			err = h.add(tx, &r, &page[i])
			n++
		case err == nil && (d.State == GivenUp || d.State == Delivered && delivered):
			err = h.again(tx, &d)
			n++
		}
		if err != nil {
			return 0, err
		}
	}
	if r.nextSeq == first {
		return n, nil
	}
	_, err = tx.Exec(`UPDATE webhook_endpoints SET next_seq=? WHERE id=?`, r.nextSeq, endpoint)
	return n, err
}

// Pinged is what became of a test delivery.
type Pinged struct {
	Taken  bool
	Status int
	Error  string
	Took   time.Duration
}

// Ping sends an event of the type "webhook.ping" now, past the queue and whether or not the endpoint is enabled. It changes nothing.
func (h *Hooks) Ping(ctx context.Context, who, endpoint, why string) (Pinged, error) {
	r, err := h.row(ctx, endpoint)
	if err != nil {
		return Pinged{}, err
	}
	now := h.o.Clock.Now()
	all, err := h.seal.open(endpoint, r.sealed, now)
	if err != nil {
		return Pinged{}, err
	}
	secrets, err := parse(all)
	if err == nil {
		err = h.o.Audit(ctx, Act{Who: who, Act: "webhook.ping", Object: object(endpoint), Why: why, ID: "webhook.ping/" + rand.Text()})
	}
	if err != nil {
		return Pinged{}, err
	}
	id := "msg_ping_" + rand.Text()
	body, err := json.Marshal(cloudEvent{
		SpecVersion: "1.0", ID: id, Source: h.o.Source + "/webhooks", Type: "webhook.ping", Subject: endpoint, Time: now.UTC(),
		DataContentType: "application/json", Data: json.RawMessage(`{}`),
	})
	if err != nil {
		return Pinged{}, err
	}
	out := h.send(ctx, r.URL, id, body, secrets)
	return Pinged{Taken: out.err == "", Status: out.status, Error: out.err, Took: out.took}, nil
}
