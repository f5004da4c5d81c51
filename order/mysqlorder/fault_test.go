package mysqlorder_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"penstock/bus"
	"penstock/errs"
	"penstock/internal/engines"
	"penstock/internal/faultproxy"
	"penstock/internal/ident"
	"penstock/order"
	"penstock/order/mysqlorder"
)

// eventually retries a condition, for at most half a minute.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-ctx.Done():
			t.Fatalf("it never happened that %s", what)
		case <-tick.C:
		}
	}
}

// Half of the databases are on a server that is away: their messages are set aside, the others' are written, lists and exports
// name what is missing; and a commit whose answer is lost is unknown until the messages come again, when it is had once.
func TestServerAway(t *testing.T) {
	t.Parallel()
	srv := engines.MariaDB(t)
	base := srv.Database(t)
	proxy := faultproxy.New(t, srv.Addr())
	config, err := mysqlorder.Parse(base + "," + strings.Replace(base, srv.Addr(), proxy.Addr(), 1))
	if err != nil {
		t.Fatal(err)
	}
	store, err := mysqlorder.Open(t.Context(), config, mysqlorder.Options{Reply: 2 * time.Second, LockWait: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	orders, err := order.New(store, nil, order.Options{Patience: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(orders.Stop)
	msgs := held(ident.NewGenerator(1, 0), 300)
	away := func(i int) bool {
		db, _ := orders.Map().Route(ident.SlotOf(msgs[i].User))
		return db >= 4
	}
	for name, spoil := range map[string]func(){"refused": proxy.Refuse, "black hole": proxy.BlackHole, "replies lost": proxy.DropReplies} {
		spoil()
		for i, err := range orders.Handle(t.Context(), msgs) {
			if gone := away(i); gone != errors.Is(err, bus.ErrUnavailable) || gone != errs.Is(err, errs.Unknown) || !gone && err != nil {
				t.Fatalf("%s: message %d (away: %v): %v", name, i, gone, err)
			}
		}
	}
	proxy.Refuse()
	page, _, err := orders.List(t.Context(), "", "", 500)
	if m, ok := errors.AsType[*order.Missing](err); !ok || !slices.Equal(m.Shards, []int{4, 5, 6, 7}) || len(page) == 0 {
		t.Errorf("a list of %d orders: %v", len(page), err)
	}
	var out bytes.Buffer
	if m, ok := errors.AsType[*order.Missing](orders.ExportOrders(t.Context(), &out)); !ok || out.Len() != 0 || len(m.Shards) != 4 {
		t.Errorf("an export of %d bytes: %v", out.Len(), m)
	}
	proxy.Pass()
	eventually(t, "all messages are handled", func() bool { return errors.Join(orders.Handle(t.Context(), msgs)...) == nil })
	if page, _, err = orders.List(t.Context(), "", "", 500); err != nil || len(page) != 300 {
		t.Errorf("%d of 300 orders: %v", len(page), err)
	}
}

// A page or an export may come from a replica, and is never older than its call: a replica that stands still is left out, taken
// back when it has caught up, and one that is killed costs nothing but its share.
func TestReplica(t *testing.T) {
	t.Parallel()
	srv := engines.MariaDB(t)
	url := srv.Database(t)
	second := engines.MariaDBReplica(t, srv)
	log := &replicaLog{}
	config, err := mysqlorder.Parse(url + "?replica=" + second.Addr())
	if err != nil {
		t.Fatal(err)
	}
	store, err := mysqlorder.Open(t.Context(), config, mysqlorder.Options{Logger: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	orders, err := order.New(store, nil, order.Options{Patience: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(orders.Stop)
	gen := ident.NewGenerator(1, 0)
	total := 0
	// write adds orders and looks for them at once, by id, in the list and in the export.
	write := func() {
		t.Helper()
		msgs := held(gen, 40)
		if err := errors.Join(orders.Handle(t.Context(), msgs)...); err != nil {
			t.Fatal(err)
		}
		total += len(msgs)
		page, _, err := orders.List(t.Context(), "", "", 40)
		if err != nil || len(page) != 40 {
			t.Fatalf("a page of %d orders: %v", len(page), err)
		}
		for _, m := range msgs {
			id, _ := ident.Parse(m.Key)
			if !slices.ContainsFunc(page, func(o order.Order) bool { return o.ID == id }) {
				t.Fatalf("order %s is not in the list after it was written", id)
			}
			if _, err := orders.Get(t.Context(), m.User, id); err != nil {
				t.Fatal(err)
			}
		}
		var out bytes.Buffer
		if err := orders.ExportOrders(t.Context(), &out); err != nil || bytes.Count(out.Bytes(), []byte("\n")) != total {
			t.Fatalf("an export of %d lines of %d: %v", bytes.Count(out.Bytes(), []byte("\n")), total, err)
		}
	}
	selects := func() string { return status(t, second, "Com_select") }
	eventually(t, "a list is read from the replica", func() bool { before := selects(); write(); return selects() != before })
	statement(t, second, "STOP SLAVE SQL_THREAD")
	write()
	if !log.has("left out") {
		t.Errorf("a replica that stands still was read: %s", log)
	}
	statement(t, second, "START SLAVE SQL_THREAD")
	eventually(t, "the replica is taken back", func() bool { write(); return log.has("read again") })
	log.clear()
	second.Kill(t)
	write()
	if !log.has("left out") {
		t.Errorf("a replica that is gone was read: %s", log)
	}
	second.Start(t)
	eventually(t, "the replica is taken back after its restart", func() bool { write(); return log.has("read again") })
}
