package bus

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"strconv"
	"strings"
	"unicode/utf8"

	"penstock/bus/driver"
	"penstock/errs"
)

// Headers of a message that an operator made of a dead one: the id of that message, and that of its letter.
const (
	HeaderReplayOf       = "replay-of"
	HeaderReplayOfLetter = "replay-of-letter"
)

// ActEdit is the act of the audit trail by which a letter was replaced.
const ActEdit = "dead-letter.edit"

// Edit is what an operator makes of a dead message.
type Edit struct {
	// Payload is the new payload. It is checked by the topic's contract (see Options.Contracts).
	Payload []byte
	// Type and Version replace those of the message; "" keeps them.
	Type, Version string
	// Reason must say why.
	Reason string
}

// Edit sends a new message in place of a dead one: with an id of its own, the same topic, user and key, the old one's headers but
// for those of its death, and [HeaderReplayOf]. It goes to the end of the user's parked queue, for the group in which the old
// one died; the letter is marked as replayed. It counts no replays, and is no replay: the loop guard does not hold it back, the
// rate does. Errors are those of Replay, and errs.Invalid.
func (d *DeadLetters) Edit(ctx context.Context, who string, id int64, e Edit) (driver.Message, error) {
	if err := wantReason(e.Reason); err != nil {
		return driver.Message{}, err
	}
	l, err := d.open(ctx, id)
	if err != nil {
		return driver.Message{}, err
	}
	m := edited(l, e)
	if err := d.contracts[m.Topic].Check(&m); err != nil {
		return driver.Message{}, invalid("/payload", err.Error())
	}
	if len(m.Payload) > MaxPayload {
		return driver.Message{}, invalid("/payload", "must have at most "+strconv.Itoa(MaxPayload)+" bytes")
	}
	if err := d.take(id); err != nil {
		return driver.Message{}, err
	}
	m.At = d.clock.Now().UTC()
	a := Act{Who: who, Act: ActEdit, Why: e.Reason, Before: outlineOf(l, &l.Message, l.State), After: outlineOf(l, &m, driver.Replayed)}
	return m, d.act(ctx, l, a, func() error {
		return d.store.Replace(ctx, id, m, "replaced by message "+m.ID, m.At)
	})
}

// edited makes the new message.
func edited(l *driver.DeadLetter, e Edit) driver.Message {
	m := l.Message
	m.ID = "edit-" + strconv.FormatInt(l.ID, 10) + "-" + rand.Text()
	m.Payload = e.Payload
	m.Headers = maps.Clone(m.Headers)
	if m.Headers == nil {
		m.Headers = map[string]string{}
	}
	for _, h := range []string{
		HeaderReason, HeaderTopic, HeaderPartition, HeaderOffset, HeaderFailedAt, HeaderRetries, HeaderError, driver.HeaderMalformed,
	} {
		delete(m.Headers, h)
	}
	m.Headers[HeaderReplayOf], m.Headers[HeaderReplayOfLetter] = l.Message.ID, strconv.FormatInt(l.ID, 10)
	if e.Type != "" {
		m.Type = e.Type
	}
	if e.Version != "" {
		m.Headers[HeaderVersion] = e.Version
	}
	return m
}

// maxTrail is how much of a payload the trail keeps, in bytes; of a longer one it keeps the hash too.
const maxTrail = 16 << 10

// outlineOf is an outline with the payload.
func outlineOf(l *driver.DeadLetter, m *driver.Message, state string) string {
	out := struct {
		Group   string `json:"group"`
		Topic   string `json:"topic"`
		Message string `json:"message"`
		Type    string `json:"type"`
		Version string `json:"version,omitempty"`
		State   string `json:"state"`
		Payload any    `json:"payload"`
		Bytes   int    `json:"bytes"`
		SHA256  string `json:"sha256,omitempty"`
	}{l.Group, m.Topic, m.ID, m.Type, m.Headers[HeaderVersion], state, nil, len(m.Payload), ""}
	switch p := m.Payload; {
	case len(p) > maxTrail:
		sum := sha256.Sum256(p)
		out.Payload, out.SHA256 = strings.ToValidUTF8(string(p[:maxTrail]), "\uFFFD"), hex.EncodeToString(sum[:])
	case json.Valid(p):
		out.Payload = json.RawMessage(p)
	case utf8.Valid(p):
		out.Payload = string(p)
	default:
		out.Payload = p // base64
	}
	b, err := json.Marshal(out)
	if err != nil {
		return ""
	}
	return string(b)
}

func wantReason(reason string) error {
	if strings.TrimSpace(reason) == "" {
		return invalid("/reason", "must not be empty")
	}
	return nil
}

func invalid(pointer, detail string) error {
	e := errs.New(errs.Invalid, "the request is not acceptable: %s %s", pointer, detail)
	e.Fields = []errs.Field{{Pointer: pointer, Detail: detail}}
	return e
}
