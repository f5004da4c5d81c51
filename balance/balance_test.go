package balance_test

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock/balance"
	"penstock/engine/groupcommit"
	"penstock/engine/mysql"
	"penstock/errs"
	"penstock/internal/engines"
	"penstock/internal/fault"
	"penstock/internal/faultproxy"
	"penstock/internal/ident"
)

// A key moves money once, and is refused for anything else.
func testKeys(t *testing.T, on engine) {
	w := setup(t, on, nil)
	m := move(balance.TopUp, "ann", 500)
	first, replayed, err := w.b().Post(t.Context(), m)
	if err != nil || replayed {
		t.Fatal(replayed, err)
	}
	m.Who = "another operator"
	again, replayed, err := w.b().Post(t.Context(), m)
	if err != nil || !replayed || again.ID() != first.ID() || !again.At.Equal(first.At) {
		t.Errorf("repeat: %+v %v %v", again, replayed, err)
	}
	for _, other := range []balance.Move{move(balance.TopUp, "ann", 501), move(balance.TopUp, "bob", 500), move(balance.Withdrawal, "ann", 500)} {
		if _, _, err := w.b().Post(t.Context(), other); !errs.Is(err, errs.KeyReused) {
			t.Errorf("%+v: %v", other, err)
		}
	}
	w.has("ann", 500, 0)
	w.has("bob", 0, 0)
	w.audit()
}

// A charge that was refused, and one that was given up, move nothing later; one that was taken cannot be given up.
func testRefusalsLast(t *testing.T, on engine) {
	w := setup(t, on, nil)
	pay := func(once string) (string, error) {
		m := move(balance.Payment, "ann", 300)
		m.Once = once
		_, why, err := w.b().PostOrRefuse(t.Context(), m)
		return why, err
	}
	short, err := pay("short")
	if err != nil || short == "" {
		t.Fatalf("with nothing: %q %v", short, err)
	}
	slot := ident.SlotOf("ann")
	if _, why, err := w.b().Void(t.Context(), slot, "void", "given up"); err != nil || why != "given up" {
		t.Fatal(why, err)
	}
	w.topUp("ann", 1000)
	for once, want := range map[string]string{"short": short, "void": "given up", "good": ""} {
		for range 2 {
			if why, err := pay(once); err != nil || why != want {
				t.Errorf("%s: %q %v, want %q", once, why, err, want)
			}
		}
		if _, why, err := w.b().Settled(t.Context(), once); err != nil || why != want {
			t.Errorf("%s is settled as %q %v", once, why, err)
		}
	}
	if tx, why, err := w.b().Void(t.Context(), slot, "good", "given up"); err != nil || why != "" || tx.Amount != 300 {
		t.Errorf("a void of what is taken: %+v %q %v", tx, why, err)
	}
	if _, _, err := w.b().Settled(t.Context(), "never"); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("what never was: %v", err)
	}
	w.has("ann", 700, 0)
}

// Many payers on one balance take it to the last unit and never below; in between no reader sees it below zero.
func testManyPayers(t *testing.T, on engine) {
	w := setup(t, on, nil)
	w.topUp("ann", 1000)
	var paid atomic.Int64
	var g sync.WaitGroup
	for i := range 40 {
		g.Go(func() {
			m := move(balance.Payment, "ann", 70)
			m.Once = fmt.Sprint("pay ", i%30) // some are sent twice
			_, why, err := w.b().PostOrRefuse(t.Context(), m)
			if err != nil {
				t.Error(err)
			}
			if all, err := w.b().Standings(t.Context(), "ann"); err != nil || all[0].Balance < 0 {
				t.Errorf("%+v %v", all, err)
			}
			if why == "" && i < 30 {
				paid.Add(1)
			}
		})
	}
	g.Wait()
	if paid.Load() != 14 {
		t.Errorf("%d of 30 payments of 70 were paid from 1000", paid.Load())
	}
	w.has("ann", 1000-14*70, 0)
	if n := w.audit(); n != 15 {
		t.Errorf("%d transactions", n)
	}
}

