package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"penstock/engine/groupcommit"
	"penstock/webhook/standard"
)

// Types of callback.
const (
	EventCaptured = "payment.captured"
	EventFailed   = "payment.failed"
	EventPending  = "payment.pending"
)

// Event is the body of a callback.
type Event struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      EventData `json:"data"`
}

// EventData says which payment the event is about. Amount is in minor units of Currency.
type EventData struct {
	PaymentID   string `json:"paymentId"`
	ProviderRef string `json:"providerRef"`
	Amount      int64  `json:"amount"`
	Currency    string `json:"currency"`
}

// message is one planned callback. Early is how long before the decision its event claims to be.
type message struct {
	kind   string
	number int
	early  time.Duration
}

// plan lists the callbacks of a charge. They are sent in this order, each after the one before was taken.
func plan(c charge) []message {
	if c.callback == "" {
		return nil
	}
	switch c.outcome {
	case Lose:
		return nil
	case Fail:
		return []message{{kind: EventFailed}}
	case Duplicate:
		return []message{{kind: EventCaptured}, {kind: EventCaptured}, {kind: EventCaptured, number: 1}}
	case Reorder:
		return []message{{kind: EventCaptured}, {kind: EventPending, number: 1, early: 2 * time.Second}, {kind: EventFailed, number: 2, early: time.Second}}
	}
	return []message{{kind: EventCaptured}}
}

// deliver sends the callbacks of a charge in order until one is not taken, writes down how far it came and returns that.
func (s *Service) deliver(ctx context.Context, c charge) charge {
	steps := plan(c)
	for c.step < len(steps) {
		err := s.send(ctx, c, steps[c.step])
		if ctx.Err() != nil {
			return c
		}
		if err == nil {
			c.step, c.tries = c.step+1, 0
			continue
		}
		c.tries++
		s.o.Logger.Debug("sandbox callback not taken", "payment", c.id.String(), "try", c.tries, "error", err)
		break
	}
	c.next.Valid = c.step < len(steps) && c.tries < s.o.MaxTries
	if c.next.Valid {
		wait := min(s.o.RetryAfter<<min(c.tries-1, 20), s.o.RetryMax)
		c.next.Int64 = s.o.Clock.Now().Add(wait).UnixMilli()
	}
	err := s.db.Do(ctx, func(tx *groupcommit.Tx) error {
		_, err := tx.Exec(`UPDATE charges SET step=?, tries=?, next_at=? WHERE id=?`, c.step, c.tries, c.next, int64(c.id))
		return err
	})
	if err != nil && ctx.Err() == nil {
		s.o.Logger.Error("sandbox callback not written down; it will be sent again", "payment", c.id.String(), "error", err)
	}
	return c
}

// send delivers one message; only a 2xx answer is nil.
func (s *Service) send(ctx context.Context, c charge, m message) error {
	at := c.due().Add(-m.early)
	body, err := json.Marshal(Event{
		Type: m.kind, Timestamp: at,
		Data: EventData{PaymentID: c.id.String(), ProviderRef: c.ref(), Amount: amountOf(c, m), Currency: c.currency},
	})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.callback, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	standard.Sign(req.Header, fmt.Sprintf("msg_%s_%d", c.id, m.number), s.o.Clock.Now(), body, s.secret)
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	io.Copy(io.Discard, io.LimitReader(resp.Body, maxBody))
	resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("the receiver answered %s", resp.Status)
	}
	return nil
}

func amountOf(c charge, m message) int64 {
	if m.kind == EventCaptured {
		return c.taken()
	}
	return c.amount
}
