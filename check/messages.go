package check

import (
	"penstock/check/ndjson"
	"penstock/internal/ident"
)

// outbox counts what was sent. A line that says it was not sent although nothing is in flight breaks I12.
func (w *world) outbox(line []byte) error {
	var unsent bool
	var id string
	err := ndjson.Fields(line, func(name []byte, v ndjson.Value) error {
		switch string(name) {
		case "sent":
			unsent = !v.Null() && !v.True()
		case "id":
			id = v.Text()
		}
		return nil
	})
	if err != nil {
		return err
	}
	w.counts["outbox"]++
	w.tally.ran("I12", 1)
	if unsent && w.drained {
		w.tally.bad("I12", "message %s is still there although nothing is in flight", id)
	}
	return nil
}

func (w *world) deadLetter(line []byte) error {
	var id, topic, key, reason, state string
	var partition, offset, failedAt ndjson.Value
	var attempts int64
	err := ndjson.Fields(line, func(name []byte, v ndjson.Value) (err error) {
		switch string(name) {
		case "id":
			id = v.Text()
		case "topic":
			topic = v.Text()
		case "key":
			key = v.Text()
		case "reason":
			reason = v.Text()
		case "state":
			state = v.Text()
		case "partition":
			partition = v
		case "offset":
			offset = v
		case "failedAt":
			failedAt = v
		case "attempts":
			attempts, err = v.Int()
		}
		return err
	})
	if err != nil {
		return err
	}
	w.counts["deadLetters"]++
	w.tally.ran("I12", 1)
	if reason == "" || failedAt.Null() || attempts < 1 {
		w.tally.bad("I12", "dead letter %s does not say why, when or after how many tries", id)
	}
	if topic == "" || partition.Null() || offset.Null() {
		w.tally.bad("I12", "dead letter %s does not say where it came from", id)
	}
	if order, err := ident.Parse(key); err == nil && state != "replayed" {
		w.dead[order]++
	}
	return nil
}
