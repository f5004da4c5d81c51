package mysqlstock_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"penstock/engine/mysql"
	"penstock/internal/fault"
	"penstock/internal/faultproxy"
	"penstock/stock"
	"penstock/stock/driver"
	"penstock/stock/mysqlstock"
)

// through returns the URL of a database by way of a proxy.
func through(url string, e *env, p *faultproxy.Proxy) string {
	return strings.Replace(url, e.server.Addr(), p.Addr(), 1)
}

// impatient gives up on a silent server after two seconds.
var impatient = mysql.Options{Pool: 6, Reply: 2 * time.Second, LockWait: time.Second, Connect: time.Second}

// A commit that the server makes and whose reply is lost is unknown, and settles as what was committed.
func lostReplyIsFound(t *testing.T, e *env) {
	t.Parallel()
	url := e.server.Database(t)
	proxy := faultproxy.New(t, e.server.Addr())
	points := &fault.Points{}
	p := e.process(t, through(url, e, proxy), mysqlstock.Options{Fault: points, Engine: impatient})
	other := e.process(t, url, mysqlstock.Options{})
	p.sell(t, 10, 1)
	points.Set(mysqlstock.FaultCommit, func(hit int) error {
		if hit == 1 {
			proxy.DropReplies()
			go func() {
				until(t, "the commit is done", func() bool {
					a, err := other.db.Attempt(t.Context(), driver.Key{Sale: "s", User: "u", Key: "k"})
					return err == nil && a != nil
				})
				proxy.Reset()
				proxy.Pass()
			}()
		}
		return nil
	})
	a := p.buy("u", "k")
	if a.State != stock.Won || !a.Replayed {
		t.Errorf("after a lost reply: %+v, want the win that was committed", a)
	}
	if n := len(audit(t, other)["u"]); n != 1 {
		t.Errorf("%d wins", n)
	}
}

// A commit that has not reached the server leaves its transaction open there. Whoever decides the same key again must wait for
// its locks, however often that is not granted, until the session ends: only then it is decided anew.
func openTransactionIsWaitedFor(t *testing.T, e *env) {
	t.Parallel()
	url := e.server.Database(t)
	proxy := faultproxy.New(t, e.server.Addr())
	points := &fault.Points{}
	p := e.process(t, through(url, e, proxy), mysqlstock.Options{Fault: points, Engine: impatient})
	other := e.process(t, url, mysqlstock.Options{Engine: impatient})
	p.sell(t, 1, 1)
	open := make(chan struct{}) // its rows are written, its commit never arrives
	points.Set(mysqlstock.FaultCommit, func(hit int) error {
		if hit == 1 {
			proxy.BlackHole()
			close(open)
		}
		return nil
	})
	first := make(chan stock.Answer, 1)
	go func() { first <- p.buy("u", "k") }()
	<-open
	// The same key elsewhere: the stock row is locked, so nothing may be said.
	second := make(chan stock.Answer, 1)
	go func() { second <- other.buy("u", "k") }()
	select {
	case a := <-second:
		if a.State != stock.Lost || a.Reason != "reduced-capacity" {
			t.Errorf("while the first transaction is open, the same key is told %+v", a)
		}
		go func() { second <- other.buy("u", "k") }()
	case <-time.After(1500 * time.Millisecond):
	}
	proxy.Reset()
	proxy.Pass()
	a := <-first
	if a.State != stock.Won {
		t.Errorf("the first call: %+v", a)
	}
	until(t, "both agree", func() bool {
		b := other.buy("u", "k")
		return b.State == stock.Won && b.Attempt.ID == a.Attempt.ID
	})
	if n := len(audit(t, other)["u"]); n != 1 {
		t.Errorf("%d wins", n)
	}
}

// A server that is killed before, during and after a commit takes no answer back and loses no win; calls meanwhile are unknown
// or not executed, never wrong.
func serverIsKilled(t *testing.T, e *env) {
	url := e.server.Database(t)
	points := &fault.Points{}
	p := e.process(t, url, mysqlstock.Options{Fault: points, Engine: impatient})
	p.sell(t, 100, 1)
	for i, point := range []string{mysqlstock.FaultCommit, mysqlstock.FaultCommitted} {
		won := p.buy(fmt.Sprint("before", i), "k")
		points.Set(point, func(hit int) error {
			if hit > 1 {
				return nil
			}
			e.server.Kill(t)
			if point == mysqlstock.FaultCommitted {
				return errPlanned
			}
			return nil
		})
		answer := make(chan stock.Answer, 1)
		go func() { answer <- p.buy(fmt.Sprint("amid", i), "k") }()
		until(t, "the server is gone", func() bool { return p.db.Ready() != nil })
		e.server.Start(t)
		a := <-answer
		if a.State != stock.Won || point == mysqlstock.FaultCommitted && !a.Replayed {
			t.Errorf("killed at %s: %+v", point, a)
		}
		if b := p.buy(fmt.Sprint("before", i), "k"); b.State != stock.Won || b.Attempt.ID != won.Attempt.ID {
			t.Errorf("killed at %s: a win before is now %+v", point, b)
		}
	}
	until(t, "it is ready again", func() bool { return p.db.Repair(t.Context()) == nil && p.db.Ready() == nil })
	if n := len(audit(t, p)); n != 4 {
		t.Errorf("%d winners, want 4", n)
	}
	e.server.Kill(t)
	err := p.db.Decide(t.Context(), &driver.Reads{}, func(*driver.State) *driver.Changes { return nil })
	if !errors.Is(err, driver.ErrUnavailable) {
		t.Errorf("deciding without a server: %v, want ErrUnavailable", err)
	}
	if _, err := p.Snapshot(t.Context()); !errors.Is(err, driver.ErrUnavailable) {
		t.Errorf("reading without a server: %v, want ErrUnavailable", err)
	}
	e.server.Start(t)
}

// An operator's act that is refused says so only when no transaction is open that may be this very act.
func openActIsWaitedFor(t *testing.T, e *env) {
	t.Parallel()
	url := e.server.Database(t)
	p := e.process(t, url, slow())
	p.sell(t, 1, 1)
	open, err := e.admin(t, url).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Rollback()
	if _, err = open.ExecContext(t.Context(), "UPDATE head SET commits = commits + 1, edition = edition + 1 WHERE one = 1"); err != nil {
		t.Fatal(err)
	}
	refusal := errors.New("not now")
	done := make(chan error, 1)
	go func() {
		_, err := p.UpdateSale(t.Context(), "s", 0, func(*driver.Sale) error { return refusal }, driver.Audit{Who: "op", Act: "change"})
		done <- err
	}()
	select {
	case err = <-done:
		t.Fatalf("refused beside an open transaction: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	if err = open.Commit(); err != nil {
		t.Fatal(err)
	}
	if err = <-done; !errors.Is(err, refusal) {
		t.Errorf("afterwards: %v", err)
	}
}
