package saga_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"penstock/engine/sqldb"
	"penstock/errs"
	"penstock/internal/engines"
	"penstock/internal/fault"
	"penstock/saga"
	"penstock/saga/barrier"
	"penstock/saga/participant"
)

// policy is what must be true on every engine.
var policy = map[string]func(*testing.T, engine){
	"barrier":                     testBarrier,
	"all or none":                 testAllOrNone,
	"begin is idempotent":         testBeginIsIdempotent,
	"coordinator killed anywhere": testCoordinatorKilledAnywhere,
	"rough network":               testRoughNetwork,
	"a human decides":             testHumanDecides,
	"forced the other way":        testForcedTheOtherWay,
	"first confirm refused":       testFirstConfirmRefused,
	"flows":                       testFlows,
	"overtaken":                   testOvertaken,
	"prune":                       testPrune,
}

// The policy over SQLite.
func TestOnSQLite(t *testing.T) {
	t.Parallel()
	for name, test := range policy {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, onSQLite) })
	}
}

// The same policy over MariaDB, and what only several processes can do.
func TestOnMySQL(t *testing.T) {
	t.Parallel()
	on := onMySQL(engines.MariaDB(t))
	t.Run("policy", func(t *testing.T) {
		for name, test := range policy {
			t.Run(name, func(t *testing.T) { t.Parallel(); test(t, on) })
		}
	})
	t.Run("two coordinators", func(t *testing.T) { testTwoCoordinators(t, on) })
}

// Every sequence of six calls about a branch is answered, and has effects, as the barrier's diagram says.
func testBarrier(t *testing.T, e engine) {
	const depth = 6
	gate := barrier.Table("gates")
	db := e.open(t, e.place(t), sqldb.Schema{Name: "gates", SQLite: []string{gate.SQLite()}, MySQL: []string{gate.MySQL()}})
	ops := []barrier.Op{barrier.Try, barrier.Confirm, barrier.Cancel}
	// next[state][op] is the state after, and what is answered: first, again, or no.
	type answer struct{ after, says string }
	next := map[string]map[barrier.Op]answer{
		"":          {barrier.Try: {"tried", "first"}, barrier.Confirm: {"", "no"}, barrier.Cancel: {"void", "again"}},
		"tried":     {barrier.Try: {"tried", "again"}, barrier.Confirm: {"confirmed", "first"}, barrier.Cancel: {"cancelled", "first"}},
		"confirmed": {barrier.Try: {"confirmed", "again"}, barrier.Confirm: {"confirmed", "again"}, barrier.Cancel: {"confirmed", "no"}},
		"cancelled": {barrier.Try: {"cancelled", "no"}, barrier.Confirm: {"cancelled", "no"}, barrier.Cancel: {"cancelled", "again"}},
		"void":      {barrier.Try: {"void", "no"}, barrier.Confirm: {"void", "no"}, barrier.Cancel: {"void", "again"}},
	}
	for head := range 27 {
		err := db.Do(t.Context(), 0, func(tx sqldb.Tx) error {
			for tail := range 27 {
				n, state := head*27+tail, ""
				branch := fmt.Sprint("b", n)
				for i := range depth {
					op := ops[n%3]
					n /= 3
					want := next[state][op]
					first, err := gate.Enter(tx, time.Now(), "t", branch, op)
					says := map[bool]string{true: "first", false: "again"}[first]
					if participant.Refused(err) {
						says, err = "no", nil
					}
					if err != nil {
						return err
					}
					if says != want.says {
						return fmt.Errorf("branch %s, call %d: %s while %q says %s, want %s", branch, i, op, state, says, want.says)
					}
					state = want.after
				}
			}
			return nil
		})
		check(t, err)
	}
}

// When all branches can be held, all are taken; when one refuses, nothing is out.
func testAllOrNone(t *testing.T, e engine) {
	w := newTown(t, e)
	c := w.start(w.log, saga.Options{})
	_, _, err := c.Begin(t.Context(), spec("good", "300", "200"))
	check(t, err)
	if tx, err := c.Wait(t.Context(), "good"); err != nil || tx.State != saga.Confirmed {
		t.Errorf("want confirmed, got %+v, %v", tx, err)
	}
	_, _, err = c.Begin(t.Context(), spec("poor", "300", "9000000"))
	check(t, err)
	if tx := w.until(c, "poor"); tx.State != saga.Cancelled || !strings.Contains(tx.Reason, "only 999800 left") {
		t.Errorf("want cancelled with the reason, got %+v", tx)
	}
	for i, want := range []int64{300, 200} {
		if held, taken := w.purses[i].has(t); held != 0 || taken != want {
			t.Errorf("purse %d: held %d, taken %d, want 0 and %d", i, held, taken, want)
		}
	}
	if n, err := c.InFlight(t.Context()); n != 0 || err != nil {
		t.Errorf("%d are in flight, %v", n, err)
	}
}

