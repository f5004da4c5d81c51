package outboxbus_test

import (
	"context"
	"errors"
	"testing"

	"penstock/bus/driver"
	"penstock/bus/outboxbus"
)

// What nobody wants is committed without being read, and sources are told that it is sent. What is committed while it is asked
// whether somebody does is not passed over, and neither is anything once somebody wants it or the answer is not known.
func TestSkip(t *testing.T) {
	t.Parallel()
	b := setup(t, 2)
	r := b.reader(b.driver(outboxbus.Options{}), "g")
	s := r.(driver.Skipper)
	skip := func(unwanted func() (bool, error)) (bool, error) {
		t.Helper()
		return s.Skip(t.Context(), func(context.Context) (bool, error) { return unwanted() })
	}
	b.logs[0].Append(messages("ann", 5)...)
	b.logs[1].Append(messages("bob", 3)...)
	b.logs[0].Fail(errors.New("read")) // reading would fail
	if ok, err := skip(func() (bool, error) {
		b.logs[1].Append(driver.Message{ID: "meanwhile", User: "bob"})
		return true, nil
	}); !ok || err != nil {
		t.Fatalf("skipped %v, %v", ok, err)
	}
	b.logs[0].Fail(nil)
	if a, c := b.logs[0].Acknowledged(), b.logs[1].Acknowledged(); a != 5 || c != 3 {
		t.Errorf("told that %d and %d are sent", a, c)
	}
	if ok, err := skip(func() (bool, error) { return false, nil }); ok || err != nil {
		t.Errorf("skipped what is wanted: %v", err)
	}
	down := errors.New("nobody knows")
	if ok, err := skip(func() (bool, error) { return false, down }); ok || !errors.Is(err, down) {
		t.Errorf("skipped what may be wanted: %v", err)
	}
	got := b.poll(r, 10)
	if len(got) != 1 || got[0].ID != "meanwhile" {
		t.Fatalf("polled %v", got)
	}
	if ok, err := skip(func() (bool, error) { return true, nil }); ok || err != nil {
		t.Errorf("skipped a batch in flight: %v", err)
	}
	if again := b.poll(r, 10); len(again) != 1 {
		t.Errorf("polled again %v", again)
	}
	b.commit(r)
	if lag, err := r.Lag(t.Context()); lag != 0 || err != nil {
		t.Errorf("lag %d, %v", lag, err)
	}
}

// A cursor that stands behind the end of its source, whoever moved it there, is told: what comes next would be skipped.
func TestBeyondTheEnd(t *testing.T) {
	t.Parallel()
	b := setup(t, 2)
	d := b.driver(outboxbus.Options{})
	r := b.reader(d, "g")
	b.logs[0].Append(messages("ann", 5)...)
	b.logs[1].Append(messages("bob", 3)...)
	for len(b.poll(r, 10)) > 0 {
		b.commit(r)
	}
	beyond := func(want int64) {
		t.Helper()
		if n, err := r.(driver.Strayer).Beyond(t.Context()); n != want || err != nil {
			t.Errorf("%d behind the end, want %d, %v", n, want, err)
		}
	}
	beyond(0)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.db.W.ExecContext(t.Context(), `UPDATE cursor SET position = position + 7 WHERE source = 'outbox-0'`); err != nil {
		t.Fatal(err)
	}
	r = b.reader(d, "g")
	beyond(7)
	if got := b.poll(r, 10); len(got) > 0 {
		t.Errorf("polled %v", got)
	}
	beyond(7)
}
