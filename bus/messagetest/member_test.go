package messagetest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"penstock/bus"
	"penstock/bus/driver"
	"penstock/bus/kafkabus"
	"penstock/bus/mysqlstore"
	"penstock/bus/outbox"
	"penstock/bus/outboxbus"
	"penstock/engine/kafka"
	"penstock/engine/mysql"
	"penstock/engine/sqldb"
)

// memberKey names the environment variable that makes the test binary be a member of a group: it holds its [plan] as JSON.
const memberKey = "MESSAGETEST_MEMBER"

func TestMain(m *testing.M) {
	if text := os.Getenv(memberKey); text != "" {
		member(text)
	}
	goleak.VerifyTestMain(m)
}

// plan is what the processes of a storm share: URLs of the database of the bus and of the rooms, the topic, and the cluster, ""
// for the outbox bus.
type plan struct {
	Bus   string
	Rooms []string
	Topic string
	Kafka string
}

// member relays, consumes and makes effects until it is killed, or its parent is.
func member(text string) {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // it ends with the parent
		os.Exit(0)
	}()
	var p plan
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		fmt.Fprintln(os.Stderr, "member:", err)
		os.Exit(2)
	}
	for { // a server may be down when it starts
		err := p.join(context.Background())
		if err == nil {
			select {}
		}
		fmt.Fprintln(os.Stderr, "member:", err)
		<-time.After(50 * time.Millisecond)
	}
}

// join opens everything and starts the bus. What it has opened before an error is left to the end of the process.
func (p plan) join(ctx context.Context) error {
	db, err := pool(ctx, p.Bus)
	if err != nil {
		return err
	}
	var rooms []*outbox.Source
	for i, url := range p.Rooms {
		db, err := pool(ctx, url)
		if err != nil {
			return err
		}
		_, src, err := p.room(ctx, i, db)
		if err != nil {
			return err
		}
		rooms = append(rooms, src)
	}
	store := mysqlstore.New(db)
	drv, err := p.carrier(ctx, mysqlstore.NewCursors(db, nil), store, rooms)
	if err != nil {
		return err
	}
	b, err := bus.New(drv, store, bus.Options{Backoff: bus.Backoff{Base: 5 * time.Millisecond, Max: 50 * time.Millisecond}})
	if err != nil {
		return err
	}
	if err := b.Consume(group, p.Topic, bus.Contract{}.Guard(effects{db}.handle)); err != nil {
		return err
	}
	return b.Start(ctx)
}

func pool(ctx context.Context, url string) (*mysql.DB, error) {
	c, err := mysql.Parse(url)
	if err != nil {
		return nil, err
	}
	return mysql.Open(ctx, c, mysql.Options{Pool: 6, LockWait: time.Second, Reply: 5 * time.Second})
}

// room opens the i-th room and its outbox.
func (p plan) room(ctx context.Context, i int, db *mysql.DB) (sqldb.Store, *outbox.Source, error) {
	store, err := sqldb.OpenShared(ctx, db, schema(), sqldb.Options{})
	if err != nil {
		return nil, nil, err
	}
	src, err := outbox.New(ctx, store, "room"+strconv.Itoa(i), p.Topic, outbox.Options{Keep: 24 * time.Hour})
	return store, src, err
}

func (p plan) carrier(ctx context.Context, cursors driver.Cursors, letters driver.Copies, rooms []*outbox.Source) (driver.Driver, error) {
	if p.Kafka == "" {
		var all []outboxbus.Source
		for _, r := range rooms {
			all = append(all, r)
		}
		return outboxbus.New(cursors, map[string][]outboxbus.Source{p.Topic: all}, outboxbus.Options{
			Idle: 20 * time.Millisecond, Lease: time.Second, Heartbeat: 200 * time.Millisecond, Poll: 10 * time.Millisecond,
		})
	}
	cfg, err := kafka.Parse(p.Kafka)
	if err != nil {
		return nil, err
	}
	c, err := kafka.Open(ctx, cfg, kafka.Options{})
	if err != nil {
		return nil, err
	}
	var all []kafkabus.Source
	for _, r := range rooms {
		all = append(all, r)
	}
	return kafkabus.New(ctx, c, cursors, map[string][]kafkabus.Source{p.Topic: all}, kafkabus.Options{
		Session: 2 * time.Second, Heartbeat: 200 * time.Millisecond, Rebalance: 10 * time.Second, Idle: 50 * time.Millisecond,
		Lease: time.Second, Quiet: 20 * time.Millisecond, Sent: 100 * time.Millisecond, Timeout: 5 * time.Second, Letters: letters,
	})
}
