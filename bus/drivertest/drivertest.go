// Package drivertest is the contract of the bus's ports in executable form: [Run] holds for every driver and every store, so
// that what is written above them need not know which engine is below. It also has [Log], an outbox in memory.
package drivertest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"penstock/bus/driver"
)

// Store is what every store offers.
type Store interface {
	driver.Store
	driver.Copies
}

// Harness is one fresh engine under test. What it opened it closes by t.Cleanup.
type Harness struct {
	Driver driver.Driver
	Store  Store
	// Topic exists and is empty.
	Topic string
	// Publish commits messages to the topic in this order, each with User, ID and Payload as given.
	Publish func(msgs ...driver.Message)
	// Expire makes so much time pass that the lease of a member that is silent meanwhile has run out.
	Expire func()
}

// patience bounds every wait of the suite; nothing in it needs nearly as long.
const patience = 60 * time.Second

// Run checks a driver and a store against the contract. fresh makes a new engine for each test.
func Run(t *testing.T, fresh func(t *testing.T) Harness) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Harness)
	}{
		{"a new group starts at the earliest message", earliest},
		{"messages of a user come in order and offsets of a partition grow", ordered},
		{"a poll without a commit in between repeats the batch", repeats},
		{"what was not committed is delivered to the next member", uncommitted},
		{"what was committed is not delivered again", committed},
		{"groups do not disturb each other", groups},
		{"a poll ends with its context", ends},
		{"a poll delivers what is published while it waits", waits},
		{"a member that lost its lease cannot commit", fenced},
		{"a member that stands by gets nothing until the other closes", standby},
		{"the lag is zero only when everything is committed", lag},
		{"parked messages keep their user's order and are stored once", parkedOrder},
		{"only due heads are handed out", parkedDue},
		{"outcomes of several messages are settled together, and once", settleMany},
		{"a dead letter keeps its origin and lets the next message through", deadLetter},
		{"a replay goes to the end of the queue and happens once", replay},
		{"a discarded letter stays on record", discard},
		{"letters page in order of id", paging},
		{"a filter lets through what matches all of it", filtered},
		{"another message takes the place of a dead one, once", replaced},
		{"a letter is untold until it is told, whatever becomes of it", told},
		{"a redelivery does not park or bury a message that is dead", deadOnce},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, fresh(t))
		})
	}
}

// msg makes the n-th message of a user.
func msg(user string, n int) driver.Message {
	id := fmt.Sprintf("%s-%d", user, n)
	return driver.Message{
		ID: id, User: user, Key: "key-" + id, Type: "test.happened", Payload: []byte(`{"n":"` + id + `"}`),
		Headers: map[string]string{"traceparent": "00-" + id}, At: time.Unix(1790000000, int64(n)).UTC(),
	}
}

func (h Harness) subscribe(t *testing.T, group string) driver.Reader {
	t.Helper()
	r, err := h.Driver.Subscribe(t.Context(), group, h.Topic)
	if err != nil {
		t.Fatalf("subscribe: %v", err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return r
}

// poll returns the next batch that has a message.
func poll(t *testing.T, r driver.Reader, limit int) []driver.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		batch, err := r.Poll(ctx, limit)
		if err != nil {
			t.Fatalf("poll: %v", err)
		}
		if len(batch) > limit {
			t.Fatalf("poll returned %d messages, limit %d", len(batch), limit)
		}
		if len(batch) > 0 {
			return batch
		}
	}
}

// drain polls and commits until n messages have come.
func drain(t *testing.T, r driver.Reader, n int) []driver.Message {
	t.Helper()
	var all []driver.Message
	for len(all) < n {
		all = append(all, poll(t, r, 100)...)
		commit(t, r)
	}
	return all
}

// nothing checks that an idle poll brings no message.
func nothing(t *testing.T, r driver.Reader) {
	t.Helper()
	batch, err := r.Poll(t.Context(), 100)
	if err != nil || len(batch) != 0 {
		t.Fatalf("poll returned %v, %v; wanted nothing", ids(batch), err)
	}
}

func commit(t *testing.T, r driver.Reader) {
	t.Helper()
	if err := r.Commit(t.Context()); err != nil {
		t.Fatalf("commit: %v", err)
	}
}

func ids(msgs []driver.Message) []string {
	out := make([]string, len(msgs))
	for i, m := range msgs {
		out[i] = m.ID
	}
	return out
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("%s (-want +got):\n%s", what, d)
	}
}

func must(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}
