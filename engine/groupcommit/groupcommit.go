// Package groupcommit runs many small write transactions of one SQLite file as few durable ones.
//
// Callers hand in closures; while one commit is being synced the next ones gather, and all that gathered become one
// transaction. [DB.Do] returns nil only after the commit that holds its closure is durable. Closures run one at a time, in
// order of call, so that a closure may read and then write without any other lock. A failed closure costs nobody else: the
// batch is rolled back and each closure runs again in a transaction of its own.
//
// After a commit that failed nobody knows what the disk holds. The callers of that batch are told so, and nothing is answered
// from that handle again: the file is opened again and checkpointed first. Readers go on with what was committed before.
package groupcommit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"

	"penstock/engine/sqlite"
	"penstock/errs"
	"penstock/internal/fault"
)

// PointCommit is the fault point passed before every commit.
const PointCommit = "groupcommit.commit"

// Options tunes a DB. The zero value is good.
type Options struct {
	// Max is the number of closures in one transaction; 0 means 256.
	Max    int
	SQLite sqlite.Options
	Logger *slog.Logger
	Fault  *fault.Points
}

// DB is one open file with its committer. All methods are safe for concurrent use.
type DB struct {
	path       string
	migrations []string
	o          Options

	cur atomic.Pointer[sqlite.DB]
	// tx belongs to the committer; nil while the file is being opened again.
	tx *Tx

	mu     sync.RWMutex
	closed bool
	queue  chan *job
	done   chan struct{}
}

type job struct {
	f    func(*Tx) error
	done chan error
}

// Open opens or creates the file, applies the migrations (see [sqlite.Open]) and starts the committer.
func Open(ctx context.Context, path string, migrations []string, o Options) (*DB, error) {
	if o.Max == 0 {
		o.Max = 256
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	d := &DB{path: path, migrations: migrations, o: o, queue: make(chan *job, o.Max), done: make(chan struct{})}
	if err := d.open(ctx); err != nil {
		return nil, err
	}
	go d.run()
	return d, nil
}

func (d *DB) open(ctx context.Context) error {
	db, err := sqlite.Open(ctx, d.path, d.migrations, d.o.SQLite)
	if err != nil {
		return err
	}
	if err := db.Checkpoint(ctx); err != nil {
		return errors.Join(fmt.Errorf("checkpoint %s: %w", d.path, err), db.Close())
	}
	conn, err := db.W.Conn(ctx)
	if err != nil {
		return errors.Join(fmt.Errorf("open %s: %w", d.path, err), db.Close())
	}
	d.tx = &Tx{conn: conn, stmts: map[string]*sql.Stmt{}}
	d.cur.Store(db)
	return nil
}

// R returns the readers: they see what is committed and never wait for the committer.
func (d *DB) R() *sql.DB { return d.cur.Load().R }

// Do runs f in a transaction and returns f's error (nothing was written), or nil once the commit is durable. f may run more
// than once and must set its results afresh each time; it must not call Do. ctx bounds only the wait for a place in the
// queue: once f is queued its outcome is always awaited.
//
// Errors of its own carry a code: [errs.ReducedCapacity] when nothing was executed, [errs.Unknown] when the commit failed.
func (d *DB) Do(ctx context.Context, f func(*Tx) error) error {
	j := &job{f: f, done: make(chan error, 1)}
	if err := d.enqueue(ctx, j); err != nil {
		return err
	}
	return <-j.done
}

func (d *DB) enqueue(ctx context.Context, j *job) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return errs.New(errs.ReducedCapacity, "the server is stopping; nothing was executed")
	}
	select {
	case d.queue <- j:
		return nil
	case <-ctx.Done():
		return errs.Wrap(errs.ReducedCapacity, ctx.Err(), "the database is busy; nothing was executed")
	}
}

func (d *DB) run() {
	defer close(d.done)
	batch := make([]*job, 0, d.o.Max)
	for j := range d.queue {
		batch = append(batch[:0], j)
	gather:
		for len(batch) < d.o.Max {
			select {
			case more, ok := <-d.queue:
				if !ok {
					break gather
				}
				batch = append(batch, more)
			default:
				break gather
			}
		}
		d.execute(batch)
	}
}

// execute answers every job of the batch exactly once.
func (d *DB) execute(batch []*job) {
	if d.tx == nil {
		if err := d.reopen(); err != nil {
			answer(batch, errs.Wrap(errs.ReducedCapacity, err, "the database is not available; nothing was executed"))
			return
		}
	}
	if err := d.tx.do("BEGIN IMMEDIATE"); err != nil {
		answer(batch, errs.Wrap(errs.ReducedCapacity, err, "the database takes no writes now; nothing was executed"))
		return
	}
	for _, j := range batch {
		err := j.f(d.tx)
		if err == nil {
			continue
		}
		if back := d.tx.do("ROLLBACK"); back != nil {
			d.discard(back)
		}
		if len(batch) == 1 {
			answer(batch, err)
			return
		}
		for i := range batch {
			d.execute(batch[i : i+1])
		}
		return
	}
	err := d.o.Fault.Hit(PointCommit)
	if err == nil {
		err = d.tx.do("COMMIT")
	}
	if err != nil {
		d.discard(err)
		err = errs.Wrap(errs.Unknown, err, "the outcome is not known yet; ask again with the same key")
	}
	answer(batch, err)
}

func answer(batch []*job, err error) {
	for _, j := range batch {
		j.done <- err
	}
}

// discard gives up a handle whose commit failed and opens the file again. If that fails too, the next batch tries again.
func (d *DB) discard(cause error) {
	d.o.Logger.Error("commit failed, the database is opened again", "path", d.path, "error", cause)
	err := errors.Join(d.tx.close(), d.cur.Load().W.Close())
	d.tx = nil
	if err != nil {
		d.o.Logger.Warn("close after a failed commit", "path", d.path, "error", err)
	}
	_ = d.reopen() // it was logged, and the next batch tells its callers
}

// reopen puts a new handle in the place of the discarded one, whose readers see what is committed until then.
func (d *DB) reopen() error {
	old := d.cur.Load()
	if err := d.open(context.Background()); err != nil {
		d.o.Logger.Error("database cannot be opened again", "path", d.path, "error", err)
		return err
	}
	if err := old.R.Close(); err != nil {
		d.o.Logger.Warn("close after a failed commit", "path", d.path, "error", err)
	}
	return nil
}

// Close runs what is queued, then closes the file. It is idempotent.
func (d *DB) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		<-d.done
		return nil
	}
	d.closed = true
	close(d.queue)
	d.mu.Unlock()
	<-d.done
	if d.tx == nil {
		return d.cur.Load().R.Close()
	}
	return errors.Join(d.tx.close(), d.cur.Load().Close())
}
