package kafkabus

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"penstock/bus/driver"
)

func anywhere(p int) func(string) int { return func(string) int { return p } }

// What the relay writes the reader reads, and it is a CloudEvent that says everything SPEC §3 asks for.
func TestRecordRoundTrip(t *testing.T) {
	m := driver.Message{
		ID: "stock-7", User: "ann", Key: "4711", Type: "stock.held", Payload: []byte(`{"a":1}`), Offset: 7,
		At: time.Date(2026, 11, 11, 20, 0, 0, 123456789, time.UTC),
		Headers: map[string]string{
			"source": "penstock/stock", "version": "2", "timestamp": "1762891200000", "traceId": "abc", "traceparent": "00-abc-d-01",
			"ce_id": "forged", driver.HeaderMalformed: "forged",
		},
	}
	rec := kgo.Record{Partition: 5, Offset: 99}
	encode(&rec, &m, "stock")
	got := map[string]string{}
	for _, h := range rec.Headers {
		got[h.Key] = string(h.Value)
	}
	want := map[string]string{
		"ce_specversion": "1.0", "ce_id": "stock-7", "ce_source": "stock", "ce_type": "stock.held", "ce_partitionkey": "ann",
		"ce_time": "2026-11-11T20:00:00.123456789Z", "ce_sequence": "7", "ce_subject": "4711", "source": "penstock/stock", "version": "2",
		"timestamp": "1762891200000", "traceId": "abc", "traceparent": "00-abc-d-01",
	}
	if d := cmp.Diff(want, got); d != "" || string(rec.Key) != "4711" || len(rec.Headers) != len(want) {
		t.Errorf("headers of key %s (-want +got):\n%s", rec.Key, d)
	}
	back := decode("stock", &rec, anywhere(5))
	delete(m.Headers, "ce_id")
	delete(m.Headers, driver.HeaderMalformed)
	m.Topic, m.Partition, m.Offset = "stock", 5, 99
	if d := cmp.Diff(m, back); d != "" {
		t.Errorf("read back (-want +got):\n%s", d)
	}
	bare := driver.Message{ID: "x", Type: "t", At: m.At}
	rec = kgo.Record{}
	encode(&rec, &bare, "stock")
	if h := decode("stock", &rec, anywhere(0)).Headers; h["source"] != "stock" || h["version"] != "1" || h["timestamp"] != "1794427200123" {
		t.Errorf("headers of a bare message: %v", h)
	}
	if size(&rec) < len("ce_specversion1.0")+len(rec.Headers) {
		t.Errorf("size %d", size(&rec))
	}
}

// No record makes decode panic or return a message that a store could not keep.
func FuzzDecode(f *testing.F) {
	f.Add("stock-1", "ann", "2026-11-11T20:00:00Z", "1.0", []byte("{}"), []byte("k"), int32(0))
	f.Add("", "", "", "", []byte(nil), []byte{0xff}, int32(-1))
	f.Add(strings.Repeat("i", 300), "\xff", "x", "1.0", []byte("{}"), []byte(nil), int32(11))
	f.Fuzz(func(t *testing.T, id, user, at, version string, value, key []byte, p int32) {
		rec := kgo.Record{Key: key, Value: value, Partition: p, Offset: 3}
		for k, v := range map[string]string{ceID: id, ceUser: user, ceTime: at, ceSpecVersion: version, ceType: "t", user: id} {
			rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: k, Value: []byte(v)})
		}
		m := decode("topic", &rec, anywhere(int(p)))
		if m.ID == "" || len(m.ID) > maxName || len(m.User) > maxName || len(m.Key) > maxName || len(m.Payload) > maxPayload {
			t.Fatalf("%+v", m)
		}
		if m.Headers[driver.HeaderMalformed] != "" && (m.User != "" || m.ID == id) {
			t.Fatalf("a malformed message is believed: %+v", m)
		}
	})
}

// The ladder answers with a step that is reached, never with one that is not, however many steps were left out.
func TestLadder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type entry struct {
			seq uint64
			at  [3]int64
		}
		var l ladder
		var all []entry
		var ends [3]int64
		seq := uint64(0)
		l.add(0, ends[:])
		for range rapid.IntRange(1, 3000).Draw(t, "steps") {
			seq += 1 + seq%3
			ends[seq%3] += int64(seq % 4)
			l.add(seq, ends[:])
			all = append(all, entry{seq, ends})
		}
		var committed [3]int64
		for p := range committed {
			committed[p] = rapid.Int64Range(0, ends[p]).Draw(t, fmt.Sprint("committed", p))
		}
		got, _ := l.reached(committed[:])
		if len(l.steps) > maxSteps {
			t.Fatalf("%d steps", len(l.steps))
		}
		for _, e := range all {
			for p, end := range e.at {
				if e.seq <= got && end > committed[p] {
					t.Fatalf("said to have reached %d, but %d needs offset %d of partition %d, and %d is committed", got, e.seq, end, p, committed[p])
				}
			}
		}
		if whole, _ := l.reached(ends[:]); whole != seq {
			t.Fatalf("everything is committed, and %d of %d is reached", whole, seq)
		}
		l.forget(got)
		if again, ok := l.reached(committed[:]); ok && again != got {
			t.Fatalf("%d after forgetting below %d", again, got)
		}
	})
}

// Each option out of range is named.
func TestOptionsAreChecked(t *testing.T) {
	for want, o := range map[string]Options{
		"Partitions": {Partitions: -1}, "Batch": {Batch: 200_000}, "Session": {Session: -1}, "Sent": {Sent: -1},
		"Heartbeat must be shorter": {Session: time.Second, Heartbeat: time.Second},
	} {
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v gave %v", o, err)
		}
	}
	o := Options{}.withDefaults()
	if o.Session != 30*time.Second || o.Heartbeat != 8*time.Second || o.Rebalance != time.Minute || o.Idle != 500*time.Millisecond ||
		o.Partitions != 12 || o.Timeout != 30*time.Second {
		t.Errorf("defaults %+v", o)
	}
}
