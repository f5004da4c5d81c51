package payment

import (
	"context"
	"database/sql"
	"fmt"
	"sync"

	"penstock/internal/ident"
	"penstock/order/payment/groupcommit"
)

// sqliteStore is a file that this process owns. Its closures run one at a time, so their slots need no lock.
type sqliteStore struct {
	db    *groupcommit.DB
	alone stripes
}

// OpenSQLite opens or creates the file at path. Only one process may have it open.
func OpenSQLite(ctx context.Context, path string, o groupcommit.Options) (Store, error) {
	db, err := groupcommit.Open(ctx, path, migrations, o)
	if err != nil {
		return nil, fmt.Errorf("payments: %w", err)
	}
	return &sqliteStore{db: db}, nil
}

func (s *sqliteStore) Do(ctx context.Context, _ ident.ID, f func(Tx) error) error {
	return s.db.Do(ctx, func(tx *groupcommit.Tx) error { return f(sqliteTx{tx}) })
}

func (s *sqliteStore) Alone(_ context.Context, id ident.ID, f func(held func() error) error) error {
	defer s.alone.lock(id)()
	return f(func() error { return nil })
}

func (s *sqliteStore) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return s.db.R().QueryContext(ctx, query, args...)
}

func (s *sqliteStore) Scan(ctx context.Context, query string, args []any, dest ...any) error {
	return s.db.R().QueryRowContext(ctx, query, args...).Scan(dest...)
}

func (s *sqliteStore) Shared() bool { return false }

func (s *sqliteStore) Close() error { return s.db.Close() }

// sqliteTx adds what SQLite says in its own words.
type sqliteTx struct{ *groupcommit.Tx }

func (t sqliteTx) Insert(query string, args ...any) (bool, error) {
	n, err := t.Exec(query+` ON CONFLICT DO NOTHING`, args...)
	return n == 1, err
}

// stripes are the locks of a process; an id's is chosen by its slot.
type stripes [64]sync.Mutex

// lock returns what unlocks.
func (s *stripes) lock(id ident.ID) func() {
	m := &s[id.Slot()%len(s)]
	m.Lock()
	return m.Unlock
}
