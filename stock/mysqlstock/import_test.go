package mysqlstock_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"penstock/stock"
	"penstock/stock/driver"
	"penstock/stock/mysqlstock"
	"penstock/stock/sqlitestock"
)

// embedded makes an embedded database with every kind of entry, more than one page of them, and part of it sent.
func embedded(t *testing.T) (*sqlitestock.Driver, *stock.Stock) {
	t.Helper()
	d, err := sqlitestock.Open(t.Context(), filepath.Join(t.TempDir(), "stock.db"), sqlitestock.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	s, err := stock.New(t.Context(), d, stock.Options{Deadline: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	now := time.Now()
	for n := range 3 {
		_, err := s.CreateSale(t.Context(), driver.Sale{
			ID: fmt.Sprint("sale ☕", n), Title: "北京", StartsAt: now.Add(-time.Hour), EndsAt: now.Add(time.Hour), Window: time.Hour, Admission: "open",
			Items: []driver.SaleItem{{SKU: "a", Price: 100, Currency: "CNY", Limit: 3}, {SKU: "b", Price: 5, Currency: "CNY"}},
		}, map[string]int64{"a": 2000, "b": 500}, driver.Audit{Who: "op", Act: "create", Why: "test"})
		if err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan struct{}, 64)
	for i := range 1500 {
		done <- struct{}{}
		go func() {
			defer func() { <-done }()
			attemptAndMove(t, s, i)
		}()
	}
	for range cap(done) {
		done <- struct{}{}
	}
	for i, delta := range []int64{50, -20} {
		if _, err := s.Offer(t.Context(), stock.OfferRequest{Sale: "sale ☕1", SKU: "a", Delta: delta, Key: fmt.Sprint(i), Why: "more"}, driver.Audit{Who: "op"}); err != nil {
			t.Error(err)
		}
	}
	queued(t, s)
	if err := d.Sent(t.Context(), 777); err != nil {
		t.Fatal(err)
	}
	return d, s
}

// queued makes a sale in which some wait, one was offered, one has left and one was skipped.
func queued(t *testing.T, s *stock.Stock) {
	t.Helper()
	now := time.Now()
	_, err := s.CreateSale(t.Context(), driver.Sale{
		ID: "list", Title: "list", StartsAt: now.Add(-time.Hour), EndsAt: now.Add(time.Hour), Window: time.Hour, Admission: "open", WaitingList: true,
		Items: []driver.SaleItem{{SKU: "a", Price: 100, Currency: "CNY", Limit: 1}},
	}, map[string]int64{"a": 2}, driver.Audit{Who: "op", Act: "create", Why: "test"})
	if err != nil {
		t.Fatal(err)
	}
	var ids []stock.ID
	for _, user := range []string{"x", "q0"} {
		a := s.Attempt(t.Context(), stock.Request{Sale: "list", User: user, Key: "k", Items: []stock.Item{{SKU: "a", Quantity: 1}}})
		ids = append(ids, a.Attempt.ID)
	}
	for i := range 5 {
		e, err := s.Join(t.Context(), stock.JoinRequest{Sale: "list", User: fmt.Sprint("q", i), Key: "j", SKU: "a", Quantity: 1})
		if err == nil && i == 2 {
			_, err = s.Leave(t.Context(), "list", "q2", e.Seq)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Release(t.Context(), ids[0], driver.Held, stock.WhyCancelled, ""); err != nil { // q0 is skipped, q1 served
		t.Fatal(err)
	}
}

func attemptAndMove(t *testing.T, s *stock.Stock, i int) {
	r := stock.Request{Sale: fmt.Sprint("sale ☕", i%3), User: fmt.Sprint("u", i%400), Key: fmt.Sprint("k", i), Trace: "t", Items: []stock.Item{{SKU: "a", Quantity: 1}}}
	if i%4 == 0 {
		r.Items = append(r.Items, stock.Item{SKU: "b", Quantity: 2})
	}
	a := s.Attempt(context.Background(), r)
	if a.State != stock.Won {
		return
	}
	var err error
	switch i % 5 {
	case 0:
		_, err = s.Sell(context.Background(), a.Attempt.ID, "paid", "t2")
	case 1:
		_, err = s.Release(context.Background(), a.Attempt.ID, driver.Held, stock.WhyCancelled, "")
	case 2:
		if _, err = s.Sell(context.Background(), a.Attempt.ID, "", ""); err == nil {
			_, err = s.Release(context.Background(), a.Attempt.ID, driver.Sold, stock.WhyRefunded, "")
		}
	}
	if err != nil {
		t.Error(err)
	}
}

// interrupted ends an import after some pages.
type interrupted struct {
	*sqlitestock.Driver
	pages int
}

func (i *interrupted) Journal(ctx context.Context, after uint64, limit int) ([]driver.Entry, error) {
	if i.pages--; i.pages < 0 {
		return nil, errPlanned
	}
	return i.Driver.Journal(ctx, after, limit)
}

// An imported database tells the same as the one it came from, byte by byte, and goes on selling; an import that was
// interrupted sells nothing and goes on where it was; one into a database in use is refused.
func importIsTheSame(t *testing.T, e *env) {
	t.Parallel()
	from, old := embedded(t)
	url := e.server.Database(t)
	d := e.open(t, url, mysqlstock.Options{})
	if err := d.Import(t.Context(), &interrupted{from, 2}, nil); !errors.Is(err, errPlanned) {
		t.Fatalf("an interrupted import: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = e.open(t, url, mysqlstock.Options{})
	err := d.Decide(t.Context(), &driver.Reads{}, func(*driver.State) *driver.Changes { return nil })
	if !errors.Is(err, driver.ErrUnavailable) {
		t.Errorf("deciding in half a copy: %v", err)
	}
	var steps []uint64
	if err := d.Import(t.Context(), from, func(done, total uint64) { steps = append(steps, done, total) }); err != nil {
		t.Fatal(err)
	}
	if len(steps) < 2 || steps[0] < 1000 || steps[len(steps)-2] != steps[len(steps)-1] {
		t.Errorf("progress after an interruption: %v", steps)
	}
	s, err := stock.New(t.Context(), d, stock.Options{Deadline: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	for _, name := range []string{"claims", "stock-ledger", "waiting", "outbox", "audit"} {
		var a, b bytes.Buffer
		if err := errors.Join(old.Export(t.Context(), name, &a), s.Export(t.Context(), name, &b)); err != nil {
			t.Fatal(err)
		}
		if a.Len() == 0 || !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Errorf("the export of %s differs: %d and %d bytes", name, a.Len(), b.Len())
		}
	}
	for user := range 20 {
		a, err1 := from.Unsent(t.Context(), fmt.Sprint("u", user))
		b, err2 := d.Unsent(t.Context(), fmt.Sprint("u", user))
		if err1 != nil || err2 != nil || len(a) != len(b) {
			t.Errorf("unsent of %d: %d and %d, %v, %v", user, len(a), len(b), err1, err2)
		}
	}
	won := s.Attempt(t.Context(), stock.Request{Sale: "sale ☕0", User: "new", Key: "k", Items: []stock.Item{{SKU: "a", Quantity: 3}}})
	over := s.Attempt(t.Context(), stock.Request{Sale: "sale ☕0", User: "new", Key: "l", Items: []stock.Item{{SKU: "a", Quantity: 1}}})
	if won.State != stock.Won || over.State != stock.Lost {
		t.Errorf("after the import: %+v, %+v", won, over)
	}
	if _, err := s.Offer(t.Context(), stock.OfferRequest{Sale: "list", SKU: "a", Delta: 1, Why: "more"}, driver.Audit{Who: "op"}); err != nil {
		t.Fatal(err)
	}
	again, err := s.Join(t.Context(), stock.JoinRequest{Sale: "list", User: "q3", Key: "j", SKU: "a", Quantity: 1})
	if err != nil || !again.Replayed || again.State != driver.Offered {
		t.Errorf("who waited first before the import: %+v, %v", again, err)
	}
	if err := d.Import(t.Context(), from, nil); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("an import into a database in use: %v", err)
	}
}