// Refunds of a payment that meet give back no more than was paid, each once.
func testRefunds(t *testing.T, on engine) {
	w := setup(t, on, nil)
	w.topUp("ann", 100)
	m := move(balance.Payment, "ann", 100)
	m.Once, m.Ref = "pay", "pay"
	if _, why, err := w.b().PostOrRefuse(t.Context(), m); err != nil || why != "" {
		t.Fatal(why, err)
	}
	var back atomic.Int64
	var g sync.WaitGroup
	for i := range 12 {
		g.Go(func() {
			_, why, err := w.b().GiveBack(t.Context(), balance.Move{Once: fmt.Sprint("back ", i/2), Currency: "EUR", Amount: 30}, "pay")
			if err != nil {
				t.Error(err)
			}
			if why == "" {
				back.Add(1)
			}
		})
	}
	g.Wait()
	if back.Load() != 6 {
		t.Errorf("%d answers of 12 said that 30 of 100 came back, want 3 refunds twice", back.Load())
	}
	w.has("ann", 90, 0)
	if _, _, err := w.b().GiveBack(t.Context(), balance.Move{Once: "x", Currency: "EUR", Amount: 1}, "nothing"); !errs.Is(err, errs.NotFound) {
		t.Errorf("a refund of nothing: %v", err)
	}
	if _, why, err := w.b().GiveBack(t.Context(), balance.Move{Once: "y", Currency: "USD", Amount: 1}, "pay"); err != nil || why == "" {
		t.Errorf("a refund in another currency: %q %v", why, err)
	}
	w.audit()
}

// A credit limit lets a balance go that far below zero, and cannot be lowered below what is owed.
func testCredit(t *testing.T, on engine) {
	w := setup(t, on, nil)
	limit := func(n int64) error {
		_, _, err := w.b().SetCredit(t.Context(), balance.Limit{User: "ann", Currency: "EUR", Credit: n})
		return err
	}
	if err := limit(100); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		amount int64
		ok     bool
	}{{101, false}, {60, true}, {41, false}, {40, true}, {1, false}} {
		m := move(balance.Payment, "ann", c.amount)
		m.Once = fmt.Sprint(c)
		if _, _, err := w.b().Post(t.Context(), m); (err == nil) != c.ok {
			t.Errorf("%d: %v", c.amount, err)
		}
	}
	if err := limit(99); !errs.Is(err, errs.InsufficientBalance) {
		t.Errorf("a limit below what is owed: %v", err)
	}
	w.topUp("ann", 1)
	if err := limit(99); err != nil {
		t.Error(err)
	}
	if err := limit(-1); !errs.Is(err, errs.Invalid) {
		t.Errorf("a negative limit: %v", err)
	}
	w.has("ann", -99, 0)
	w.audit()
}

// Pages of a statement have every entry of the user once, newest first, and nobody else's.
func testPages(t *testing.T, on engine) {
	w := setup(t, on, nil)
	for i := range 7 {
		w.topUp("ann", int64(i+1))
		w.topUp("bob", 1)
	}
	hold := move(balance.Hold, "ann", 5)
	if _, _, err := w.b().Post(t.Context(), hold); err != nil {
		t.Fatal(err)
	}
	var all []balance.Entry
	for before := int64(0); ; {
		page, err := w.b().Entries(t.Context(), "ann", before, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		all, before = append(all, page...), page[len(page)-1].Pos
	}
	if len(all) != 9 || all[0].Account != balance.Held || all[0].Balance != 5 || all[1].Change != -5 || all[1].Balance != 23 || all[8].Balance != 1 {
		t.Errorf("%d entries: %+v", len(all), all)
	}
}

// A commit that failed or was not answered is settled by asking again with the key: the money moved once.
func testCommitNotAnswered(t *testing.T, on engine) {
	faults := &fault.Points{}
	w := setup(t, on, faults)
	w.topUp("ann", 100)
	faults.Set(groupcommit.PointCommit, func(hit int) error {
		if hit == 1 {
			return errors.New("the disk is gone")
		}
		return nil
	})
	m := move(balance.Payment, "ann", 40)
	if _, _, err := w.b().Post(t.Context(), m); err == nil {
		t.Fatal("a commit that failed was answered")
	}
	w.until(func() error { _, _, err := w.b().Post(t.Context(), m); return err })
	w.has("ann", 60, 0)
	w.audit()
}

// until repeats what may fail for a while.
func (w *world) until(f func() error) {
	w.t.Helper()
	var err error
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) { // polling, bounded
		if err = f(); err == nil {
			return
		}
	}
	w.t.Fatal(err)
}

