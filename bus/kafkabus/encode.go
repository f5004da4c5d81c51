package kafkabus

import (
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"penstock/bus/driver"
)

// CloudEvents 1.0 in binary mode, with the extensions partitionkey and sequence.
const (
	cePrefix      = "ce_"
	ceSpecVersion = "ce_specversion"
	ceID          = "ce_id"
	ceSource      = "ce_source"
	ceType        = "ce_type"
	ceTime        = "ce_time"
	ceSubject     = "ce_subject"
	ceUser        = "ce_partitionkey"
	ceSequence    = "ce_sequence"
	specVersion   = "1.0"
)

// Headers that every message has.
const (
	headerSource    = "source"
	headerVersion   = "version"
	headerTimestamp = "timestamp"
	headerTraceID   = "traceId"
)

// overhead is an upper bound of what a record needs beside its key, value and headers.
const overhead = 128

// encode fills in the record of a message of a source. Header values share one allocation.
func encode(rec *kgo.Record, m *driver.Message, source string) {
	h := headers{list: make([]kgo.RecordHeader, 0, 12+len(m.Headers)), buf: make([]byte, 0, 256)}
	h.add(ceSpecVersion, specVersion)
	h.add(ceID, m.ID)
	h.add(ceSource, source)
	h.add(ceType, m.Type)
	h.add(ceUser, m.User)
	if m.Key != "" {
		h.add(ceSubject, m.Key)
	}
	h.key(ceTime)
	h.value(m.At.UTC().AppendFormat(h.buf, time.RFC3339Nano))
	h.key(ceSequence)
	h.value(strconv.AppendUint(h.buf, m.Offset, 10))
	for k, v := range m.Headers {
		if !strings.HasPrefix(k, cePrefix) && k != driver.HeaderMalformed {
			h.add(k, v)
		}
	}
	if _, ok := m.Headers[headerSource]; !ok {
		h.add(headerSource, source)
	}
	if _, ok := m.Headers[headerVersion]; !ok {
		h.add(headerVersion, "1")
	}
	if _, ok := m.Headers[headerTimestamp]; !ok {
		h.key(headerTimestamp)
		h.value(strconv.AppendInt(h.buf, m.At.UnixMilli(), 10))
	}
	if _, ok := m.Headers[headerTraceID]; !ok {
		h.add(headerTraceID, "")
	}
	rec.Key = []byte(m.Key)
	rec.Value = m.Payload
	if rec.Value == nil {
		rec.Value = []byte{} // no value at all would be a tombstone
	}
	rec.Headers = h.list
}

// headers builds a list whose values lie in one buffer.
type headers struct {
	list []kgo.RecordHeader
	buf  []byte
}

func (h *headers) key(k string) { h.list = append(h.list, kgo.RecordHeader{Key: k}) }

// value takes the buffer with the value of the last key appended to it.
func (h *headers) value(grown []byte) {
	h.list[len(h.list)-1].Value = grown[len(h.buf):len(grown):len(grown)]
	h.buf = grown
}

func (h *headers) add(k, v string) {
	h.key(k)
	h.value(append(h.buf, v...))
}

// size is an upper bound of what the record takes, uncompressed.
func size(rec *kgo.Record) int {
	n := overhead + len(rec.Key) + len(rec.Value)
	for _, h := range rec.Headers {
		n += len(h.Key) + len(h.Value) + 10
	}
	return n
}
