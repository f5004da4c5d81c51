package drivertest

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"

	"penstock/internal/ident"
	"penstock/order/driver"
	"penstock/order/shard"
)

// fill writes n orders of one user and returns them by id.
func (s *suite) fill(user string, n int) (changes []*driver.Change, want []driver.Order) {
	b := &driver.Batch{}
	for range n {
		c := s.change(user)
		b.Changes, changes, want = append(b.Changes, c), append(changes, c), append(want, s.want(c))
	}
	s.write(b)
	return changes, want
}

func (s *suite) owned() {
	_, want := s.fill(s.user, 5)
	c, _ := s.fill(s.user+" other", 1)
	slices.Reverse(want)
	for _, r := range []driver.Reader{s.db(&driver.Change{ID: want[0].ID}), s.db(&driver.Change{ID: want[0].ID}).Copy(s.ctx)} {
		got, err := r.Owned(s.ctx, want[0].Table, s.user, math.MaxInt64, 3)
		if d := cmp.Diff(want[:3], got); d != "" || err != nil {
			s.t.Errorf("first page: %v %s", err, d)
		}
		got, err = r.Owned(s.ctx, want[0].Table, s.user, want[2].ID, 3)
		if d := cmp.Diff(want[3:], got); d != "" || err != nil {
			s.t.Errorf("second page: %v %s", err, d)
		}
	}
	if got, err := s.db(c[0]).Owned(s.ctx, c[0].Table, s.user+" nobody", math.MaxInt64, 3); len(got) != 0 || err != nil {
		s.t.Errorf("nobody has %d orders, %v", len(got), err)
	}
}

func (s *suite) pages() {
	changes, want := s.fill(s.user, 7)
	db, table := s.db(changes[0]), changes[0].Table
	first, last := want[0].ID, want[6].ID
	got, err := db.Newest(s.ctx, last+1, 7)
	var ids []ident.ID
	for i := range want {
		ids = append(ids, want[6-i].ID)
	}
	if d := cmp.Diff(ids, got); d != "" || err != nil {
		s.t.Errorf("newest ids: %v %s", err, d)
	}
	high, err := db.Last(s.ctx)
	if err != nil || high.Orders[table] < last || high.Events < last {
		s.t.Errorf("the highest ids are %v, %v, at least %v was written: %v", high.Orders[table], high.Events, last, err)
	}
	count, err := db.Count(s.ctx)
	if err != nil || count[table] < 7 || count[(table+1)%shard.Tables] > count[table]+1000 {
		s.t.Errorf("table %d has %d orders: %v", table, count[table], err)
	}
	s.pageBy(db, table, first, want)
	var events []driver.OrderEvent
	for _, o := range want {
		for _, e := range o.Events {
			events = append(events, driver.OrderEvent{Order: o.ID, Event: e})
		}
	}
	var found []driver.OrderEvent
	for after, n := first-1, int64(math.MaxInt32); ; {
		some, err := db.Events(s.ctx, after, n, last, 5)
		if err != nil {
			s.t.Fatal(err)
		}
		found = append(found, some...)
		if len(some) < 5 {
			break
		}
		after, n = some[4].Order, some[4].N
	}
	if d := cmp.Diff(events, found); d != "" {
		s.t.Errorf("events: %s", d)
	}
}

func (s *suite) pageBy(db driver.Database, table int, first ident.ID, want []driver.Order) {
	for _, events := range []bool{false, true} {
		for _, r := range []driver.Reader{db, db.Copy(s.ctx)} {
			var got []driver.Order
			after := first - 1
			for n := 3; n == 3; {
				page, err := r.Page(s.ctx, driver.Page{Table: table, After: after, Last: want[5].ID, Limit: 3, Events: events})
				if err != nil {
					s.t.Fatal(err)
				}
				got, n = append(got, page...), len(page)
				if n > 0 {
					after = page[n-1].ID
				}
			}
			wanted := slices.Clone(want[:6])
			if !events {
				for i := range wanted {
					wanted[i].Events = nil
				}
			}
			if d := cmp.Diff(wanted, got); d != "" {
				s.t.Errorf("pages with events %v: %s", events, d)
			}
		}
	}
}

func (s *suite) put() {
	var all []driver.Order
	for i := range 20 {
		c := s.change(fmt.Sprintf("%s %d", s.user, i/10))
		if db, _ := s.s.Map().Route(c.ID.Slot()); len(all) > 0 && db != all[0].Shard {
			continue
		}
		o := s.want(c)
		if i%2 == 0 {
			o.State, o.Version, o.Refunded, o.Delivery = driver.Refunded, 4, 100, []byte(`{"to":"me"}`)
			o.Events = append(o.Events,
				driver.Event{N: 3, At: epoch.Add(time.Second), From: driver.PendingPayment, To: driver.Paid, Why: "paid"},
				driver.Event{N: 4, At: epoch.Add(time.Minute), From: driver.Paid, To: driver.Refunded, Why: "broken", Who: "op"})
		}
		all = append(all, o)
	}
	db := s.s.Database(all[0].Shard)
	if err := db.Put(s.ctx, all[:len(all)/2]); err != nil {
		s.t.Fatal(err)
	}
	all[0].Key = "another"
	if err := db.Put(s.ctx, all); err != nil { // half of them are there
		s.t.Fatal(err)
	}
	for i := range all {
		got, err := db.Get(s.ctx, all[i].Table, all[i].ID)
		if i == 0 && got != nil {
			all[0].Key = "k" + all[0].ID.String()
		}
		if d := cmp.Diff(&all[i], got); d != "" || err != nil {
			s.t.Errorf("order %d: %v %s", i, err, d)
		}
	}
}