// A commit whose reply is lost on the way is unknown, and found under its key.
func testReplyLost(t *testing.T, server *engines.Server) {
	proxy, faults := faultproxy.New(t, server.Addr()), &fault.Points{}
	where := strings.Replace(server.Database(t), server.Addr(), proxy.Addr(), 1)
	w := &world{t: t, opened: []*balance.Balances{openMySQL(t, where, mysql.Options{Pool: 4, LockWait: time.Second, Reply: 1100 * time.Millisecond}, faults)}}
	w.topUp("ann", 100)
	faults.Set(groupcommit.PointCommit, func(hit int) error {
		if hit == 1 {
			proxy.DropReplies()
		}
		return nil
	})
	m := move(balance.Payment, "ann", 40)
	_, _, err := w.b().Post(t.Context(), m)
	proxy.Pass()
	if !errs.Is(err, errs.Unknown) {
		t.Fatalf("without a reply: %v", err)
	}
	w.until(func() error {
		_, replayed, err := w.b().Post(t.Context(), m)
		if err == nil && !replayed {
			t.Error("the movement was made again")
		}
		return err
	})
	w.has("ann", 60, 0)
	w.audit()
}

// What was answered is there after the database is opened again, and the numbers go on.
func testReopened(t *testing.T, on engine) {
	where := on.place(t)
	w := &world{t: t, opened: []*balance.Balances{on.open(t, where, nil)}}
	w.topUp("ann", 100)
	if err := w.b().Close(); err != nil {
		t.Fatal(err)
	}
	m := move(balance.TopUp, "ann", 1)
	if _, _, err := w.b().Post(t.Context(), m); err == nil {
		t.Error("a closed ledger moved money")
	}
	w.opened = []*balance.Balances{on.open(t, where, nil)}
	w.topUp("ann", 10)
	w.has("ann", 110, 0)
	if n := w.audit(); n != 2 {
		t.Errorf("%d transactions", n)
	}
}

// An export that is written while money moves is a ledger that adds up.
func testExportWhileItMoves(t *testing.T, on engine) {
	w := setup(t, on, nil)
	var g sync.WaitGroup
	for u := range 4 {
		g.Go(func() {
			for i := range 25 {
				m := move(balance.TopUp, fmt.Sprint("user ", u), int64(i+1))
				m.Once = fmt.Sprint(u, " ", i)
				if _, _, err := w.b().Post(t.Context(), m); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 10 {
		w.audit()
	}
	g.Wait()
	if n := w.audit(); n != 100 {
		t.Errorf("%d transactions", n)
	}
}

// What is no movement is refused before anything is asked of the database.
func testInvalid(t *testing.T, on engine) {
	w := setup(t, on, nil)
	for _, change := range []func(*balance.Move){
		func(m *balance.Move) { m.Amount = 0 }, func(m *balance.Move) { m.Amount = -1 }, func(m *balance.Move) { m.Amount = balance.Most + 1 },
		func(m *balance.Move) { m.Currency = "eur" }, func(m *balance.Move) { m.User = "" }, func(m *balance.Move) { m.Once = "" },
		func(m *balance.Move) { m.Kind = "gift" }, func(m *balance.Move) { m.User = strings.Repeat("a", 513) },
		func(m *balance.Move) { m.Reason = strings.Repeat("a", 501) },
	} {
		m := move(balance.TopUp, "ann", 1)
		change(&m)
		if _, _, err := w.b().Post(t.Context(), m); err == nil {
			t.Errorf("%+v was made", m)
		}
	}
	if n := w.audit(); n != 0 {
		t.Errorf("%d transactions", n)
	}
}
