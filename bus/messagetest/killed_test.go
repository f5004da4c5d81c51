package messagetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"penstock/bus/driver"
	"penstock/bus/mysqlstore"
	"penstock/bus/outbox"
	"penstock/engine/kafka"
	"penstock/engine/mysql"
	"penstock/engine/sqldb"
	"penstock/internal/engines"
)

const (
	rooms    = 3
	crowd    = 120 // users of a storm of processes
	patience = 90 * time.Second
)

// arena is a storm of processes: the rooms publish from this one, members are processes of their own.
type arena struct {
	t       *testing.T
	rnd     *rand.Rand
	plan    plan
	names   []string // of the rooms' databases
	db      *mysql.DB
	stores  []sqldb.Store
	cluster *kafka.Cluster // nil for the outbox bus

	next   [crowd]int
	poison map[string]bool
	all    int
	alive  []*victim
	kills  int
}

// enter makes the databases and opens the rooms. kafka is the URL of a cluster, or "".
func enter(t *testing.T, server *engines.Server, kafka string) *arena {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	a := &arena{t: t, rnd: rand.New(rand.NewPCG(seed, 2)), poison: map[string]bool{}}
	a.plan = plan{Bus: server.Database(t), Topic: "t" + strconv.FormatUint(seed, 36), Kafka: kafka}
	var err error
	a.db, err = pool(t.Context(), a.plan.Bus)
	a.ok("open the bus's database", err)
	t.Cleanup(func() { _ = a.db.Close() })
	a.ok("make the bus's tables", mysqlstore.Migrate(t.Context(), a.db, nil))
	a.ok("make the tables of effects", mysql.Migrate(t.Context(), a.db, "effects", effectTables, nil))
	for u := range crowd {
		_, err := a.db.ExecContext(t.Context(), `INSERT INTO account (user) VALUES (?)`, "user"+strconv.Itoa(u))
		a.ok("make an account", err)
	}
	for i := range rooms {
		url := server.Database(t)
		db, err := pool(t.Context(), url)
		a.ok("open a room's database", err)
		store, _, err := a.plan.room(t.Context(), i, db)
		a.ok("open a room", err)
		t.Cleanup(func() { a.ok("close a room", errors.Join(store.Close(), db.Close())) })
		a.plan.Rooms, a.names, a.stores = append(a.plan.Rooms, url), append(a.names, db.Config().Database()), append(a.stores, store)
	}
	if kafka != "" {
		a.cluster, err = cluster(t.Context(), kafka)
		a.ok("open the cluster", err)
		t.Cleanup(a.cluster.Close)
	}
	t.Cleanup(func() {
		for _, v := range a.alive {
			v.kill()
		}
	})
	return a
}

func (a *arena) ok(what string, err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatalf("%s: %v", what, err)
	}
}

// until repeats what fails while servers are down, bounded.
func (a *arena) until(what string, f func() error) {
	a.t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-limit.C:
			a.t.Fatalf("not reached: %s: %v\n%s", what, err, a.last())
		}
	}
}

// victim is a member in a process of its own.
type victim struct {
	cmd  *exec.Cmd
	in   io.Closer
	says bytes.Buffer
}

func (v *victim) kill() {
	_ = v.cmd.Process.Signal(syscall.SIGKILL)
	_ = v.cmd.Wait() // it was killed
	_ = v.in.Close()
}

// spawn starts a member.
func (a *arena) spawn() {
	a.t.Helper()
	self, err := os.Executable()
	a.ok("find this binary", err)
	text, err := json.Marshal(a.plan)
	a.ok("write the plan", err)
	v := &victim{cmd: exec.Command(self)}
	v.cmd.Env = append(os.Environ(), memberKey+"="+string(text))
	v.cmd.Stderr = &v.says
	v.in, err = v.cmd.StdinPipe()
	a.ok("pipe", err)
	a.ok("start a member", v.cmd.Start())
	a.alive = append(a.alive, v)
}

// strike kills a member that chance has chosen.
func (a *arena) strike() {
	i := a.rnd.IntN(len(a.alive))
	v := a.alive[i]
	a.alive = append(a.alive[:i], a.alive[i+1:]...)
	v.kill()
	a.kills++
}

// last ends all members and returns what they said.
func (a *arena) last() (said string) {
	for _, v := range a.alive {
		v.kill()
		said += v.says.String()
	}
	a.alive = nil
	return said
}

// publish commits n messages, one in a hundred poison, a hundred in a transaction, whatever happens to the server: a
// transaction whose outcome is not known is run again, and a thing that is there already is not told of twice. It returns when
// all are committed.
func (a *arena) publish(ctx context.Context, batches [][]driver.Message) error {
	for _, msgs := range batches {
		for {
			err := a.commit(ctx, msgs)
			if err == nil {
				break
			}
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
				return fmt.Errorf("publish: %w", err)
			}
		}
	}
	return nil
}

func (a *arena) commit(ctx context.Context, msgs []driver.Message) error {
	return a.stores[home(msgs[0].User)].Do(ctx, sqldb.NoLock, func(tx sqldb.Tx) error {
		for _, m := range msgs {
			if fresh, err := tx.Insert(`INSERT INTO thing (id) VALUES (?)`, m.ID); err != nil || !fresh {
				if err != nil {
					return err
				}
				continue
			}
			if err := outbox.Publish(tx, m); err != nil {
				return err
			}
		}
		return nil
	})
}

