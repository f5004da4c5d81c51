package sqldb

import (
	"context"
	"database/sql"
	"fmt"
	"sync"

	"penstock/engine/groupcommit"
)

// file is a SQLite file that this process owns. Its closures run one at a time, so their slots need no lock.
type file struct {
	db    *groupcommit.DB
	alone stripes
}

// OpenFile opens or creates the SQLite file at path. Only one process may have it open.
func OpenFile(ctx context.Context, path string, schema Schema, o groupcommit.Options) (Store, error) {
	db, err := groupcommit.Open(ctx, path, schema.SQLite, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", schema.Name, err)
	}
	return &file{db: db}, nil
}

func (s *file) Do(ctx context.Context, _ int, f func(Tx) error) error {
	return s.db.Do(ctx, func(tx *groupcommit.Tx) error { return f(fileTx{tx}) })
}

func (s *file) Alone(_ context.Context, slot int, f func(held func() error) error) error {
	defer s.alone.lock(slot)()
	return f(func() error { return nil })
}

func (s *file) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return s.db.R().QueryContext(ctx, query, args...)
}

func (s *file) Scan(ctx context.Context, query string, args []any, dest ...any) error {
	return s.db.R().QueryRowContext(ctx, query, args...).Scan(dest...)
}

func (s *file) Shared() bool { return false }

func (s *file) Close() error { return s.db.Close() }

// fileTx adds what SQLite says in its own words.
type fileTx struct{ *groupcommit.Tx }

func (t fileTx) Locking(query string) string { return query }

func (t fileTx) Insert(query string, args ...any) (bool, error) {
	n, err := t.Exec(query+` ON CONFLICT DO NOTHING`, args...)
	return n == 1, err
}

// stripes are the locks of a process, each for some of the slots.
type stripes [64]sync.Mutex

// lock returns what unlocks.
func (s *stripes) lock(slot int) func() {
	m := &s[slot%len(s)]
	m.Lock()
	return m.Unlock
}
