package order

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"penstock/bus"
	"penstock/errs"
	"penstock/internal/ident"
	store "penstock/order/driver"
	"penstock/order/shard"
)

// lame is a store one of whose databases keeps whoever writes it, or fails whoever reads it.
type lame struct {
	store.Store
	number int
	gate   chan struct{} // writes wait until it is closed; nil lets them through
	gone   error         // what reads say
}

func (l *lame) Database(i int) store.Database {
	db := l.Store.Database(i)
	if i != l.number {
		return db
	}
	return lameDB{db, l}
}

type lameDB struct {
	store.Database
	l *lame
}

func (d lameDB) Write(ctx context.Context, b *store.Batch) error {
	if d.l.gate != nil {
		<-d.l.gate
	}
	return d.Database.Write(ctx, b)
}

func (d lameDB) Copy(context.Context) store.Reader { return lameReader{d.Database, d.l} }

func (d lameDB) Owned(ctx context.Context, table int, user string, before ident.ID, limit int) ([]store.Order, error) {
	if d.l.gone != nil {
		return nil, d.l.gone
	}
	return d.Database.Owned(ctx, table, user, before, limit)
}

func (d lameDB) Get(ctx context.Context, table int, id ident.ID) (*store.Order, error) {
	if d.l.gone != nil {
		return nil, d.l.gone
	}
	return d.Database.Get(ctx, table, id)
}

type lameReader struct {
	store.Reader
	l *lame
}

func (r lameReader) Newest(ctx context.Context, before ident.ID, limit int) ([]ident.ID, error) {
	if r.l.gone != nil {
		return nil, r.l.gone
	}
	return r.Reader.Newest(ctx, before, limit)
}

func (r lameReader) Last(ctx context.Context) (store.Last, error) {
	if r.l.gone != nil {
		return store.Last{}, r.l.gone
	}
	return r.Reader.Last(ctx)
}

// setupLame returns orders whose database 3 is lame, with messages for all databases.
func setupLame(t *testing.T, opt Options) (*bundle, *lame) {
	files := setup(t, Options{})
	b := newBundle(t)
	l := &lame{Store: files.store, number: 3}
	b.on(l, opt)
	for i := range 200 {
		b.claims.win(fmt.Sprintf("u%d", i))
	}
	return b, l
}

// A database that answers nothing costs its own messages and nobody else's; they wait for it only once, and when it answers
// again, delivering them again has their effect once.
func TestStuckDatabaseCostsOnlyItsOwn(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	created := 0
	b, l := setupLame(t, Options{Patience: 100 * time.Millisecond, Hooks: Hooks{Created: func(int64, string) { mu.Lock(); created++; mu.Unlock() }}})
	l.gate = make(chan struct{})
	open := sync.OnceFunc(func() { close(l.gate) })
	t.Cleanup(open)
	msgs := b.claims.messages()
	var kept []int64
	for range 3 {
		b.until(func() bool { // a machine that is busy may keep the others too, for a while
			late := 0
			for i, err := range b.Handle(t.Context(), msgs) {
				stuck := isIn(b, msgs[i].User, 3)
				if stuck && (!errors.Is(err, bus.ErrUnavailable) || !errs.Is(err, errs.Unknown)) {
					t.Fatalf("message %d of the stuck database: %v", i, err)
				}
				if !stuck && err != nil {
					late++
				}
			}
			return late == 0
		})
		kept = append(kept, b.InFlight())
	}
	if kept[0] == 0 || kept[1] != kept[0] || kept[2] != kept[0] {
		t.Errorf("the stuck database keeps %v orders after each round", kept)
	}
	open()
	b.until(func() bool { return b.InFlight() == 0 && errors.Join(b.Handle(t.Context(), msgs)...) == nil })
	if all, _, err := b.List(t.Context(), "", "", 500); err != nil || len(all) != 200 || created != 200 {
		t.Errorf("%d of 200 orders, %d counted: %v", len(all), created, err)
	}
}

// An order whose database does not answer is no mistake of ours: the buyer is told to try again, and nothing is begun.
func TestOrderOfMissingDatabase(t *testing.T) {
	t.Parallel()
	b, l := setupLame(t, Options{})
	b.handle(b.claims.messages()...)
	all, _, err := b.List(t.Context(), "", "", 500)
	if err != nil {
		t.Fatal(err)
	}
	l.gone = errors.New("connection refused")
	for _, o := range all {
		if o.Shard != l.number {
			continue
		}
		_, err := b.Get(t.Context(), o.User, o.ID)
		if m, ok := errors.AsType[*Missing](err); !ok || !slices.Equal(m.Shards, []int{l.number}) || !errs.Is(err, errs.ReducedCapacity) {
			t.Fatalf("get: %v", err)
		}
		if _, _, err := b.List(t.Context(), o.User, "", 5); !errs.Is(err, errs.ReducedCapacity) {
			t.Fatalf("list: %v", err)
		}
		if _, err = b.Cancel(t.Context(), o.User, o.ID, o.User, "", ""); !errs.Is(err, errs.ReducedCapacity) {
			t.Fatalf("cancel: %v", err)
		}
		return
	}
	t.Fatal("no order is in that database")
}

