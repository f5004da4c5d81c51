package saga_test

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"penstock/engine/groupcommit"
	"penstock/engine/mysql"
	"penstock/engine/sqldb"
	"penstock/errs"
	"penstock/internal/clock"
	"penstock/internal/engines"
	"penstock/saga"
	"penstock/saga/barrier"
	"penstock/saga/participant"
)

// engine is a database under coordinators and participants.
type engine struct {
	// place makes an empty database; open opens it once more. On SQLite there is one store per place.
	place func(t testing.TB) string
	open  func(t testing.TB, where string, s sqldb.Schema) sqldb.Store
	// log opens the coordinators' store.
	log func(t testing.TB, where string) saga.Store
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var onSQLite = engine{
	place: func(t testing.TB) string { return t.TempDir() },
	open: func(t testing.TB, where string, s sqldb.Schema) sqldb.Store {
		db, err := sqldb.OpenFile(t.Context(), filepath.Join(where, s.Name+".db"), s, groupcommit.Options{})
		check(t, err)
		t.Cleanup(func() { db.Close() })
		return db
	},
	log: func(t testing.TB, where string) saga.Store {
		db, err := saga.OpenSQLite(t.Context(), filepath.Join(where, "transactions.db"), groupcommit.Options{})
		check(t, err)
		t.Cleanup(func() { db.Close() })
		return db
	},
}

func onMySQL(server *engines.Server) engine {
	connect := func(t testing.TB, where string) *mysql.DB {
		c, err := mysql.Parse(where)
		check(t, err)
		db, err := mysql.Open(t.Context(), c, mysql.Options{Pool: 12})
		check(t, err)
		t.Cleanup(func() { db.Close() })
		return db
	}
	return engine{
		place: func(t testing.TB) string { return server.Database(t) },
		open: func(t testing.TB, where string, s sqldb.Schema) sqldb.Store {
			db, err := sqldb.OpenShared(t.Context(), connect(t, where), s, sqldb.Options{})
			check(t, err)
			return db
		},
		log: func(t testing.TB, where string) saga.Store {
			db, err := saga.OpenMySQL(t.Context(), connect(t, where), sqldb.Options{})
			check(t, err)
			return db
		},
	}
}

// purse is a participant that keeps money in SQL behind a barrier: what tries take from free is held, then taken.
type purse struct {
	db    sqldb.Store
	gates barrier.Table
	name  string
}

const purseStart = 1_000_000

func openPurse(t testing.TB, e engine, where, name string) *purse {
	t.Helper()
	p := &purse{gates: barrier.Table(name + "_barrier"), name: "purse_" + name}
	table := ` (id INTEGER NOT NULL PRIMARY KEY, free BIGINT NOT NULL, held BIGINT NOT NULL, taken BIGINT NOT NULL);
`
	sqlite := p.gates.SQLite() + ` CREATE TABLE ` + p.name + table + ` INSERT INTO ` + p.name + ` VALUES (1, 1000000, 0, 0);`
	mysql := p.gates.MySQL() + ` CREATE TABLE IF NOT EXISTS ` + p.name + table + ` INSERT INTO ` + p.name + ` VALUES (1, 1000000, 0, 0) ON DUPLICATE KEY UPDATE id=id;`
	p.db = e.open(t, where, sqldb.Schema{Name: name, SQLite: []string{sqlite}, MySQL: []string{mysql}})
	return p
}

type amount struct {
	Amount int64 `json:"amount"`
}

func (p *purse) Stake(payload json.RawMessage) (participant.Stake, error) {
	var a amount
	err := json.Unmarshal(payload, &a)
	return participant.Stake{Amount: a.Amount, Currency: "EUR"}, err
}

func (p *purse) do(ctx context.Context, b participant.Branch, op barrier.Op, effect string) error {
	var a amount
	if err := json.Unmarshal(b.Payload, &a); err != nil {
		return participant.Refuse(err)
	}
	return p.db.Do(ctx, 1, func(tx sqldb.Tx) error {
		first, err := p.gates.Enter(tx, time.Now(), b.Transaction, b.Name, op)
		if err != nil || !first {
			return err
		}
		var free int64
		if err := tx.Scan(`SELECT free FROM `+p.name+` WHERE id=1`, nil, &free); err != nil {
			return err
		}
		if op == barrier.Try && free < a.Amount {
			return participant.Refuse(errs.New(errs.Conflict, "only %d left", free))
		}
		_, err = tx.Exec(`UPDATE `+p.name+` SET `+effect+` WHERE id=1`, a.Amount, a.Amount)
		return err
	})
}

func (p *purse) Try(ctx context.Context, b participant.Branch) error {
	return p.do(ctx, b, barrier.Try, `free=free-?, held=held+?`)
}
func (p *purse) Confirm(ctx context.Context, b participant.Branch) error {
	return p.do(ctx, b, barrier.Confirm, `held=held-?, taken=taken+?`)
}
func (p *purse) Cancel(ctx context.Context, b participant.Branch) error {
	return p.do(ctx, b, barrier.Cancel, `held=held-?, free=free+?`)
}

// has reads what is out.
func (p *purse) has(t testing.TB) (held, taken int64) {
	t.Helper()
	var free int64
	check(t, p.db.Scan(t.Context(), `SELECT free, held, taken FROM `+p.name+` WHERE id=1`, nil, &free, &held, &taken))
	if free+held+taken != purseStart || held < 0 || taken < 0 {
		t.Errorf("%s: free %d + held %d + taken %d is not %d", p.name, free, held, taken, purseStart)
	}
	return held, taken
}

var errLost = errors.New("connection reset")

// rough is the network before a participant, with what may happen to a call.
type rough struct {
	participant.Participant
	mu    sync.Mutex
	rnd   *rand.Rand // nil: fine
	plan  func(op barrier.Op) int
	later sync.WaitGroup
}

// Stake passes on.
func (r *rough) Stake(payload json.RawMessage) (participant.Stake, error) {
	return r.Participant.(participant.Staker).Stake(payload)
}

// Fates of a call.
const (
	fine = iota
	lost
	replyLost
	late
	twice
	refused
)

func (r *rough) call(ctx context.Context, op barrier.Op, b participant.Branch, f func(context.Context, participant.Branch) error) error {
	r.mu.Lock()
	fate := fine
	if r.plan != nil {
		fate = r.plan(op)
	} else if r.rnd != nil && r.rnd.IntN(3) == 0 {
		fate = 1 + r.rnd.IntN(4)
	}
	r.mu.Unlock()
	switch fate {
	case lost:
		return errLost
	case refused:
		return participant.Refuse(errs.New(errs.Conflict, "no"))
	case replyLost:
		_ = f(ctx, b) // nobody hears it
		return errLost
	case late:
		r.later.Go(func() { time.Sleep(20 * time.Millisecond); _ = f(context.WithoutCancel(ctx), b) }) // arrives behind others' calls
		return errLost
	case twice:
		r.later.Go(func() { _ = f(context.WithoutCancel(ctx), b) })
	}
	return f(ctx, b)
}

func (r *rough) Try(ctx context.Context, b participant.Branch) error {
	return r.call(ctx, barrier.Try, b, r.Participant.Try)
}
func (r *rough) Confirm(ctx context.Context, b participant.Branch) error {
	return r.call(ctx, barrier.Confirm, b, r.Participant.Confirm)
}
func (r *rough) Cancel(ctx context.Context, b participant.Branch) error {
	return r.call(ctx, barrier.Cancel, b, r.Participant.Cancel)
}

func (r *rough) set(plan func(op barrier.Op) int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.plan = plan
}

// town is coordinators over one log and two purses, each behind a rough network, with a clock that runs a thousand times as
// fast.
type town struct {
	t      *testing.T
	e      engine
	where  string
	log    saga.Store
	clock  *clock.Fake
	purses [2]*purse
	nets   [2]*rough
}

func newTown(t *testing.T, e engine) *town {
	t.Helper()
	w := &town{t: t, e: e, where: e.place(t), clock: clock.NewFake(time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC))}
	w.log = e.log(t, w.where)
	for i, name := range []string{"left", "right"} {
		w.purses[i] = openPurse(t, e, w.where, name)
		w.nets[i] = &rough{Participant: w.purses[i]}
	}
	quit := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				w.clock.Advance(250 * time.Millisecond)
			case <-quit:
				return
			}
		}
	})
	t.Cleanup(func() { close(quit); done.Wait() })
	return w
}

