package app

import (
	"context"
	"encoding/json"
	"io"
	"strconv"
	"time"

	bus "penstock/bus/driver"
)

// deadLetterRow is a line of the export "dead-letters". Payload is the message's JSON, or a JSON string where it is none.
type deadLetterRow struct {
	ID        string            `json:"id"`
	Group     string            `json:"group"`
	Topic     string            `json:"topic"`
	Partition int               `json:"partition"`
	Offset    string            `json:"offset"`
	User      string            `json:"user"`
	Key       string            `json:"key"`
	Type      string            `json:"type"`
	Reason    string            `json:"reason"`
	Attempts  int               `json:"attempts"`
	FailedAt  time.Time         `json:"failedAt"`
	State     string            `json:"state"`
	Note      string            `json:"note,omitempty"`
	Headers   map[string]string `json:"headers"`
	Payload   json.RawMessage   `json:"payload"`
}

func rowOf(d *bus.DeadLetter) deadLetterRow {
	payload := json.RawMessage(d.Message.Payload)
	if !json.Valid(payload) {
		payload, _ = json.Marshal(string(d.Message.Payload)) // a string always has a JSON form
	}
	return deadLetterRow{
		ID: strconv.FormatInt(d.ID, 10), Group: d.Group, Topic: d.Message.Topic, Partition: d.Message.Partition,
		Offset: strconv.FormatUint(d.Message.Offset, 10), User: d.Message.User, Key: d.Message.Key, Type: d.Message.Type,
		Reason: d.Reason, Attempts: d.Attempts, FailedAt: d.FailedAt, State: d.State, Note: d.Note,
		Headers: d.Message.Headers, Payload: payload,
	}
}

const deadLetterPage = 200

func (a *App) exportDeadLetters(ctx context.Context, w io.Writer) error {
	enc := json.NewEncoder(w)
	letters := a.bus.DeadLetters()
	for after := int64(0); ; {
		page, err := letters.List(ctx, bus.Filter{All: true}, after, deadLetterPage)
		if err != nil || len(page) == 0 {
			return err
		}
		for i := range page {
			if err := enc.Encode(rowOf(&page[i])); err != nil {
				return err
			}
			after = page[i].ID
		}
	}
}