// home is the room of a user.
func home(user string) int {
	n, _ := strconv.Atoi(user[len("user"):])
	return n % rooms
}

// batches makes n messages for publish.
func (a *arena) batches(n int) (all [][]driver.Message) {
	a.all += n
	for n > 0 {
		var msgs []driver.Message
		for room := a.rnd.IntN(rooms); n > 0 && len(msgs) < 100; n-- {
			u := room + rooms*a.rnd.IntN(crowd/rooms)
			a.next[u]++
			m := message(a.plan.Topic, "user"+strconv.Itoa(u), a.next[u])
			if a.rnd.IntN(100) == 0 {
				m.Payload, a.poison[m.ID] = []byte(`{"broken`), true
			}
			msgs = append(msgs, m)
		}
		all = append(all, msgs)
	}
	return all
}

// round publishes n messages while a member is killed, and the engine where it is given, and waits until a part of what there is
// was handled.
func (a *arena) round(n int, engine *engines.Server) {
	a.t.Helper()
	published := make(chan error, 1)
	ctx, cancel := context.WithTimeout(a.t.Context(), patience)
	defer cancel()
	work := a.batches(n)
	go func() { published <- a.publish(ctx, work) }()
	pause := func() { <-time.After(time.Duration(a.rnd.IntN(300)) * time.Millisecond) }
	pause()
	a.strike()
	if engine != nil {
		pause()
		engine.Kill(a.t)
		a.strike()
		engine.Start(a.t)
		a.spawn()
	}
	a.spawn()
	a.ok("publish", <-published)
	a.until("a part is handled", func() error {
		var some int
		err := a.db.QueryRowContext(ctx, `SELECT COUNT(*) FROM effect`).Scan(&some)
		if err == nil && some < a.all-n/2-len(a.poison) {
			err = fmt.Errorf("%d of %d", some, a.all)
		}
		return err
	})
}

// processStorm: rounds, a check at the end of each, and the exact account when all is drained.
func (a *arena) processStorm(n, rounds int, engine *engines.Server) {
	begun, downs := time.Now(), 0
	for range 3 {
		a.spawn()
	}
	for i := range rounds {
		var down *engines.Server
		if i%2 == 1 {
			down, downs = engine, downs+1
		}
		a.round(n/rounds, down)
		a.check()
	}
	var c *census
	a.until("all is drained", func() (err error) {
		if c, err = a.take(a.t.Context()); err == nil && len(c.effects)+len(c.dead) < a.all {
			err = fmt.Errorf("%d handled and %d dead of %d", len(c.effects), len(c.dead), a.all)
		}
		return err
	})
	c = a.check()
	a.exact(c)
	a.t.Logf("%d messages, %d effects, %d letters; %d members and %d times the server killed, %d checks, in %v", a.all, len(c.effects), len(c.dead), a.kills, downs, rounds+1,
		time.Since(begun).Round(time.Second))
}

// exact holds every message to its one end, and every user's effects to their order.
func (a *arena) exact(c *census) {
	a.t.Helper()
	if len(c.outbox) != a.all || len(c.dead) != len(a.poison) || len(c.effects) != a.all-len(a.poison) {
		a.t.Errorf("%d of %d produced, %d dead of %d poison, %d effects", len(c.outbox), a.all, len(c.dead), len(a.poison), len(c.effects))
	}
	for id := range a.poison {
		if !c.dead[id] {
			a.t.Fatalf("poison message %s has no letter", id)
		}
	}
	for reason, n := range c.reasons {
		a.t.Logf("%d letters: %s", n, reason)
		if !strings.Contains(reason, "its payload is no JSON") {
			a.t.Errorf("%d letters say %q", n, reason)
		}
	}
	rows, err := a.db.QueryContext(a.t.Context(), `SELECT user, n FROM effect ORDER BY pos`)
	a.ok("read the effects", err)
	defer rows.Close()
	last := map[string]int{}
	for rows.Next() {
		var user string
		var n int
		a.ok("scan", rows.Scan(&user, &n))
		if n <= last[user] {
			a.t.Fatalf("%s: effect %d was made after %d", user, n, last[user])
		}
		last[user] = n
	}
	a.ok("rows", rows.Err())
}

// roundsOf is how many rounds a storm of n messages has: of 2,500 each, at least 4.
func roundsOf(n int) int { return max(4, n/2500) }

// Consumers and the database are killed by SIGKILL again and again while messages are published. At every check what was
// produced is processed, parked or waiting; in the end each message has its effect once, in the order of its user, or its letter.
func TestStormKilledOnMySQL(t *testing.T) {
	t.Parallel()
	server := engines.MariaDB(t)
	n := size(t, 6000)
	enter(t, server, "").processStorm(n, roundsOf(n), server)
}

// The same over Kafka, where consumers and the broker are killed.
func TestStormKilledOnKafka(t *testing.T) {
	t.Parallel()
	c := engines.Kafka(t, 1, engines.KafkaOptions{})
	n := size(t, 2000)
	enter(t, engines.MariaDB(t), c.URL).processStorm(n, roundsOf(n), c.Nodes[0])
}