// The same id begins once; the same id with another content is refused; what cannot be is named.
func testBeginIsIdempotent(t *testing.T, e engine) {
	w := newTown(t, e)
	c := w.start(w.log, saga.Options{})
	for i := range 3 {
		if _, replayed, err := c.Begin(t.Context(), spec("once", "5", "5")); err != nil || replayed != (i > 0) {
			t.Errorf("begin %d: replayed %v, %v", i, replayed, err)
		}
	}
	w.until(c, "once")
	if _, _, err := c.Begin(t.Context(), spec("once", "5", "6")); !errs.Is(err, errs.KeyReused) {
		t.Errorf("another content: %v", err)
	}
	bad := spec("x", "1", "1")
	bad.Branches[1].Participant = "nobody"
	if _, _, err := c.Begin(t.Context(), bad); !errs.Is(err, errs.Invalid) {
		t.Errorf("an unknown participant: %v", err)
	}
	if _, taken := w.purses[0].has(t); taken != 5 {
		t.Errorf("taken %d, want 5", taken)
	}
}

// A coordinator that dies at any durable step, and its successor, bring the transaction to a whole end.
func testCoordinatorKilledAnywhere(t *testing.T, e engine) {
	w := newTown(t, e)
	next := w.start(w.log, saga.Options{})
	killed := 0
	for _, right := range []string{"2", "9000000"} {
		for _, point := range saga.Points() {
			for hit := 1; hit <= 6; hit++ {
				var faults fault.Points
				fired := make(chan struct{}, 16)
				faults.Set(point, func(n int) error {
					if n < hit {
						return nil
					}
					fired <- struct{}{}
					return errors.New("killed")
				})
				id := fmt.Sprintf("%s-%d-%s", strings.ReplaceAll(point, ".", "-"), hit, right)
				doomed, err := saga.New(w.log, map[string]participant.Participant{"left": w.nets[0], "right": w.nets[1]}, nil, saga.Options{Clock: w.clock, Timeout: 24 * time.Hour, Fault: &faults})
				check(t, err)
				_, _, err = doomed.Begin(t.Context(), spec(id, "1", right))
				check(t, err)
				tx := w.until(next, id)
				doomed.Stop()
				killed += len(fired)
				if want := map[string]saga.State{"2": saga.Confirmed, "9000000": saga.Cancelled}[right]; tx.State != want {
					t.Errorf("%s: %s, want %s (%s)", id, tx.State, want, tx.Reason)
				}
			}
		}
	}
	runs := int64(6 * len(saga.Points()))
	if held, taken := w.purses[0].has(t); held != 0 || taken != runs {
		t.Errorf("held %d, taken %d, want 0 and %d", held, taken, runs)
	}
	if killed < 20 {
		t.Errorf("only %d coordinators were killed", killed)
	}
	t.Logf("%d coordinators killed", killed)
}

// mess runs transactions through a network that loses, repeats and delays calls, and judges the sums.
func mess(t *testing.T, w *town, all []*saga.Coordinator, n int) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for i, net := range w.nets {
		net.rnd = rand.New(rand.NewPCG(seed, uint64(i)))
	}
	var each sync.WaitGroup
	for i := range n {
		each.Go(func() {
			right := "2"
			if i%5 == 0 {
				right = "9000000"
			}
			if _, _, err := all[i%len(all)].Begin(context.Background(), spec(fmt.Sprint("m", i), "1", right)); err != nil {
				t.Errorf("begin %d: %v", i, err)
			}
		})
	}
	each.Wait()
	ends := map[saga.State]int64{}
	var want [2]int64
	for i := range n {
		id := fmt.Sprint("m", i)
		tx := w.until(all[(i+1)%len(all)], id)
		ends[tx.State]++
		for tx.State == saga.NeedsHuman {
			_, _, err := all[0].Resolve(t.Context(), id, saga.Resolution{Action: saga.Retry, Who: "op", Reason: "the network is better now"})
			check(t, err)
			tx = w.until(all[0], id)
		}
		if tx.State == saga.Confirmed {
			want[0], want[1] = want[0]+1, want[1]+2
		}
	}
	w.settle()
	for i := range want {
		if held, taken := w.purses[i].has(t); held != 0 || taken != want[i] {
			t.Errorf("purse %d: held %d, taken %d, want 0 and %d", i, held, taken, want[i])
		}
	}
	t.Logf("ends %v", ends)
	if ends[saga.Confirmed] == 0 || ends[saga.Cancelled] == 0 {
		t.Errorf("some end was never reached: %v", ends)
	}
}

