// Package drivertest is the contract of cache/driver: every driver passes the same tests, on its real store.
package drivertest

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock/cache/driver"
)

const long = time.Minute

// Run runs the contract. open returns a driver as another process would have it: each time a new one over the same store. The
// keys used are fresh, so the store need not be empty.
func Run(t *testing.T, open func(testing.TB) driver.Driver) {
	for name, check := range map[string]func(*testing.T, bench){
		"what is filled is got until its time is over": fills,
		"one lease at a time":                          oneLease,
		"a lease lapses":                               lapse,
		"nothing is stored without the lease":          withoutLease,
		"a drop ends the lease":                        drops,
		"the own change is seen at once":               ownChange,
		"a change elsewhere is seen":                   elsewhere,
		"marks and epochs":                             marks,
		"many begin, one gets it":                      contention,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			t.Cleanup(cancel)
			check(t, bench{Driver: open(t), other: func() bench { return bench{Driver: open(t), t: t, ctx: ctx} }, t: t, ctx: ctx,
				key: fmt.Sprintf("drivertest:key:%d", time.Now().UnixNano())})
		})
	}
}

// bench is one test's driver and key.
type bench struct {
	driver.Driver
	other func() bench
	t     *testing.T
	ctx   context.Context
	key   string
}

func (b bench) get(want string) {
	b.t.Helper()
	got, err := b.Get(b.ctx, b.key)
	if err != nil || string(got) != want {
		b.t.Fatalf("got %q, %v, want %q", got, err, want)
	}
}

func (b bench) begin(token string, leased bool, value string) {
	b.t.Helper()
	ok, raw, err := b.Begin(b.ctx, b.key, token, long)
	if err != nil || ok != leased || string(raw) != value {
		b.t.Fatalf("begin: leased %v with value %q, %v, want %v with %q", ok, raw, err, leased, value)
	}
}

func (b bench) fill(token, value string, stored bool) {
	b.t.Helper()
	var raw []byte
	if value != "" {
		raw = []byte(value)
	}
	ok, err := b.Fill(b.ctx, b.key, token, raw, long)
	if err != nil || ok != stored {
		b.t.Fatalf("fill: stored %v, %v, want %v", ok, err, stored)
	}
}

func (b bench) drop() {
	b.t.Helper()
	if err := b.Drop(b.ctx, b.key); err != nil {
		b.t.Fatal(err)
	}
}

// until polls, because what is waited for is the store's doing.
func (b bench) until(what string, condition func() bool) {
	b.t.Helper()
	for !condition() {
		if b.ctx.Err() != nil {
			b.t.Fatalf("%s: not seen in time", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func fills(t *testing.T, b bench) {
	b.get("")
	b.begin("one", true, "")
	b.fill("one", "v\x00\xff", true)
	b.get("v\x00\xff")
	big := bytes.Repeat([]byte{7}, 1<<20)
	b.begin("two", true, "v\x00\xff")
	if ok, err := b.Fill(b.ctx, b.key, "two", big, 50*time.Millisecond); err != nil || !ok {
		t.Fatal(ok, err)
	}
	b.until("the end of its time", func() bool { v, err := b.Get(b.ctx, b.key); return err == nil && v == nil })
}

func oneLease(_ *testing.T, b bench) {
	b.begin("one", true, "")
	b.begin("two", false, "")
	b.fill("one", "v", true)
	b.begin("two", true, "v")
	b.begin("three", false, "v")
	b.fill("two", "", true)
	b.get("v")
	b.begin("three", true, "v")
}

func lapse(t *testing.T, b bench) {
	if ok, _, err := b.Begin(b.ctx, b.key, "one", 30*time.Millisecond); err != nil || !ok {
		t.Fatal(ok, err)
	}
	b.until("the end of the lease", func() bool { ok, _, err := b.Begin(b.ctx, b.key, "two", long); return err == nil && ok })
	b.fill("one", "late", false)
	b.get("")
}

func withoutLease(_ *testing.T, b bench) {
	b.fill("none", "v", false)
	b.begin("one", true, "")
	b.fill("two", "v", false)
	b.fill("two", "", false)
	b.get("")
	b.fill("one", "w", true)
	b.fill("one", "again", false)
	b.get("w")
}

func drops(_ *testing.T, b bench) {
	b.drop()
	b.begin("one", true, "")
	b.drop()
	b.fill("one", "old", false)
	b.get("")
	b.begin("two", true, "")
	b.fill("two", "v", true)
	b.drop()
	b.get("")
}

// ownChange looks right after each change, many times: a copy near by must not be late.
func ownChange(_ *testing.T, b bench) {
	for i := range 500 {
		token, value := fmt.Sprint("t", i), fmt.Sprint("v", i)
		b.get("")
		b.begin(token, true, "")
		b.fill(token, value, true)
		b.get(value)
		b.drop()
	}
}

func elsewhere(_ *testing.T, b bench) {
	there := b.other()
	there.key = b.key
	for i := range 20 {
		token, value := fmt.Sprint("t", i), fmt.Sprint("v", i)
		there.begin(token, true, "")
		there.fill(token, value, true)
		b.until("the value", func() bool { v, err := b.Get(b.ctx, b.key); return err == nil && string(v) == value })
		there.drop()
		b.until("the drop", func() bool { v, err := b.Get(b.ctx, b.key); return err == nil && v == nil })
	}
}

func marks(t *testing.T, b bench) {
	look := func(id string, want bool) string {
		t.Helper()
		marked, epoch, err := b.Marked(b.ctx, b.key, id)
		if err != nil || marked != want || epoch == "" {
			t.Fatalf("%s: marked %v in epoch %q, %v, want %v", id, marked, epoch, err, want)
		}
		return epoch
	}
	epoch := look("1", false)
	if err := b.Mark(b.ctx, b.key, "1", long); err != nil {
		t.Fatal(err)
	}
	if err := b.Mark(b.ctx, b.key, "2", 30*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if again := look("1", true); again != epoch {
		t.Errorf("epoch %q after %q", again, epoch)
	}
	look("3", false)
	b.until("the end of a mark", func() bool { marked, _, err := b.Marked(b.ctx, b.key, "2"); return err == nil && !marked })
	if marked, other, err := b.Marked(b.ctx, b.key+"x", "1"); err != nil || marked || other == epoch {
		t.Errorf("another space: marked %v, epoch %q, %v", marked, other, err)
	}
}

func contention(t *testing.T, b bench) {
	for range 10 {
		var leased atomic.Int32
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				token := fmt.Sprint("t", i)
				ok, _, err := b.Begin(b.ctx, b.key, token, long)
				if err != nil {
					t.Error(err)
				}
				if ok {
					leased.Add(1)
				}
			})
		}
		all.Wait()
		if leased.Load() != 1 {
			t.Errorf("%d leases, want 1", leased.Load())
		}
		b.drop()
	}
}
