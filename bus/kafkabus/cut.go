package kafkabus

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"

	"penstock/bus/driver"
)

// ceCut says on a record that its message did not fit one, and how many bytes it had. Such a record has the beginning of the
// payload and goes on to be a dead letter, in its place, so that nothing waits behind it.
const ceCut = "ce_cut"

// ceMalformed says on a record that its source could not make sense of the message, and why. It too goes on to be a dead letter.
const ceMalformed = "ce_malformed"

// record fills in the record of a message, cut to what fits one. It reports the size of what did not fit, else 0.
func (d *Driver) record(rec *kgo.Record, topic string, m *driver.Message, source string) (was int) {
	encode(rec, m, source)
	if why := m.Headers[driver.HeaderMalformed]; why != "" {
		rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: ceMalformed, Value: []byte(clip(why, maxName))})
	}
	if was = size(rec); was > maxRecord {
		short := cut(m)
		encode(rec, &short, source)
		rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: ceCut, Value: strconv.AppendInt(nil, int64(was), 10)})
	} else {
		was = 0
	}
	rec.Topic, rec.Partition = d.cluster.Name(topic), int32(d.Partition(topic, m.User))
	return was
}

// cut returns what is kept of a message that fits no record. Its partition is still that of the whole user.
func cut(m *driver.Message) driver.Message {
	short := *m
	short.ID, short.User, short.Key, short.Type = clip(m.ID, maxName+1), clip(m.User, maxName+1), clip(m.Key, maxName+1), clip(m.Type, maxName+1)
	short.Payload = m.Payload[:min(len(m.Payload), keptPayload)]
	short.Headers = map[string]string{}
	for _, k := range slices.Sorted(maps.Keys(m.Headers)) {
		if len(k) <= maxName && len(short.Headers) < maxHeaders/4 {
			short.Headers[k] = clip(m.Headers[k], maxName)
		}
	}
	return short
}

// wasCut is the reason of the dead letter that such a message becomes.
func wasCut(size string) string {
	return fmt.Sprintf("the whole message has %s bytes, more than the %d that a record of Kafka may have; only its beginning was sent",
		clip(size, 20), maxRecord)
}
