package webhook

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"penstock/bus"
	"penstock/bus/driver"
)

// contentType of a delivery: a CloudEvent in structured mode.
const contentType = "application/cloudevents+json; charset=utf-8"

// cloudEvent is CloudEvents 1.0 in JSON. Partitionkey and traceparent are of its documented extensions.
type cloudEvent struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         string          `json:"subject,omitempty"`
	Time            time.Time       `json:"time,omitzero"`
	DataContentType string          `json:"datacontenttype"`
	PartitionKey    string          `json:"partitionkey,omitempty"`
	TraceParent     string          `json:"traceparent,omitempty"`
	Data            json.RawMessage `json:"data"`
}

// What the tables of both engines have room for, in bytes. Topics are our own.
const (
	maxType = 255
	maxUser = 512
)

// eventOf makes the event of a message. The same message gives the same bytes, whoever handles it and however often.
func eventOf(m *driver.Message, source string) (Event, error) {
	if !json.Valid(m.Payload) {
		return Event{}, fmt.Errorf("%w: the payload is not JSON", bus.ErrPoison)
	}
	if len(m.Type) > maxType || len(m.User) > maxUser {
		return Event{}, fmt.Errorf("%w: its type has %d bytes and its user %d; at most %d and %d can be kept", bus.ErrPoison, len(m.Type), len(m.User), maxType, maxUser)
	}
	id := eventID(m)
	body, err := json.Marshal(cloudEvent{
		SpecVersion: "1.0", ID: id, Source: source + "/" + m.Topic, Type: m.Type, Subject: m.Key, Time: m.At.UTC(),
		DataContentType: "application/json", PartitionKey: m.User, TraceParent: m.Headers["traceparent"], Data: m.Payload,
	})
	if err != nil {
		return Event{}, fmt.Errorf("%w: %w", bus.ErrPoison, err)
	}
	return Event{ID: id, Topic: m.Topic, Type: m.Type, User: m.User, At: m.At, Body: body}, nil
}

// eventID names a message for receivers. It covers the payload: message number 7 of another shop is another event.
func eventID(m *driver.Message) string {
	h := sha256.New()
	for _, s := range []string{m.Topic, m.ID, m.Type, m.User} {
		fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	h.Write(m.Payload)
	return "msg_" + strings.ToLower(base32.StdEncoding.EncodeToString(h.Sum(nil)[:15]))
}

// wants reports whether a list of event patterns has a type in it.
func wants(patterns []string, kind string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		prefix, open := strings.CutSuffix(p, "*")
		return p == kind || open && strings.HasPrefix(kind, prefix)
	})
}

// legal says what is wrong with a pattern: it must be of the form of one and, where the types are known, stand for one of them.
func (h *Hooks) legal(p string) string {
	if !validPattern(p) {
		return `is no event type; for example "stock.sold", "stock.*" or "*"`
	}
	if h.o.Types == nil {
		return ""
	}
	var all []string
	for _, types := range h.o.Types {
		all = append(all, types...)
	}
	if slices.ContainsFunc(all, func(kind string) bool { return wants([]string{p}, kind) }) {
		return ""
	}
	slices.Sort(all)
	return "stands for no event type; there are " + strings.Join(all, ", ") + `, a prefix such as "order.*", and "*"`
}

// validPattern takes "*", "a.*" and "a.b": lower-case words with dots between, the last of which may be a star.
func validPattern(p string) bool {
	if len(p) > 128 {
		return false
	}
	words := strings.Split(p, ".")
	for i, w := range words {
		if w == "*" && i == len(words)-1 {
			continue
		}
		if w == "" || strings.Trim(w, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
			return false
		}
	}
	return true
}
