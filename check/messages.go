package check

import (
	"strings"

	"penstock/check/ndjson"
	"penstock/internal/ident"
)

// outbox counts what was sent. A line that says it was not sent although nothing is in flight breaks I12.
func (w *world) outbox(line []byte) error {
	var unsent bool
	var id, kind, key string
	var payload ndjson.Value
	err := ndjson.Fields(line, func(name []byte, v ndjson.Value) error {
		switch string(name) {
		case "sent":
			unsent = !v.Null() && !v.True()
		case "id":
			id = v.Text()
		case "type":
			kind = v.Text()
		case "key":
			key = v.Text()
		case "payload":
			payload = v
		}
		return nil
	})
	if err != nil {
		return err
	}
	if kind == "stock.held" && !payload.Null() {
		if err := w.heldFor(key, payload); err != nil {
			return err
		}
	}
	w.counts["outbox"]++
	w.tally.ran("I12", 1)
	if unsent && w.drained {
		w.tally.bad("I12", "message %s is still there although nothing is in flight", id)
	}
	return nil
}

// heldFor compares what a hold was announced for with its claim: the order is made from the message.
func (w *world) heldFor(key string, payload ndjson.Value) error {
	amount := int64(-1)
	err := ndjson.Fields(payload, func(name []byte, v ndjson.Value) (err error) {
		if string(name) == "amount" {
			amount, err = v.Int()
		}
		return err
	})
	if err != nil {
		return err
	}
	id, err := ident.Parse(key)
	if err != nil || amount < 0 {
		return nil // about no claim, or of a format that does not say
	}
	if p, _ := w.buys.get(id); p.priced && p.due != amount {
		w.tally.bad("I8", "the hold of claim %v was announced for %d, its lines add up to %d", id, amount, p.due)
	}
	return nil
}

// readers judges where the readers of messages stand: one that is further than what there is to read will skip what comes next.
func (w *world) readers(inFlight map[string]int64) {
	for name, n := range inFlight {
		reader, ok := strings.CutSuffix(name, beyond)
		if !ok {
			continue
		}
		w.tally.ran("I12", 1)
		w.tally.bad("I12", "reader %s stands %d behind the end of what there is to read: that many entries to come would be skipped", reader, n)
	}
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
