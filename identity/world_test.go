package identity_test

import (
	"context"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"penstock/engine/groupcommit"
	"penstock/engine/mysql"
	"penstock/engine/sqldb"
	"penstock/errs"
	"penstock/identity"
	"penstock/internal/clock"
	"penstock/internal/engines"
)

const password = "correct horse battery"

var (
	start = time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC)
	cheap = identity.Cost{MemoryKiB: 8, Passes: 1, Lanes: 1}
)

// engine is a database under the room: open opens it once more, as another process would where it is shared.
type engine struct {
	place func(t testing.TB) string
	open  func(t testing.TB, where string) identity.Store
}

var onSQLite = engine{
	place: func(t testing.TB) string { return filepath.Join(t.TempDir(), "identity.db") },
	open: func(t testing.TB, where string) identity.Store {
		t.Helper()
		s, err := identity.OpenSQLite(t.Context(), where, groupcommit.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	},
}

func onMySQL(server *engines.Server) engine {
	return engine{
		place: func(t testing.TB) string { return server.Database(t) },
		open: func(t testing.TB, where string) identity.Store {
			t.Helper()
			c, err := mysql.Parse(where)
			if err != nil {
				t.Fatal(err)
			}
			db, err := mysql.Open(t.Context(), c, mysql.Options{Pool: 6})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { db.Close() })
			s, err := identity.OpenMySQL(t.Context(), db, sqldb.Options{})
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
	}
}

// world is one room with a clock that stands, and what the trail was told.
type world struct {
	*identity.People
	t     testing.TB
	clock *clock.Fake
	mu    sync.Mutex
	acts  []identity.Act
}

func (w *world) audit(_ context.Context, a identity.Act) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acts = append(w.acts, a)
	return nil
}

func (w *world) told(act string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.acts {
		if a.Act == act {
			n++
		}
	}
	return n
}

func open(t testing.TB, db identity.Store, o identity.Options) *identity.People {
	t.Helper()
	vault, err := identity.NewVault([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	o.Cost = cheap
	p, err := identity.New(t.Context(), db, vault, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// newWorld has alice, an operator.
func newWorld(t testing.TB, e engine) *world {
	t.Helper()
	w := &world{t: t, clock: clock.NewFake(start)}
	w.People = open(t, e.open(t, e.place(t)), identity.Options{Clock: w.clock, Audit: w.audit})
	if _, err := w.Create(t.Context(), "test", identity.User{Name: "alice", Role: identity.Operator}, password); err != nil {
		t.Fatal(err)
	}
	return w
}

func from(address string) identity.From {
	return identity.From{Address: netip.MustParseAddr(address), Agent: "test"}
}

// in logs in and must succeed.
func (w *world) in(f identity.From, name string) identity.Login {
	w.t.Helper()
	l, err := w.Login(w.t.Context(), f, name, password)
	if err != nil {
		w.t.Fatalf("login of %s: %v", name, err)
	}
	return l
}

// wants fails unless err carries the code ("" means no error).
func (w *world) wants(err error, code errs.Code) {
	w.t.Helper()
	if errs.CodeOf(err) != code {
		w.t.Fatalf("got %v, want %q", err, code)
	}
}

func (w *world) good(secret string) {
	w.t.Helper()
	if _, err := w.Check(w.t.Context(), secret); err != nil {
		w.t.Fatalf("the session is refused: %v", err)
	}
}

func (w *world) over(secret string) {
	w.t.Helper()
	w.clock.Advance(time.Second)
	w.wants(w.Refresh(w.t.Context()), "")
	_, err := w.Check(w.t.Context(), secret)
	w.wants(err, errs.Unauthenticated)
}

func (w *world) try(f identity.From, name, pass string) errs.Code {
	w.t.Helper()
	_, err := w.Login(w.t.Context(), f, name, pass)
	return errs.CodeOf(err)
}
