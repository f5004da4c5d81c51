package messagetest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"penstock/bus"
	"penstock/bus/driver"
	"penstock/bus/kafkabus"
	"penstock/engine/sqldb"
	"penstock/internal/engines"
)

// Each kind of poison ends as a letter that says why, on the outbox bus over SQLite.
func TestPoisonOnOutbox(t *testing.T) { t.Parallel(); everyPoison(t, setup(t, "")) }

// The same over MariaDB.
func TestPoisonOnMySQL(t *testing.T) {
	t.Parallel()
	everyPoison(t, setupShared(t, engines.MariaDB(t)))
}

// kind is one kind of poison: what it does to a good message, and what its letter must say.
type kind struct {
	spoil  func(*driver.Message)
	reason string
	// raw writes the row past the checks of the outbox, as a program that knows no better could, with these headers.
	raw string
}

// forged is what a message could say of itself to be taken for another.
func forged() map[string]string {
	return map[string]string{
		"retry-count": "-5", "error-message": "nothing", "dead-letter-reason": "none", "original-topic": "elsewhere", "original-partition": "99",
		"original-offset": "1", "failed-at": "1970-01-01T00:00:00Z", "replay-of": "x", "malformed": "not at all", "outbox": "elsewhere",
		"ce_id": "another", "ce_partitionkey": "another", "dead-letter-id": "1", "dead-letter-group": "another",
		"kafka_dlt-original-topic": "elsewhere", "kafka_dlt-original-offset": "1", "kafka_dlt-exception-message": "none",
	}
}

// poisons are all kinds. broker is set where a broker has a bound of its own for a record.
func poisons(broker bool) map[string]kind {
	payload := func(p string) func(*driver.Message) { return func(m *driver.Message) { m.Payload = []byte(p) } }
	huge := "its payload has 5242880 bytes, over 1048576"
	if broker {
		huge = "only its beginning was sent"
	}
	return map[string]kind{
		"bad":     {payload(`{"a":`), "its payload is no JSON: unexpected end of JSON input at byte 5", ""},
		"binary":  {payload("\xff\x00{"), "its payload is no JSON: invalid character", ""},
		"empty":   {payload(""), "its payload is empty; a JSON object is wanted", ""},
		"array":   {payload(`[1]`), "its payload is a JSON array; an object is wanted", ""},
		"newer":   {payload(`{"v":99}`), "its schema version 99 is newer than this consumer, which understands 1: upgrade the consumer, then replay", ""},
		"word":    {func(m *driver.Message) { m.Headers = map[string]string{"version": "latest"} }, `its header version is "latest", not a whole number from 1 on`, ""},
		"torn":    {func(m *driver.Message) { m.Payload, m.Headers = []byte(`{"v":2}`), map[string]string{"version": "1"} }, "its header says version 1 and its payload says v = 2", ""},
		"type":    {func(m *driver.Message) { m.Type = "thing.undone" }, `its type is "thing.undone", none of thing.done`, ""},
		"forged":  {func(m *driver.Message) { m.Payload, m.Headers = nil, forged() }, "its payload is empty", ""},
		"huge":    {payload(`{"a":"` + strings.Repeat("x", 5<<20-8) + `"}`), huge, `{}`},
		"headers": {payload(`{"v":1}`), "its headers in the message table are no JSON object", `["version"]`},
	}
}

// honest is a message that is no poison and says of itself what a forger would.
func honest(topic string) driver.Message {
	m := message(topic, "honest", 1)
	m.Headers = forged()
	return m
}

