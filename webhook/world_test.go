package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"penstock/bus/driver"
	"penstock/engine/groupcommit"
	"penstock/engine/mysql"
	"penstock/engine/sqldb"
	"penstock/internal/clock"
	"penstock/internal/egress"
	"penstock/internal/engines"
	"penstock/internal/fault"
	"penstock/webhook/standard"
)

var noon = time.Date(2026, 11, 11, 12, 0, 0, 0, time.UTC)

// engine makes databases and opens them, as often as a test likes.
type engine struct {
	place  func(t testing.TB) string
	open   func(t testing.TB, where string) Store
	shared bool
}

var onSQLite = engine{
	place: func(t testing.TB) string { return filepath.Join(t.TempDir(), "webhooks.db") },
	open: func(t testing.TB, where string) Store {
		t.Helper()
		s, err := OpenSQLite(t.Context(), where, groupcommit.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	},
}

func onMySQL(server *engines.Server) engine {
	return engine{
		place: func(t testing.TB) string { return server.Database(t) },
		open: func(t testing.TB, where string) Store {
			t.Helper()
			c, err := mysql.Parse(where)
			if err != nil {
				t.Fatal(err)
			}
			db, err := mysql.Open(t.Context(), c, mysql.Options{Pool: 8})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { db.Close() })
			s, err := OpenMySQL(t.Context(), db, sqldb.Options{})
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		shared: true,
	}
}

// got is one request that a receiver got.
type got struct {
	id    string
	event cloudEvent
	at    time.Time
	valid int // how many of the receiver's verifiers accept it
}

// receiver is somebody else's server. answer decides what each request gets; nil takes everything.
type receiver struct {
	*httptest.Server
	clk *clock.Fake

	mu        sync.Mutex
	answer    func(w http.ResponseWriter, g got, n int)
	verifiers []*standard.Verifier
	all       []got
	now, most int // in flight
}

func newReceiver(t testing.TB, clk *clock.Fake) *receiver {
	r := &receiver{clk: clk}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	g := got{at: r.clk.Now(), id: req.Header.Get(standard.HeaderID)}
	if err != nil || json.Unmarshal(body, &g.event) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	for _, v := range r.verifiers {
		if _, err := v.Verify(req.Header, body); err == nil {
			g.valid++
		}
	}
	r.all = append(r.all, g)
	r.now++
	r.most = max(r.most, r.now)
	answer, n := r.answer, len(r.all)
	r.mu.Unlock()
	if answer != nil {
		answer(w, g, n)
	}
	r.mu.Lock()
	r.now--
	r.mu.Unlock()
}

func (r *receiver) set(f func(w http.ResponseWriter, g got, n int)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

func (r *receiver) got() []got {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

// trust makes the receiver a holder of a secret.
func (r *receiver) trust(t testing.TB, text string) {
	t.Helper()
	s, err := standard.ParseSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	v, err := standard.NewVerifier([]standard.Secret{s}, standard.Options{Clock: r.clk})
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.verifiers = append(r.verifiers, v)
}

// world is a room over an empty database.
type world struct {
	*Hooks
	t        testing.TB
	e        engine
	where    string
	clk      *clock.Fake
	faults   *fault.Points
	log      *bytes.Buffer
	mu       sync.Mutex
	disabled []string
	acts     []Act
}

func begin(t testing.TB, e engine, edit ...func(*Options)) *world {
	t.Helper()
	w := &world{t: t, e: e, where: e.place(t), clk: clock.NewFake(noon), log: &bytes.Buffer{}}
	w.Hooks = w.process(edit...)
	w.run(w.Hooks)
	return w
}

// process is one process of the shop: on SQLite there may be one at a time.
func (w *world) process(edit ...func(*Options)) *Hooks {
	w.t.Helper()
	seal, err := NewSealer(bytes.Repeat([]byte("k"), 32))
	if err != nil {
		w.t.Fatal(err)
	}
	w.faults = &fault.Points{}
	o := Options{
		Clock: w.clk, Seed: 7, Guard: egress.Guard{AllowInsecure: true, AllowPrivate: true}, Fault: w.faults, Look: 50 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(&locked{w: w.log, mu: &w.mu}, nil)),
		Audit: func(_ context.Context, a Act) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.acts = append(w.acts, a)
			return nil
		},
		Disabled: func(_, why string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.disabled = append(w.disabled, why)
		},
	}
	for _, f := range edit {
		f(&o)
	}
	h, err := New(w.e.open(w.t, w.where), seal, o)
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

// rob takes all endpoints from a process behind its back.
func (w *world) rob(h *Hooks) {
	w.t.Helper()
	err := h.db.Do(w.t.Context(), sqldb.NoLock, func(tx txn) error {
		_, err := tx.Exec(`UPDATE webhook_endpoints SET owner='dead', beat=beat+1 WHERE owner=?`, h.me)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

type locked struct {
	w  io.Writer
	mu *sync.Mutex
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func (w *world) run(h *Hooks) {
	w.t.Helper()
	if err := h.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.stop(h) })
}

func (w *world) stop(h *Hooks) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := h.Stop(ctx); err != nil {
		w.t.Errorf("stop: %v", err)
	}
	if err := h.db.Close(); err != nil {
		w.t.Errorf("close: %v", err)
	}
}

// crash ends a process as if it was killed: what it had in flight is not written down, and it gives nothing up.
func (w *world) crash(h *Hooks) {
	h.o.Fault.Set(PointSent, func(int) error { return io.ErrUnexpectedEOF })
	w.rob(h)
	w.stop(h)
}

func (w *world) endpoint(r *receiver, events ...string) Endpoint {
	w.t.Helper()
	if len(events) == 0 {
		events = []string{"*"}
	}
	e, secret, err := w.Create(w.t.Context(), "op", Definition{URL: r.URL, Events: events, Rate: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	r.trust(w.t, secret)
	return e
}

func message(n int, user, kind string) driver.Message {
	return driver.Message{
		ID: fmt.Sprint("stock-", n), Topic: "stock", User: user, Key: fmt.Sprint(1000 + n), Type: kind, Payload: fmt.Appendf(nil, `{"n":%d}`, n), At: noon.Add(time.Duration(n) * time.Millisecond),
	}
}

func (w *world) say(msgs ...driver.Message) {
	w.t.Helper()
	for _, err := range w.Handle(w.t.Context(), msgs) {
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// until lets the fake time go on in steps, for at least twenty seconds of real time, until the condition holds.
func (w *world) until(step time.Duration, what string, ok func() bool) {
	w.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for range 10_000 {
		if ok() {
			return
		}
		w.clk.Advance(step)
		<-tick.C
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.t.Fatalf("waited in vain until %s\n%s", what, w.log)
}

const (
	still = 0
	soon  = 50 * time.Millisecond
)

// told is how often somebody was told that an endpoint is disabled.
func (w *world) told() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.disabled)
}

func (w *world) states(endpoint string) map[State]int {
	w.t.Helper()
	rows, err := w.db.Query(w.t.Context(), `SELECT state, count(*) FROM webhook_deliveries WHERE endpoint=? GROUP BY state`, endpoint)
	n := map[State]int{}
	_, err = collect(rows, err, func(s scanner) (bool, error) {
		var state State
		var many int
		err := s.Scan(&state, &many)
		n[state] = many
		return true, err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *world) get(id string) Endpoint {
	w.t.Helper()
	e, err := w.Get(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// policy is what must be true on every engine.
var policy = map[string]func(*testing.T, engine){
	"in order per user, signed, once":    testDelivers,
	"redelivery queues nothing":          testRedelivery,
	"retries take days":                  testRetries,
	"gone disables":                      testGone,
	"retry-after is obeyed":              testRetryAfter,
	"redirects are refused":              testRedirect,
	"days of failure disable":            testDaysOfFailure,
	"an outage costs few tries":          testOutage,
	"replay of one":                      testReplayOne,
	"replay since":                       testReplaySince,
	"who lost an endpoint is silent":     testFenced,
	"rotation overlaps":                  testRotation,
	"a hanging endpoint delays no other": testIsolation,
	"restart in the middle":              testRestart,
	"limits of an endpoint":              testLimits,
	"secrets are sealed, logs are clean": testSecrets,
	"old things are forgotten":           testPrune,
	"what cannot be kept is poison":      testUnkeepable,
	"a replay is not forgotten":          testPruneMeetsReplay,
	"acts are refused and audited":       testActs,
	"ping":                               testPing,
	"types that there are":               testTypes,
	"what nobody wants":                  testWanted,
	"the trail tells of an end":          testEnding,
}

// The policy over SQLite.
func TestOnSQLite(t *testing.T) {
	t.Parallel()
	for name, test := range policy {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, onSQLite) })
	}
}

// The same policy over MySQL, and what several processes do there.
func TestOnMySQL(t *testing.T) {
	t.Parallel()
	on := onMySQL(engines.MariaDB(t))
	for name, test := range policy {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, on) })
	}
	t.Run("processes share the work", func(t *testing.T) { t.Parallel(); testProcesses(t, on) })
}