// Calls that are lost, whose replies are lost, that come late, twice and out of order leave all effects or none.
func testRoughNetwork(t *testing.T, e engine) {
	w := newTown(t, e)
	mess(t, w, []*saga.Coordinator{w.start(w.log, saga.Options{Tries: 8})}, 40)
}

// Two processes on one database share the work and the result, and neither has an effect twice.
func testTwoCoordinators(t *testing.T, e engine) {
	w := newTown(t, e)
	a, b := w.start(w.log, saga.Options{Tries: 8}), w.start(e.log(t, w.where), saga.Options{Tries: 8})
	mess(t, w, []*saga.Coordinator{a, b}, 60)
}

// A participant that never answers makes a case with the sums that are taken and unsure; a person lets it go on, or settles a
// branch by hand, and the timeline says who and why.
func testHumanDecides(t *testing.T, e engine) {
	w := newTown(t, e)
	c := w.start(w.log, saga.Options{Tries: 3})
	deaf := func(op barrier.Op) int {
		if op == barrier.Confirm {
			return lost
		}
		return fine
	}
	w.nets[1].set(deaf)
	for _, id := range []string{"wait", "hand"} {
		_, _, err := c.Begin(t.Context(), spec(id, "30", "20"))
		check(t, err)
		tx := w.until(c, id)
		s := tx.AtStake()
		if tx.State != saga.NeedsHuman || s.Taken.Money["EUR"] != 30 || s.Unsure.Money["EUR"] != 20 || len(s.Held.Money) != 0 {
			t.Fatalf("%s: %s, at stake %+v", id, tx.State, s)
		}
	}
	if n, err := c.Count(t.Context()); err != nil || n[saga.NeedsHuman] != 2 {
		t.Errorf("counted %v, %v", n, err)
	}
	_, _, err := c.Resolve(t.Context(), "hand", saga.Resolution{Action: saga.ForceConfirm, Settled: []string{"b"}, Who: "eve", Reason: "booked by phone"})
	check(t, err)
	if tx := w.until(c, "hand"); tx.State != saga.Confirmed {
		t.Errorf("settled by hand: %s", tx.State)
	}
	w.nets[1].set(nil)
	_, _, err = c.Resolve(t.Context(), "wait", saga.Resolution{Action: saga.Retry, Who: "eve", Reason: "it is back"})
	check(t, err)
	if tx := w.until(c, "wait"); tx.State != saga.Confirmed {
		t.Errorf("after the retry: %s %s", tx.State, tx.Reason)
	}
	if _, _, err = c.Resolve(t.Context(), "wait", saga.Resolution{Action: saga.Retry, Who: "eve", Reason: "again"}); !errs.Is(err, errs.IllegalTransition) {
		t.Errorf("resolving what has ended: %v", err)
	}
	_, steps, err := c.Get(t.Context(), "hand")
	check(t, err)
	text := fmt.Sprint(steps)
	for _, want := range []string{"begun", "resolve confirm", "eve", "booked by phone", "settled by hand", "confirmed"} {
		if !strings.Contains(text, want) {
			t.Errorf("the timeline does not say %q: %s", want, text)
		}
	}
	if held, taken := w.purses[1].has(t); held != 20 || taken != 20 { // the one settled by hand was not called
		t.Errorf("held %d, taken %d, want 20 and 20", held, taken)
	}
}