// write publishes a poison message.
func (w *world) write(tx sqldb.Tx, k kind, m driver.Message) error {
	if k.raw == "" {
		return bus.PublishTx(tx, m)
	}
	_, err := tx.Exec(`INSERT INTO message_outbox (topic, message_id, user, message_key, type, payload, headers, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		m.Topic, m.ID, m.User, m.Key, m.Type, m.Payload, k.raw, m.At.UnixNano())
	return err
}

// everyPoison: each kind ends as a letter that says why and from where, whatever the message says of itself; its user's next
// message is handled, and so is everybody else's; and nothing is lost or passed over while the store of letters is away.
func everyPoison(t *testing.T, w *world) {
	var away sync.Mutex
	down := true
	w.down = func() bool { away.Lock(); defer away.Unlock(); return down }
	kinds := poisons(w.kafka != "")
	names := slices.Sorted(maps.Keys(kinds))
	for _, name := range names {
		w.ok("publish "+name, w.room.Do(t.Context(), sqldb.NoLock, func(tx sqldb.Tx) error {
			m := message(w.topic, name, 1)
			kinds[name].spoil(&m)
			if err := w.write(tx, kinds[name], m); err != nil {
				return err
			}
			return bus.PublishTx(tx, message(w.topic, name, 2))
		}))
		w.all = append(w.all, name+"-1", name+"-2")
		w.poison[name+"-1"] = true
	}
	w.ok("publish", w.room.Do(t.Context(), sqldb.NoLock, func(tx sqldb.Tx) error { return bus.PublishTx(tx, honest(w.topic)) }))
	w.all = append(w.all, "honest-1")
	kill := w.member(false)
	defer kill()
	for limit := time.Now().Add(time.Second); time.Now().Before(limit); {
		if b := w.books(); b.dead > 0 {
			t.Fatalf("letters while their store is away: %+v", b)
		}
		<-time.After(20 * time.Millisecond)
	}
	low, err := w.cursors.Position(t.Context(), group, w.topic, w.src.Name())
	if err != nil || low != 0 {
		t.Fatalf("the group moved to %d while the store of letters was away, %v", low, err)
	}
	away.Lock()
	down = false
	away.Unlock()
	w.drained()
	w.reasons(kinds)
}

// reasons holds each letter to what its kind must say, and to where the message was.
func (w *world) reasons(kinds map[string]kind) {
	w.t.Helper()
	all, err := w.store.List(w.t.Context(), driver.Filter{}, 0, 100)
	w.ok("letters", err)
	if len(all) != len(kinds) {
		w.t.Errorf("%d letters for %d kinds", len(all), len(kinds))
	}
	for _, l := range all {
		m := l.Message
		k, ok := kinds[strings.TrimSuffix(m.ID, "-1")]
		if !ok || !strings.HasPrefix(l.Reason, "poison: ") || !strings.Contains(l.Reason, k.reason) || l.Attempts != 1 || l.Group != group {
			w.t.Errorf("letter of %s after %d tries: %q, wanted %q", m.ID, l.Attempts, l.Reason, k.reason)
		}
		for header, want := range map[string]string{
			bus.HeaderTopic: w.topic, bus.HeaderRetries: "0", bus.HeaderReason: bus.ReasonPoison, bus.HeaderPartition: strconv.Itoa(m.Partition),
			bus.HeaderOffset: strconv.FormatUint(m.Offset, 10), bus.HeaderFailedAt: l.FailedAt.UTC().Format(time.RFC3339Nano),
		} {
			if m.Headers[header] != want {
				w.t.Errorf("letter of %s: header %s is %q, wanted %q", m.ID, header, m.Headers[header], want)
			}
		}
		if !strings.Contains(m.Headers[bus.HeaderError], k.reason) || m.Topic != w.topic || m.User+"-1" != m.ID {
			w.t.Errorf("letter of %s of %s: %q", m.ID, m.User, m.Headers[bus.HeaderError])
		}
	}
}

// lettersTellTheTruth: the copies of the letters in the topic of dead letters say from where they are, once, whatever the messages
// said of themselves.
func lettersTellTheTruth(t *testing.T, w *world) {
	kill := w.member(false)
	defer kill()
	w.until("all letters are copied", func() bool { n, err := w.store.CountUntold(t.Context()); return err == nil && n == 0 })
	c, err := cluster(t.Context(), w.kafka)
	w.ok("open the cluster", err)
	defer c.Close()
	client, err := c.Client(kgo.ConsumeTopics(c.Name(w.topic+kafkabus.DeadLetterSuffix)), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	w.ok("client", err)
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	for kinds, seen := poisons(true), map[string]bool{}; len(seen) < len(kinds); {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%d copies of %d letters came", len(seen), len(kinds))
		}
		for _, r := range fetches.Records() {
			said := map[string][]string{}
			for _, h := range r.Headers {
				said[h.Key] = append(said[h.Key], string(h.Value))
			}
			id := said["ce_id"][0]
			seen[id] = true
			for header, all := range said {
				if len(all) > 1 && header != "ce_cut" {
					t.Errorf("letter of %s says %s %d times: %q", id, header, len(all), all)
				}
			}
			if got := said["kafka_dlt-original-topic"][0]; got != c.Name(w.topic) || !bytes.Equal([]byte(said["kafka_dlt-original-offset"][0]), offset(said)) ||
				!strings.HasPrefix(said["kafka_dlt-exception-message"][0], "poison: ") || said["dead-letter-group"][0] != group {
				t.Errorf("letter of %s: %s", id, fmt.Sprint(said))
			}
		}
	}
}

// offset is the offset that the bus has written on a letter, as Spring writes it.
func offset(said map[string][]string) []byte {
	n, _ := strconv.ParseUint(said[bus.HeaderOffset][0], 10, 64)
	return binary.BigEndian.AppendUint64(nil, n)
}
