package kafkabus

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"

	"penstock/bus/driver"
)

// Bounds of a message, so that whatever stores it can. All lengths are in bytes.
const (
	maxName     = 255 // id, user, key, type, name of a header
	maxHeader   = 4 << 10
	maxHeaders  = 64
	maxPayload  = 1 << 20
	keptPayload = 64 << 10 // of a payload over the bound
)

// decode makes the message of a record of a topic whose users are dealt out by place. It is malformed if no relay wrote it.
func decode(topic string, rec *kgo.Record, place func(user string) int) driver.Message {
	m, err := read(topic, rec)
	if err == nil && place(m.User) != m.Partition {
		err = fmt.Errorf("user %s belongs in partition %d", strconv.Quote(m.User), place(m.User))
	}
	if err != nil {
		return malformed(m, rec, err)
	}
	return m
}

// read takes the message out of a record. Beside an error it returns what could be read.
func read(topic string, rec *kgo.Record) (driver.Message, error) {
	m := driver.Message{
		Topic: topic, Partition: int(rec.Partition), Offset: uint64(rec.Offset), Key: string(rec.Key), Payload: rec.Value,
		Headers: make(map[string]string, len(rec.Headers)),
	}
	var err error
	switch {
	case len(rec.Headers) > maxHeaders:
		return m, fmt.Errorf("it has %d headers, over %d", len(rec.Headers), maxHeaders)
	case rec.Value == nil:
		err = errors.New("it has no value")
	case len(rec.Value) > maxPayload:
		err = fmt.Errorf("its value has %d bytes, over %d", len(rec.Value), maxPayload)
	}
	seen := envelope{}
	for _, h := range rec.Headers {
		if len(h.Key) > maxName || len(h.Value) > maxHeader || !utf8.ValidString(h.Key) || !utf8.Valid(h.Value) {
			err = fmt.Errorf("header %s is too long or no UTF-8", clip(h.Key, 40))
			continue
		}
		if !seen.take(&m, h) {
			m.Headers[h.Key] = string(h.Value)
		}
	}
	delete(m.Headers, driver.HeaderMalformed)
	if err == nil {
		err = seen.check(&m)
	}
	switch {
	case err != nil:
	case seen.cut != "":
		m.Headers[driver.HeaderMalformed] = wasCut(seen.cut)
	case seen.malformed != "":
		m.Headers[driver.HeaderMalformed] = seen.malformed
	}
	return m, err
}

// envelope is what a message says about itself in headers of CloudEvents.
type envelope struct {
	version, at, cut, malformed string
	user                        bool
}

// take reads a header of the envelope, and reports whether it was one.
func (e *envelope) take(m *driver.Message, h kgo.RecordHeader) bool {
	switch h.Key {
	case ceSpecVersion:
		e.version = string(h.Value)
	case ceID:
		m.ID = string(h.Value)
	case ceType:
		m.Type = string(h.Value)
	case ceUser:
		m.User, e.user = string(h.Value), true
	case ceTime:
		e.at = string(h.Value)
	case ceCut:
		e.cut = string(h.Value)
	case ceMalformed:
		e.malformed = string(h.Value)
	default:
		return strings.HasPrefix(h.Key, cePrefix)
	}
	return true
}

func (e *envelope) check(m *driver.Message) error {
	switch {
	case e.version != specVersion:
		return fmt.Errorf("header %s is %q, not %q", ceSpecVersion, e.version, specVersion)
	case m.ID == "" || len(m.ID) > maxName:
		return fmt.Errorf("header %s is missing or too long", ceID)
	case m.Type == "" || len(m.Type) > maxName:
		return fmt.Errorf("header %s is missing or too long", ceType)
	case !e.user || len(m.User) > maxName:
		return fmt.Errorf("header %s is missing or too long", ceUser)
	case len(m.Key) > maxName || !utf8.ValidString(m.Key):
		return errors.New("its key is too long or no UTF-8")
	}
	at, err := time.Parse(time.RFC3339Nano, e.at)
	if err != nil || at.Year() < 1970 || at.Year() > 2200 {
		return fmt.Errorf("header %s is %q, not a time as 2026-11-11T20:00:00Z", ceTime, clip(e.at, 40))
	}
	m.At = at.UTC()
	return nil
}

// malformed returns what is kept of a record that no relay wrote. Nothing it says about itself is believed; it is kept as a
// header for whoever inspects the dead letter.
func malformed(m driver.Message, rec *kgo.Record, why error) driver.Message {
	kept := make(map[string]string, maxHeaders/4+6)
	for k, v := range m.Headers {
		if len(kept) == maxHeaders/4 {
			break
		}
		kept[k] = v
	}
	for k, v := range map[string]string{ceID: m.ID, ceType: m.Type, ceUser: m.User, "key": m.Key} {
		if v != "" {
			kept[k] = clip(v, maxName)
		}
	}
	kept[driver.HeaderMalformed] = why.Error()
	if len(m.Payload) > maxPayload {
		kept["original-size"] = strconv.Itoa(len(m.Payload))
		m.Payload = append([]byte(nil), m.Payload[:keptPayload]...)
	}
	return driver.Message{
		ID:    "malformed-" + strconv.Itoa(m.Partition) + "-" + strconv.FormatUint(m.Offset, 10),
		Topic: m.Topic, Partition: m.Partition, Offset: m.Offset, Payload: m.Payload, Headers: kept, At: rec.Timestamp.UTC(),
	}
}

func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
