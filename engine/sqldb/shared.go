package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"penstock/engine/groupcommit"
	"penstock/engine/mysql"
	"penstock/errs"
	"penstock/internal/fault"
)

const (
	// reruns is how often a transaction is run again after a deadlock, a lock that was not got in time, or a row that another
	// process was first to write.
	reruns = 5
	// patience bounds one call with all its reruns; the engine bounds each statement.
	patience = 20 * time.Second
	// sessions is the most connections that Alone holds while its closures use others.
	sessions = 4
)

// Options tunes a store that several processes share. The zero value is good.
type Options struct {
	Logger *slog.Logger
	Fault  *fault.Points
	// Progress is called before each step of the migration that runs.
	Progress func(step, of int)
}

// shared is a MySQL database that several processes share. A transaction first locks the row of its slot, so that what it reads
// afterwards stays true until it commits; every process locks one such row, first, so nobody waits in a circle for them.
type shared struct {
	db     *mysql.DB
	o      Options
	locks  string // name of the table of locks
	alone  stripes
	spare  chan struct{}
	closed atomic.Bool
}

// OpenShared makes or migrates the tables of a schema in db, which may hold those of other schemas too. The caller closes db,
// after the store. db needs a pool of at least two connections.
func OpenShared(ctx context.Context, db *mysql.DB, schema Schema, o Options) (Store, error) {
	pool := db.Stats().MaxOpenConnections
	if pool == 1 {
		return nil, fmt.Errorf("%s: the pool of the database has 1 connection; at least 2 are needed, such as 20", schema.Name)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	locks := schema.Name + "_locks"
	if err := mysql.Migrate(ctx, db, schema.Name, schema.MySQL, o.Progress); err != nil {
		return nil, fmt.Errorf("%s: %w", schema.Name, err)
	}
	if err := mysql.Migrate(ctx, db, locks, lockTable(locks), o.Progress); err != nil {
		return nil, fmt.Errorf("%s: %w", locks, err)
	}
	spare := sessions
	if pool > 0 {
		spare = min(spare, pool/2)
	}
	return &shared{db: db, o: o, locks: locks, spare: make(chan struct{}, spare)}, nil
}

// lockTable makes the rows that stand for slots: those of Do, then those of Alone.
func lockTable(name string) []string {
	var rows strings.Builder
	for i := range 2 * Slots {
		fmt.Fprintf(&rows, ",(%d)", i)
	}
	return []string{"CREATE TABLE IF NOT EXISTS " + name + " (slot INT NOT NULL PRIMARY KEY) ENGINE=InnoDB;\n" +
		"INSERT INTO " + name + " (slot) VALUES " + rows.String()[1:] + " ON DUPLICATE KEY UPDATE slot=slot;\n"}
}

func (s *shared) Do(ctx context.Context, slot int, f func(Tx) error) error {
	if err := ctx.Err(); err != nil {
		return errs.Wrap(errs.ReducedCapacity, err, "the caller has gone; nothing was executed")
	}
	// From here on the outcome is awaited: a client that hangs up must not tear the work in two.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	for n := 1; ; n++ {
		err := s.once(ctx, slot, f)
		if err == nil || n > reruns || !mysql.Retry(err) && !mysql.Duplicate(err) {
			return s.coded(err)
		}
		s.o.Logger.Debug("a transaction runs again", "run", n, "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(rand.N(time.Duration(n) * 4 * time.Millisecond)): // so that those who met do not meet again
		}
	}
}

// once runs the transaction one time.
func (s *shared) once(ctx context.Context, slot int, f func(Tx) error) error {
	if s.closed.Load() {
		return errs.New(errs.ReducedCapacity, "the server is stopping; nothing was executed")
	}
	return mysql.Tx(ctx, s.db, func(tx *sql.Tx) error {
		t := sharedTx{ctx, tx, s.locks}
		if slot != NoLock {
			if err := t.lock(slot); err != nil {
				return err
			}
		}
		if err := f(t); err != nil {
			return err
		}
		if err := s.o.Fault.Hit(groupcommit.PointCommit); err != nil {
			return fmt.Errorf("%w: %w", mysql.ErrUnknown, err)
		}
		return nil
	})
}

// Alone holds the lock in a transaction of its own, which ends with the session: a process that dies frees it at once.
func (s *shared) Alone(ctx context.Context, slot int, f func(held func() error) error) error {
	defer s.alone.lock(slot)()
	select {
	case s.spare <- struct{}{}:
		defer func() { <-s.spare }()
	case <-ctx.Done():
		return errs.Wrap(errs.ReducedCapacity, ctx.Err(), "the database is busy; nothing was executed")
	}
	ran := false
	var result error
	err := mysql.Tx(context.WithoutCancel(ctx), s.db, func(tx *sql.Tx) error {
		t := sharedTx{context.WithoutCancel(ctx), tx, s.locks}
		if err := t.lock(Slots + slot); err != nil {
			return err
		}
		ran = true
		result = f(func() error { return s.coded(t.lock(Slots + slot)) })
		return nil
	})
	if ran {
		return result // the transaction wrote nothing: how it ended means nothing
	}
	return s.coded(err)
}

func (s *shared) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	return rows, s.coded(err)
}

func (s *shared) Scan(ctx context.Context, query string, args []any, dest ...any) error {
	return s.coded(s.db.QueryRowContext(ctx, query, args...).Scan(dest...))
}

func (s *shared) Shared() bool { return true }

// Close lets nothing begin any more. The connections are the caller's.
func (s *shared) Close() error {
	s.closed.Store(true)
	return nil
}

// coded says what an error of the engine means to the caller. It keeps errors that have a code, and [sql.ErrNoRows].
func (s *shared) coded(err error) error {
	if _, ok := errors.AsType[*errs.Error](err); ok || err == nil {
		return err
	}
	switch {
	case errors.Is(err, mysql.ErrUnknown):
		s.o.Logger.Error("commit was not answered", "error", err)
		return errs.Wrap(errs.Unknown, err, "the outcome is not known yet; ask again with the same key")
	case mysql.Unavailable(err), mysql.Lost(err), mysql.Retry(err), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return errs.Wrap(errs.ReducedCapacity, err, "the database is not available; nothing was executed")
	}
	return err
}

// sharedTx adds what MySQL says in its own words.
type sharedTx struct {
	ctx   context.Context
	tx    *sql.Tx
	locks string
}

// lock waits for the row that stands for a slot and keeps it until the transaction ends.
func (t sharedTx) lock(row int) error {
	var got int
	err := t.Scan("SELECT slot FROM "+t.locks+" WHERE slot=? FOR UPDATE", []any{row}, &got)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("table %s has no row %d: it was emptied; put rows 0 to %d back", t.locks, row, 2*Slots-1)
	}
	return err
}

func (t sharedTx) Locking(query string) string { return query + " FOR UPDATE" }

func (t sharedTx) Exec(query string, args ...any) (int64, error) {
	res, err := t.tx.ExecContext(t.ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (t sharedTx) Insert(query string, args ...any) (bool, error) {
	_, err := t.Exec(query, args...)
	if mysql.Duplicate(err) {
		return false, nil
	}
	return err == nil, err
}

func (t sharedTx) Query(query string, args ...any) (*sql.Rows, error) {
	return t.tx.QueryContext(t.ctx, query, args...)
}

func (t sharedTx) Scan(query string, args []any, dest ...any) error {
	return t.tx.QueryRowContext(t.ctx, query, args...).Scan(dest...)
}
