package webhook

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"time"

	"penstock/engine/sqldb"
)

type txn = sqldb.Tx

// settle writes down what became of a try, if the endpoint is still ours: whoever has it now tries again himself.
func (h *Hooks) settle(ctx context.Context, ep *row, d *Delivery, out outcome) error {
	err := h.settleOnce(ctx, ep, d, out, false)
	if ends, ok := errors.AsType[*ending](err); ok {
		if err = h.o.Audit(ctx, ends.act()); err == nil {
			err = h.settleOnce(ctx, ep, d, out, true)
		}
	}
	return err
}

// ending says that an endpoint is about to be disabled, which the trail must tell before. Nothing was written.
type ending struct {
	before Endpoint
	why    string
}

func (e *ending) Error() string { return "the endpoint is to be disabled: " + e.why }

// act is the same act however often it is recorded: an endpoint leaves a version once.
func (e *ending) act() Act {
	after := e.before
	after.Enabled, after.Why, after.Version = false, e.why, e.before.Version+1
	return Act{
		Who: "penstock", Act: "webhook.disabled", Object: object(e.before.ID), Why: e.why, Before: told(e.before), After: told(after),
		ID: fmt.Sprintf("webhook.disabled/%s/%d", e.before.ID, e.before.Version),
	}
}

// settleOnce is one transaction of settle; audited says that the trail tells already of what it may disable.
func (h *Hooks) settleOnce(ctx context.Context, ep *row, d *Delivery, out outcome, audited bool) error {
	var result, disabled string
	err := h.db.Do(ctx, slot(ep.ID), func(tx txn) error {
		result, disabled = "", ""
		r, err := scanEndpoint(inTx(tx, `SELECT `+endpointColumns+` FROM webhook_endpoints WHERE id=?`, ep.ID))
		if errors.Is(err, sql.ErrNoRows) || err == nil && r.owner != h.me {
			return nil
		}
		if err != nil {
			return err
		}
		if out.err == "" {
			result = "delivered"
			return h.taken(tx, &r, d, out)
		}
		result, disabled, err = h.refused(tx, &r, d, out)
		if err == nil && disabled != "" && !audited {
			return &ending{r.Endpoint, disabled}
		}
		return err
	})
	if err != nil {
		return err
	}
	if result != "" {
		h.o.Tried(result, out.took)
	}
	if disabled != "" {
		h.o.Logger.Error("a webhook endpoint was disabled", "endpoint", ep.ID, "why", disabled)
		h.o.Disabled(ep.ID, disabled)
	}
	return nil
}

// taken settles a delivery that was taken, and ends the endpoint's failing.
func (h *Hooks) taken(tx txn, r *row, d *Delivery, out outcome) error {
	n, err := tx.Exec(`UPDATE webhook_deliveries SET state=2, next_at=NULL, status=?, error='', tried_at=? WHERE endpoint=? AND seq=? AND state=1`,
		out.status, h.o.Clock.Now().UnixMilli(), r.ID, d.Seq)
	if err == nil && n == 1 {
		err = h.promote(tx, r.ID, d.User)
	}
	if err != nil || r.failures == 0 && r.FailingSince.IsZero() && r.PausedUntil.IsZero() {
		return err
	}
	_, err = tx.Exec(`UPDATE webhook_endpoints SET failures=0, failing_since=0, paused_until=0 WHERE id=?`, r.ID)
	return err
}

// promote lets the user's next delivery be made.
func (h *Hooks) promote(tx txn, endpoint, user string) error {
	var seq sql.NullInt64
	err := tx.Scan(`SELECT min(seq) FROM webhook_deliveries WHERE endpoint=? AND user=? AND state=0`, []any{endpoint, user}, &seq)
	if err != nil || !seq.Valid {
		return err
	}
	_, err = tx.Exec(`UPDATE webhook_deliveries SET state=1, next_at=? WHERE endpoint=? AND seq=?`, h.o.Clock.Now().UnixMilli(), endpoint, seq.Int64)
	return err
}

// refused settles a failed try: the message waits for its next one or is given up, and the endpoint may have to rest or end.
func (h *Hooks) refused(tx txn, r *row, d *Delivery, out outcome) (result, disabled string, err error) {
	now := h.o.Clock.Now()
	since := r.FailingSince
	if since.IsZero() {
		since = now
	}
	switch {
	case out.status == http.StatusGone:
		disabled = "the receiver answered 410 Gone"
	case now.Sub(since) >= h.o.DisableAfter:
		disabled = fmt.Sprintf("nothing was taken since %s", since.UTC().Format(time.RFC3339))
	}
	if !r.Enabled {
		disabled = "" // by another delivery that was in flight
	}
	if !out.hopeless {
		if err := h.rest(tx, r, out, since, disabled); err != nil {
			return "", "", err
		}
	}
	if out.status == http.StatusGone { // it waits for an operator, who may enable the endpoint
		_, err = tx.Exec(`UPDATE webhook_deliveries SET status=?, error=?, tried_at=? WHERE endpoint=? AND seq=?`, out.status, out.err, now.UnixMilli(), r.ID, d.Seq)
		return "failed", disabled, err
	}
	tries := d.Tries + 1
	if out.hopeless || tries > len(h.o.Retries) {
		n, err := tx.Exec(`UPDATE webhook_deliveries SET state=3, next_at=NULL, tries=?, status=?, error=?, tried_at=? WHERE endpoint=? AND seq=? AND state=1`,
			tries, out.status, out.err, now.UnixMilli(), r.ID, d.Seq)
		if err == nil && n == 1 {
			err = h.promote(tx, r.ID, d.User)
		}
		return "given-up", disabled, err
	}
	next := now.Add(max(h.jitter(h.o.Retries[tries-1]), out.retryAfter))
	_, err = tx.Exec(`UPDATE webhook_deliveries SET next_at=?, tries=?, status=?, error=?, tried_at=? WHERE endpoint=? AND seq=? AND state=1`,
		next.UnixMilli(), tries, out.status, out.err, now.UnixMilli(), r.ID, d.Seq)
	return "failed", disabled, err
}

// rest counts a failure of the endpoint as a whole. One that fails again and again rests, so that an outage costs its messages
// few of their tries; one that asks for time gets it.
func (h *Hooks) rest(tx txn, r *row, out outcome, since time.Time, disabled string) error {
	now, failures, until := h.o.Clock.Now(), r.failures+1, r.PausedUntil
	if failures >= trip {
		d := min(firstRest<<min(failures-trip, 10), longestRest)
		until = later(until, now.Add(h.jitter(d)))
	}
	if out.status == http.StatusTooManyRequests || out.status == http.StatusServiceUnavailable {
		if out.retryAfter > 0 {
			until = later(until, now.Add(out.retryAfter))
		}
	}
	var pause int64
	if !until.IsZero() {
		pause = until.UnixMilli()
	}
	if disabled != "" {
		_, err := tx.Exec(`UPDATE webhook_endpoints SET enabled=0, why=?, version=version+1, changed_at=?, failures=?, failing_since=?, paused_until=? WHERE id=?`,
			disabled, now.UnixMilli(), failures, since.UnixMilli(), pause, r.ID)
		return err
	}
	_, err := tx.Exec(`UPDATE webhook_endpoints SET failures=?, failing_since=?, paused_until=? WHERE id=?`, failures, since.UnixMilli(), pause, r.ID)
	return err
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