// A list that lacks a database says which, page by page, and still has everything else once; an export says so before its first
// line.
func TestMissingDatabaseIsNamed(t *testing.T) {
	t.Parallel()
	b, l := setupLame(t, Options{})
	b.handle(b.claims.messages()...)
	all, _, err := b.List(t.Context(), "", "", 500)
	if err != nil {
		t.Fatal(err)
	}
	l.gone = errors.New("connection refused")
	var want, got []ident.ID
	for _, o := range all {
		if o.Shard != 3 {
			want = append(want, o.ID)
		}
	}
	for cursor, more := "", true; more; more = cursor != "" {
		page, next, err := b.List(t.Context(), "", cursor, 7)
		m, ok := errors.AsType[*Missing](err)
		if !ok || !slices.Equal(m.Shards, []int{3}) || !errs.Is(err, errs.ReducedCapacity) || !errors.Is(err, l.gone) {
			t.Fatalf("a page without database 3: %v", err)
		}
		for _, o := range page {
			got = append(got, o.ID)
		}
		cursor = next
	}
	if !slices.Equal(got, want) || len(got) == len(all) {
		t.Errorf("%d orders of the %d that are elsewhere", len(got), len(want))
	}
	for name, export := range map[string]func(context.Context, *bytes.Buffer) error{
		"orders": func(ctx context.Context, w *bytes.Buffer) error { return b.ExportOrders(ctx, w) },
		"events": func(ctx context.Context, w *bytes.Buffer) error { return b.ExportEvents(ctx, w) },
	} {
		var out bytes.Buffer
		if m, ok := errors.AsType[*Missing](export(t.Context(), &out)); !ok || !slices.Equal(m.Shards, []int{3}) || out.Len() != 0 {
			t.Errorf("export of %s: %v after %d bytes", name, m, out.Len())
		}
	}
	l.gone = nil
	if page, _, err := b.List(t.Context(), "", "", 500); err != nil || len(page) != len(all) {
		t.Errorf("%d orders, %v", len(page), err)
	}
}

// Copying a store has every order with every event, says how far it is, may be repeated, and tells when the copy is not the same.
func TestImport(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b := setup(t, Options{})
	for i := range 150 {
		b.claims.win(fmt.Sprintf("u%d", i%40))
	}
	b.handle(b.claims.messages()...)
	for i, m := range b.claims.messages() {
		id, _ := ident.Parse(m.Key)
		if i%3 == 0 {
			if _, err := b.claims.sell(id); err != nil {
				t.Fatal(err)
			}
			b.handle(b.claims.messages()[150+i/3])
			if _, err := b.AddRefund(ctx, id, Refund{Amount: int64(i) * 500, Why: "broken"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	to := setup(t, Options{})
	var last Progress
	for range 2 {
		sum, err := Import(ctx, to.store, b.store, func(p Progress) { last = p })
		if err != nil || sum.Orders != 150 || sum.Events < 300 || last.Orders != 150 || last.Databases != shard.Databases {
			t.Fatalf("%+v, %+v, %v", sum, last, err)
		}
	}
	var x, y bytes.Buffer
	if err := errors.Join(b.ExportEvents(ctx, &x), to.ExportEvents(ctx, &y)); err != nil || x.String() != y.String() {
		t.Errorf("the events differ: %v", err)
	}
	id := b.firstID()
	db, table := b.route(id)
	if _, err := to.files.DB(db).W.Exec(fmt.Sprintf("UPDATE %s SET amount = amount + 1 WHERE id = %d", shard.TableName(db, table), id)); err != nil {
		t.Fatal(err)
	}
	if _, err := Import(ctx, to.store, b.store, nil); err == nil || !errors.Is(err, ErrDiffers) {
		t.Errorf("an amount differs: %v", err)
	}
	if n, err := Verify(ctx, b.store, func(m Misplaced) { t.Errorf("%+v", m) }); n != 150 || err != nil {
		t.Errorf("looked at %d orders: %v", n, err)
	}
	if _, err := to.files.DB(db).W.Exec(fmt.Sprintf("INSERT INTO %s SELECT * FROM %s WHERE id = %d", shard.TableName(db, (table+1)%shard.Tables),
		shard.TableName(db, table), id)); err != nil {
		t.Fatal(err)
	}
	var found []Misplaced
	if n, err := Verify(ctx, to.store, func(m Misplaced) { found = append(found, m) }); n != 151 || err != nil {
		t.Errorf("looked at %d orders: %v", n, err)
	}
	if want := (Misplaced{id, db, (table + 1) % shard.Tables, db, table}); len(found) != 1 || found[0] != want {
		t.Errorf("an order that is in two tables: %+v", found)
	}
}