// A person forces a transaction the other way where the branches still can go there, and is told where they cannot.
func testForcedTheOtherWay(t *testing.T, e engine) {
	w := newTown(t, e)
	c := w.start(w.log, saga.Options{Tries: 3})
	on := func(bad barrier.Op, fate int) func(barrier.Op) int {
		return func(op barrier.Op) int {
			if op == bad {
				return fate
			}
			return fine
		}
	}
	w.nets[0].set(on(barrier.Confirm, lost)) // nothing is taken yet
	_, _, err := c.Begin(t.Context(), spec("back", "3", "2"))
	check(t, err)
	if tx := w.until(c, "back"); tx.State != saga.NeedsHuman || tx.AtStake().Held.Money["EUR"] != 2 || tx.AtStake().Unsure.Money["EUR"] != 3 {
		t.Fatalf("%s, at stake %+v", tx.State, tx.AtStake())
	}
	_, _, err = c.Resolve(t.Context(), "back", saga.Resolution{Action: saga.ForceCancel, Who: "eve", Reason: "the buyer left"})
	check(t, err)
	if tx := w.until(c, "back"); tx.State != saga.Cancelled {
		t.Errorf("forced to cancel: %s %s", tx.State, tx.Reason)
	}
	w.nets[0].set(on(barrier.Cancel, lost))
	_, _, err = c.Begin(t.Context(), spec("forth", "3", "9000000"))
	check(t, err)
	if tx := w.until(c, "forth"); tx.State != saga.NeedsHuman || tx.AtStake().Unsure.Money["EUR"] != 3 {
		t.Fatalf("%s, at stake %+v", tx.State, tx.AtStake())
	}
	if _, _, err = c.Resolve(t.Context(), "forth", saga.Resolution{Action: saga.ForceConfirm, Who: "eve", Reason: "try"}); !errs.Is(err, errs.IllegalTransition) {
		t.Errorf("confirming what was refused: %v", err)
	}
	w.nets[0].set(nil)
	_, _, err = c.Resolve(t.Context(), "forth", saga.Resolution{Action: saga.Retry, Who: "eve", Reason: "it is back"})
	check(t, err)
	w.until(c, "forth")
	for i, p := range w.purses {
		if held, taken := p.has(t); held != 0 || taken != 0 {
			t.Errorf("purse %d: held %d, taken %d", i, held, taken)
		}
	}
}

// A definite no to the first confirm, such as a hold whose time is over, still leaves nothing anywhere.
func testFirstConfirmRefused(t *testing.T, e engine) {
	w := newTown(t, e)
	c := w.start(w.log, saga.Options{})
	w.nets[0].set(func(op barrier.Op) int {
		if op == barrier.Confirm {
			return refused
		}
		return fine
	})
	_, _, err := c.Begin(t.Context(), spec("late", "3", "2"))
	check(t, err)
	if tx := w.until(c, "late"); tx.State != saga.Cancelled {
		t.Errorf("%s %s", tx.State, tx.Reason)
	}
	for i, p := range w.purses {
		if held, taken := p.has(t); held != 0 || taken != 0 {
			t.Errorf("purse %d: held %d, taken %d", i, held, taken)
		}
	}
}

// A flow's steps are all done, or undone in reverse; forward recovery goes on until a step is done; steps beside each other run
// in one stage.
func testFlows(t *testing.T, e engine) {
	w := newTown(t, e)
	var mu sync.Mutex
	var seen []string
	busy := 2 // how often the last step of "on" does not answer
	note := func(s string) { mu.Lock(); seen = append(seen, s); mu.Unlock() }
	step := func(name string, err error) saga.FlowStep {
		return saga.FlowStep{Name: name, Do: func(context.Context, participant.Branch) error { note("do " + name); return err },
			Undo: func(context.Context, participant.Branch) error { note("undo " + name); return nil }}
	}
	beside := step("b", nil)
	beside.Beside = true
	c := w.start(w.log, saga.Options{},
		saga.Flow{Name: "back", Steps: []saga.FlowStep{step("a", nil), {Name: "money", Participant: "left"}, step("c", participant.Refuse(errors.New("no room")))}},
		saga.Flow{Name: "on", Recovery: saga.Forward, Steps: []saga.FlowStep{step("a", nil), beside, {Name: "money", Participant: "right"},
			{Name: "last", Do: func(context.Context, participant.Branch) error {
				mu.Lock()
				defer mu.Unlock()
				if busy--; busy >= 0 {
					return errLost
				}
				return nil
			}}}})
	_, _, err := c.Run(t.Context(), "back", "f1", json.RawMessage(`{"amount":7}`))
	check(t, err)
	if tx := w.until(c, "f1"); tx.State != saga.Cancelled {
		t.Errorf("back: %s %s", tx.State, tx.Reason)
	}
	mu.Lock()
	if got := strings.Join(seen, ", "); got != "do a, do c, undo c, undo a" {
		t.Errorf("the steps were %s", got)
	}
	mu.Unlock()
	_, _, err = c.Run(t.Context(), "on", "f2", json.RawMessage(`{"amount":7}`))
	check(t, err)
	tx := w.until(c, "f2")
	if tx.State != saga.Confirmed || tx.Branches[0].Stage != tx.Branches[1].Stage {
		t.Errorf("on: %+v", tx)
	}
	if held, _ := w.purses[0].has(t); held != 0 {
		t.Errorf("the compensated step holds %d", held)
	}
	if held, _ := w.purses[1].has(t); held != 7 { // a try is the whole step
		t.Errorf("the step done holds %d, want 7", held)
	}
}
