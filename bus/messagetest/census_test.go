package messagetest

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"penstock/bus/kafkabus"
	"penstock/engine/kafka"
)

// census is where each message is at one moment, read from the tables of everybody in one snapshot.
type census struct {
	outbox         map[string]place // every message that a room has committed
	effects        map[string]int
	parked, dead   map[string]bool
	position       map[string]uint64 // by source: how far its reader, the group or the relay, has committed
	reasons        map[string]int
	things         int
	handled, ahead int
}

// place is a number in a source; 0 is not numbered yet.
type place struct {
	source string
	seq    uint64
}

// take reads the tables in one snapshot.
func (a *arena) take(ctx context.Context) (*census, error) {
	tx, err := a.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // it has only read
	c := &census{
		outbox: map[string]place{}, effects: map[string]int{}, parked: map[string]bool{}, dead: map[string]bool{}, position: map[string]uint64{},
		reasons: map[string]int{},
	}
	reader := group
	if a.plan.Kafka != "" {
		reader = kafkabus.RelayGroup
	}
	var text string
	var n uint64
	for _, q := range []struct {
		query string
		args  []any
		row   func()
	}{
		{`SELECT message_id, 1 FROM effect`, nil, func() { c.effects[text]++ }},
		{`SELECT message_id, 1 FROM parked`, nil, func() { c.parked[text] = true }},
		{`SELECT message_id, 1 FROM dead_letter`, nil, func() { c.dead[text] = true }},
		{`SELECT reason, COUNT(*) FROM dead_letter GROUP BY reason`, nil, func() { c.reasons[text] = int(n) }},
		{"SELECT source, position FROM `cursor` WHERE consumer_group = ? AND topic = ?", []any{reader, a.plan.Topic}, func() { c.position[text] = n }},
	} {
		if err := pairs(ctx, tx, &text, &n, q.row, q.query, q.args...); err != nil {
			return nil, err
		}
	}
	for i, name := range a.names {
		source := "room" + strconv.Itoa(i) + "/" + a.plan.Topic
		err := pairs(ctx, tx, &text, &n, func() { c.outbox[text] = place{source, n} }, "SELECT message_id, seq FROM `"+name+"`.message_outbox")
		if err == nil {
			err = pairs(ctx, tx, &text, &n, func() { c.things += int(n) }, "SELECT '', COUNT(*) FROM `"+name+"`.thing")
		}
		if err != nil {
			return nil, err
		}
	}
	return c, nil
}

// pairs calls row for every row of two columns.
func pairs(ctx context.Context, tx *sql.Tx, text *string, n *uint64, row func(), query string, args ...any) error {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(text, n); err != nil {
			return err
		}
		row()
	}
	return rows.Err()
}

// offsets returns up to where the group has committed each partition at the broker.
func (a *arena) offsets(ctx context.Context) (kadm.OffsetResponses, error) {
	return a.cluster.Admin().FetchOffsets(ctx, a.cluster.Name(group+"@"+a.plan.Topic))
}

// log reads the whole topic and returns which messages are in it at or behind the offsets.
func (a *arena) log(ctx context.Context, committed kadm.OffsetResponses) (map[string]bool, error) {
	name := a.cluster.Name(a.plan.Topic)
	ends, err := a.cluster.Admin().ListEndOffsets(ctx, name)
	if err != nil {
		return nil, err
	}
	left, from := 0, map[int32]kgo.Offset{}
	ends.Each(func(o kadm.ListedOffset) {
		at := int64(0)
		if c, ok := committed.Lookup(name, o.Partition); ok && c.At > 0 {
			at = c.At
		}
		from[o.Partition] = kgo.NewOffset().At(at)
		left += int(max(0, o.Offset-at))
	})
	client, err := a.cluster.Client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{name: from}))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	seen := map[string]bool{}
	for left > 0 {
		fetches := client.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("%d records are still to come: %w", left, err)
		}
		for _, r := range fetches.Records() {
			left--
			for _, h := range r.Headers {
				if h.Key == "ce_id" {
					seen[string(h.Value)] = true
				}
			}
		}
	}
	return seen, nil
}

// check reads a census, also while everybody works, and holds that produced = processed + parked + waiting: a message that has
// neither effect nor letter nor a place among the parked is ahead of who reads next. It reads the offsets of the broker before
// the tables, which are written before an offset is, and the log of the broker after them.
func (a *arena) check() *census {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), time.Minute)
	defer cancel()
	var committed kadm.OffsetResponses
	var c *census
	a.until("the broker tells the offsets", func() (err error) {
		if a.cluster != nil {
			committed, err = a.offsets(ctx)
		}
		return err
	})
	a.until("the tables can be read", func() (err error) { c, err = a.take(ctx); return err })
	sent := map[string]bool{}
	a.until("the broker's log can be read", func() (err error) {
		if a.cluster != nil {
			sent, err = a.log(ctx, committed)
		}
		return err
	})
	if wrong := c.count(sent, a.cluster != nil); wrong != "" {
		a.t.Fatal(wrong)
	}
	a.t.Logf("%d produced = %d with their effect + %d dead + %d parked + %d waiting", len(c.outbox), c.handled, len(c.dead), c.queued(), c.ahead)
	return c
}

// count sorts every message, and says what does not add up.
func (c *census) count(sent map[string]bool, broker bool) (wrong string) {
	if c.things != len(c.outbox) {
		return fmt.Sprintf("%d things and %d messages of them", c.things, len(c.outbox))
	}
	for id, p := range c.outbox {
		switch {
		case c.effects[id] > 1 || c.effects[id] == 1 && c.dead[id]:
			return fmt.Sprintf("message %s has %d effects, and a letter: %v", id, c.effects[id], c.dead[id])
		case c.effects[id] == 1:
			c.handled++
		case c.dead[id] || c.parked[id]:
		case p.seq == 0 || p.seq > c.position[p.source] || broker && sent[id]:
			c.ahead++
		default:
			return fmt.Sprintf("message %s, number %d of %s, is lost: the reader is at %d", id, p.seq, p.source, c.position[p.source])
		}
	}
	for id := range c.effects {
		if _, ok := c.outbox[id]; !ok {
			return fmt.Sprintf("message %s has an effect and was never produced", id)
		}
	}
	if got := c.handled + len(c.dead) + c.queued() + c.ahead; got != len(c.outbox) {
		return fmt.Sprintf("%d produced, but %d handled, %d dead, %d parked, %d waiting", len(c.outbox), c.handled, len(c.dead), c.queued(), c.ahead)
	}
	return ""
}

// queued is how many are parked and neither handled nor dead: one whose effect was just made may still stand among the parked.
func (c *census) queued() (n int) {
	for id := range c.parked {
		if c.effects[id] == 0 && !c.dead[id] {
			n++
		}
	}
	return n
}

func cluster(ctx context.Context, url string) (*kafka.Cluster, error) {
	cfg, err := kafka.Parse(url)
	if err != nil {
		return nil, err
	}
	return kafka.Open(ctx, cfg, kafka.Options{})
}
