package webhook

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"penstock/webhook/standard"
)

// outcome is what became of one try.
type outcome struct {
	status     int // 0 without an answer
	retryAfter time.Duration
	err        string // "" when it was taken
	took       time.Duration
	// hopeless says that no further try can succeed.
	hopeless bool
}

const (
	maxRetryAfter = 24 * time.Hour
	// maxAnswer is how much of an answer is read, so that the connection can be used again. None of it is kept: what stands at an
	// address is not for whoever may name an address.
	maxAnswer = 16 << 10
	maxError  = 300
)

// try makes a delivery once and writes down what became of it.
func (h *Hooks) try(ctx context.Context, ep *row, secrets []secret, d *Delivery) {
	var body []byte
	err := h.db.Scan(ctx, `SELECT body FROM webhook_events WHERE id=?`, []any{d.Event}, &body)
	var out outcome
	switch {
	case errors.Is(err, sql.ErrNoRows):
		out = outcome{err: "the event is not kept any more", hopeless: true}
	case err != nil:
		h.o.Logger.Warn("a webhook event cannot be read", "endpoint", ep.ID, "error", err.Error())
		return
	default:
		out = h.send(ctx, ep.URL, d.Event, body, secrets)
	}
	if ctx.Err() != nil || h.o.Fault.Hit(PointSent) != nil {
		return // as if this process had died: another try follows
	}
	if err := h.settle(context.WithoutCancel(ctx), ep, d, out); err != nil {
		h.o.Logger.Warn("the outcome of a webhook delivery was not written down; it is made again", "endpoint", ep.ID, "error", err.Error())
	}
}

// send posts a body under the given id. Its outcome tells nothing of what the answer said but the status.
func (h *Hooks) send(ctx context.Context, target, id string, body []byte, secrets []secret) (out outcome) {
	begun := time.Now()
	defer func() { out.took = time.Since(begun) }()
	if err := h.o.Guard.Check(target); err != nil { // the rules may be stricter than when the endpoint was made
		return outcome{err: clip(err.Error())}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return outcome{err: "the URL cannot be used"}
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", "Penstock-Webhooks/1")
	standard.Sign(req.Header, id, h.o.Clock.Now(), body, secrets...)
	resp, err := h.client.Do(req)
	if err != nil {
		return outcome{err: h.explain(err)}
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	out.status, out.retryAfter = resp.StatusCode, retryAfter(resp.Header.Get("Retry-After"), h.o.Clock.Now())
	switch {
	case resp.StatusCode/100 == 2:
	case resp.StatusCode/100 == 3:
		out.err = fmt.Sprintf("status %d: redirects are not followed", resp.StatusCode)
	default:
		out.err = fmt.Sprintf("status %d", resp.StatusCode)
	}
	return out
}

// explain says what went wrong, without the URL, which may hold what is not for everyone.
func (h *Hooks) explain(err error) string {
	if u, ok := errors.AsType[*url.Error](err); ok {
		if u.Timeout() {
			return "no answer within " + h.o.Timeout.String()
		}
		err = u.Err
	}
	return clip(err.Error())
}

func clip(s string) string {
	if len(s) > maxError {
		s = s[:maxError]
	}
	return s
}

// retryAfter reads seconds or a date, at most a day.
func retryAfter(s string, now time.Time) time.Duration {
	var d time.Duration
	if n, err := strconv.ParseInt(s, 10, 32); err == nil {
		d = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(s); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}
