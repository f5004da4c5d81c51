package drivertest

import (
	"context"
	"errors"
	"testing"

	"penstock/bus/driver"
)

func earliest(t *testing.T, h Harness) {
	h.Publish(msg("ann", 1), msg("ann", 2))
	drain(t, h.subscribe(t, "first"), 2)
	h.Publish(msg("ann", 3))
	same(t, "what a later group gets", ids(drain(t, h.subscribe(t, "second"), 3)), []string{"ann-1", "ann-2", "ann-3"})
}

func ordered(t *testing.T, h Harness) {
	users := []string{"ann", "bob", "cid", "dee", "eve"}
	const each = 20
	for n := 1; n <= each; n++ {
		for _, u := range users {
			h.Publish(msg(u, n))
		}
	}
	perUser, last := map[string]int{}, map[int]uint64{}
	for _, m := range drain(t, h.subscribe(t, "g"), each*len(users)) {
		perUser[m.User]++
		if want := msg(m.User, perUser[m.User]); m.ID != want.ID || string(m.Payload) != string(want.Payload) || m.Key != want.Key ||
			m.Type != want.Type || !m.At.Equal(want.At) || m.Headers["traceparent"] != want.Headers["traceparent"] {
			t.Fatalf("message %d of %s came as %+v", perUser[m.User], m.User, m)
		}
		if m.Topic != h.Topic || m.Partition != h.Driver.Partition(h.Topic, m.User) {
			t.Fatalf("%s came from %s/%d, wanted %s/%d", m.ID, m.Topic, m.Partition, h.Topic, h.Driver.Partition(h.Topic, m.User))
		}
		if before, seen := last[m.Partition]; seen && m.Offset <= before {
			t.Fatalf("offset %d after %d in partition %d", m.Offset, before, m.Partition)
		}
		last[m.Partition] = m.Offset
	}
}

func repeats(t *testing.T, h Harness) {
	h.Publish(msg("ann", 1), msg("ann", 2), msg("ann", 3))
	r := h.subscribe(t, "g")
	first := poll(t, r, 2)
	h.Publish(msg("ann", 4))
	again := poll(t, r, 2)
	same(t, "the repeated batch", again, first)
	same(t, "the repeated batch, shortened", ids(poll(t, r, 1)), ids(first[:1]))
	commit(t, r)
	same(t, "what follows", ids(poll(t, r, 1)), []string{"ann-2"})
}

func uncommitted(t *testing.T, h Harness) {
	h.Publish(msg("ann", 1), msg("ann", 2))
	r := h.subscribe(t, "g")
	poll(t, r, 1)
	commit(t, r)
	same(t, "before the close", ids(poll(t, r, 10)), []string{"ann-2"})
	must(t, "close", r.Close())
	same(t, "after the close", ids(poll(t, h.subscribe(t, "g"), 10)), []string{"ann-2"})
}

func committed(t *testing.T, h Harness) {
	h.Publish(msg("ann", 1), msg("bob", 1))
	r := h.subscribe(t, "g")
	drain(t, r, 2)
	nothing(t, r)
	must(t, "close", r.Close())
	must(t, "second close", r.Close())
	h.Publish(msg("ann", 2))
	same(t, "after everything was committed", ids(drain(t, h.subscribe(t, "g"), 1)), []string{"ann-2"})
}

func groups(t *testing.T, h Harness) {
	h.Publish(msg("ann", 1))
	one, two := h.subscribe(t, "one"), h.subscribe(t, "two")
	drain(t, one, 1)
	same(t, "what the other group gets", ids(drain(t, two, 1)), []string{"ann-1"})
}

func ends(t *testing.T, h Harness) {
	r := h.subscribe(t, "g")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Poll(ctx, 10); !errors.Is(err, context.Canceled) {
		t.Fatalf("poll under an ended context returned %v", err)
	}
	h.Publish(msg("ann", 1))
	same(t, "after a poll that was cut off", ids(drain(t, r, 1)), []string{"ann-1"})
}

func waits(t *testing.T, h Harness) {
	r := h.subscribe(t, "g")
	got := make(chan []driver.Message)
	go func() {
		defer close(got)
		for t.Context().Err() == nil {
			batch, err := r.Poll(t.Context(), 10)
			if err != nil {
				t.Errorf("poll: %v", err)
				return
			}
			if len(batch) > 0 {
				got <- batch
				return
			}
		}
	}()
	h.Publish(msg("ann", 1))
	same(t, "what came", ids(<-got), []string{"ann-1"})
}

func fenced(t *testing.T, h Harness) {
	h.Publish(msg("ann", 1), msg("ann", 2))
	slow := h.subscribe(t, "g")
	same(t, "the slow member's batch", ids(poll(t, slow, 1)), []string{"ann-1"})
	h.Expire()
	next := h.subscribe(t, "g")
	same(t, "the successor's batch", ids(poll(t, next, 1)), []string{"ann-1"})
	if err := slow.Commit(t.Context()); err == nil {
		t.Fatal("a member committed a batch whose lease it had lost")
	}
	if m := msg("ann", 1); slow.Owns(m) {
		t.Fatal("a member that lost its lease says that it owns the message")
	}
	commit(t, next)
	same(t, "the successor goes on", ids(poll(t, next, 1)), []string{"ann-2"})
}

func standby(t *testing.T, h Harness) {
	h.Publish(msg("ann", 1))
	holder := h.subscribe(t, "g")
	batch := poll(t, holder, 10)
	other := h.subscribe(t, "g")
	nothing(t, other)
	if !holder.Owns(batch[0]) || other.Owns(batch[0]) {
		t.Fatalf("owners of %s: holder %v, other %v", batch[0].ID, holder.Owns(batch[0]), other.Owns(batch[0]))
	}
	commit(t, holder)
	must(t, "close", holder.Close())
	h.Publish(msg("ann", 2))
	same(t, "after the holder closed", ids(drain(t, other, 1)), []string{"ann-2"})
}

func lag(t *testing.T, h Harness) {
	r := h.subscribe(t, "g")
	read := func() int64 {
		t.Helper()
		n, err := r.Lag(t.Context())
		must(t, "lag", err)
		return n
	}
	nothing(t, r)
	same(t, "lag of an empty topic", read(), int64(0))
	h.Publish(msg("ann", 1), msg("ann", 2))
	if n := read(); n < 2 {
		t.Fatalf("lag is %d with two messages published", n)
	}
	poll(t, r, 10)
	if n := read(); n < 2 {
		t.Fatalf("lag is %d with two messages in flight", n)
	}
	commit(t, r)
	nothing(t, r)
	same(t, "lag when all is committed", read(), int64(0))
}