func (w *town) start(log saga.Store, o saga.Options, flows ...saga.Flow) *saga.Coordinator {
	w.t.Helper()
	o.Clock = w.clock
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Minute
	}
	c, err := saga.New(log, map[string]participant.Participant{"left": w.nets[0], "right": w.nets[1]}, flows, o)
	check(w.t, err)
	check(w.t, c.Start(w.t.Context()))
	w.t.Cleanup(c.Stop)
	return c
}

func spec(id string, left, right string) saga.Spec {
	return saga.Spec{ID: id, Who: "op", Branches: []saga.BranchSpec{
		{Name: "a", Participant: "left", Payload: json.RawMessage(`{"amount":` + left + `}`)},
		{Name: "b", Participant: "right", Payload: json.RawMessage(`{"amount":` + right + `}`)},
	}}
}

// until polls for a state in which the transaction rests.
func (w *town) until(c *saga.Coordinator, id string) *saga.Transaction {
	w.t.Helper()
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) { // polling what others bring about
		tx, _, err := c.Get(w.t.Context(), id)
		if err == nil && (tx.State == saga.Confirmed || tx.State == saga.Cancelled || tx.State == saga.NeedsHuman) {
			return tx
		}
	}
	tx, steps, err := c.Get(w.t.Context(), id)
	w.t.Fatalf("transaction %s does not end: %+v %v %v", id, tx, steps, err)
	return nil
}

// settle waits for calls that are late.
func (w *town) settle() {
	for _, n := range w.nets {
		n.later.Wait()
	}
}
