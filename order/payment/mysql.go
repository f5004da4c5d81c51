package payment

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"penstock/engine/mysql"
	"penstock/errs"
	"penstock/internal/fault"
	"penstock/internal/ident"
	"penstock/order/payment/groupcommit"
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

// MySQLOptions tunes a store on MySQL. The zero value is good.
type MySQLOptions struct {
	Logger *slog.Logger
	Fault  *fault.Points
	// Progress is called before each step of the migration that runs.
	Progress func(step, of int)
}

// mysqlStore is a database that several processes share. A transaction first locks the row of its slot, so that what it reads
// afterwards stays true until it commits; every process locks one such row, first, so nobody waits in a circle for them.
type mysqlStore struct {
	db     *mysql.DB
	o      MySQLOptions
	alone  stripes
	spare  chan struct{}
	closed atomic.Bool
}

// OpenMySQL makes or migrates the tables in db, which should be a database of their own. The caller closes db, after the
// store. db needs a pool of at least two connections.
func OpenMySQL(ctx context.Context, db *mysql.DB, o MySQLOptions) (Store, error) {
	pool := db.Stats().MaxOpenConnections
	if pool == 1 {
		return nil, errors.New("payments: the pool of the database has 1 connection; at least 2 are needed, such as 20")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if err := mysql.Migrate(ctx, db, "payments", mysqlMigrations(), o.Progress); err != nil {
		return nil, fmt.Errorf("payments: %w", err)
	}
	spare := sessions
	if pool > 0 {
		spare = min(spare, pool/2)
	}
	return &mysqlStore{db: db, o: o, spare: make(chan struct{}, spare)}, nil
}

func (s *mysqlStore) Do(ctx context.Context, id ident.ID, f func(Tx) error) error {
	if err := ctx.Err(); err != nil {
		return errs.Wrap(errs.ReducedCapacity, err, "the caller has gone; nothing was executed")
	}
	// From here on the outcome is awaited: a client that hangs up must not tear the work in two.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	for n := 1; ; n++ {
		err := s.once(ctx, id, f)
		if err == nil || n > reruns || !mysql.Retry(err) && !mysql.Duplicate(err) {
			return s.coded(err)
		}
		s.o.Logger.Debug("payment transaction runs again", "run", n, "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(rand.N(time.Duration(n) * 4 * time.Millisecond)): // so that those who met do not meet again
		}
	}
}

// once runs the transaction one time.
func (s *mysqlStore) once(ctx context.Context, id ident.ID, f func(Tx) error) error {
	if s.closed.Load() {
		return errs.New(errs.ReducedCapacity, "the server is stopping; nothing was executed")
	}
	return mysql.Tx(ctx, s.db, func(tx *sql.Tx) error {
		t := mysqlTx{ctx, tx}
		if id != 0 {
			if err := t.lock(id.Slot()); err != nil {
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
func (s *mysqlStore) Alone(ctx context.Context, id ident.ID, f func(held func() error) error) error {
	defer s.alone.lock(id)()
	select {
	case s.spare <- struct{}{}:
		defer func() { <-s.spare }()
	case <-ctx.Done():
		return errs.Wrap(errs.ReducedCapacity, ctx.Err(), "the database is busy; nothing was executed")
	}
	ran := false
	var result error
	err := mysql.Tx(context.WithoutCancel(ctx), s.db, func(tx *sql.Tx) error {
		t := mysqlTx{context.WithoutCancel(ctx), tx}
		if err := t.lock(ident.Slots + id.Slot()); err != nil {
			return err
		}
		ran = true
		result = f(func() error { return s.coded(t.lock(ident.Slots + id.Slot())) })
		return nil
	})
	if ran {
		return result // the transaction wrote nothing: how it ended means nothing
	}
	return s.coded(err)
}

func (s *mysqlStore) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	return rows, s.coded(err)
}

func (s *mysqlStore) Scan(ctx context.Context, query string, args []any, dest ...any) error {
	return s.coded(s.db.QueryRowContext(ctx, query, args...).Scan(dest...))
}

func (s *mysqlStore) Shared() bool { return true }

// Close lets nothing begin any more. The connections are the caller's.
func (s *mysqlStore) Close() error {
	s.closed.Store(true)
	return nil
}

// coded says what an error of the engine means to the caller. It keeps errors that have a code, and [sql.ErrNoRows].
func (s *mysqlStore) coded(err error) error {
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

// mysqlTx adds what MySQL says in its own words.
type mysqlTx struct {
	ctx context.Context
	tx  *sql.Tx
}

// lock waits for the row that stands for a slot and keeps it until the transaction ends.
func (t mysqlTx) lock(row int) error {
	var got int
	err := t.Scan(`SELECT slot FROM payment_locks WHERE slot=? FOR UPDATE`, []any{row}, &got)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("table payment_locks has no row %d: it was emptied; put rows 0 to %d back", row, 2*ident.Slots-1)
	}
	return err
}

func (t mysqlTx) Exec(query string, args ...any) (int64, error) {
	res, err := t.tx.ExecContext(t.ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (t mysqlTx) Insert(query string, args ...any) (bool, error) {
	_, err := t.Exec(query, args...)
	if mysql.Duplicate(err) {
		return false, nil
	}
	return err == nil, err
}

func (t mysqlTx) Query(query string, args ...any) (*sql.Rows, error) {
	return t.tx.QueryContext(t.ctx, query, args...)
}

func (t mysqlTx) Scan(query string, args []any, dest ...any) error {
	return t.tx.QueryRowContext(t.ctx, query, args...).Scan(dest...)
}
