package sqlitestock

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"penstock/engine/sqlite"
	"penstock/internal/clock"
	"penstock/internal/fault"
	"penstock/stock/driver"
)

// Fault points of the driver.
const (
	// FaultCommit is hit after the rows are written and before the commit. Its error makes the outcome unknown.
	FaultCommit = "sqlitestock.commit"
	// FaultCommitted is hit after the commit. Its error makes the outcome unknown though everything is durable.
	FaultCommitted = "sqlitestock.committed"
	// FaultReopen is hit when a failed database is about to be reopened.
	FaultReopen = "sqlitestock.reopen"
)

// Options tunes the driver. The zero value works.
type Options struct {
	Clock  clock.Clock
	Logger *slog.Logger
	Fault  *fault.Points
	// CacheKiB is the page cache; 0 means 32 MiB.
	CacheKiB int
	// CheckpointPages is the length of the log at which it is copied back; 0 means 16000 (64 MB).
	CheckpointPages int
	// ArchiveAfter is how long after the end of a sale without held claims its keys leave memory; 0 means 1 h.
	ArchiveAfter time.Duration
	// Judge opens a file that does not add up all the same, so that somebody can look at all of it. Nobody may be served from it.
	Judge bool
}

// Driver is an open stock database in one SQLite file.
type Driver struct {
	path string
	opt  Options

	write sync.Mutex // one decision at a time; guards the fields below
	conn  *sqlite.Conn
	own   *sql.DB // reads of the writer, so that they never queue behind exports and look-ups
	epoch int64
	// broken is set after a failed commit: nothing is acknowledged until the file was reopened and a full checkpoint synced.
	broken bool
	closed bool
	failed atomic.Bool // broken, for those who do not hold the lock
	args   []sqldriver.NamedValue
	state  driver.State
	fresh  map[driver.Key]struct{}     // keys bound by the decision at hand
	spent  map[driver.PassRef]struct{} // passes used by it

	// life is held by whoever reads the file, and by the one who reopens it: a read never meets a file that is being closed.
	life sync.RWMutex

	mu  sync.RWMutex // guards db and mem; held for memory look-ups only
	db  *sqlite.DB
	mem *memory
}

// Open opens or creates the file, takes ownership by raising the epoch, rebuilds the memory from the journal and checks it
// against the stock rows. A file that does not add up is refused with the first difference found, unless it is to be judged.
func Open(ctx context.Context, path string, o Options) (*Driver, error) {
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if o.CacheKiB == 0 {
		o.CacheKiB = 32 << 10
	}
	if o.CheckpointPages == 0 {
		o.CheckpointPages = 16000
	}
	if o.ArchiveAfter == 0 {
		o.ArchiveAfter = time.Hour
	}
	d := &Driver{path: path, opt: o, fresh: map[driver.Key]struct{}{}, spent: map[driver.PassRef]struct{}{}}
	if err := d.open(ctx); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *Driver) open(ctx context.Context) error {
	db, err := sqlite.Open(ctx, d.path, migrations, d.tuning())
	if err != nil {
		return err
	}
	if err = d.adopt(ctx, db); err != nil {
		return errors.Join(err, db.Close())
	}
	return nil
}

func (d *Driver) tuning() sqlite.Options {
	return sqlite.Options{CacheKiB: d.opt.CacheKiB, CheckpointPages: d.opt.CheckpointPages}
}

// adopt syncs what the file holds into the main database, so that nothing is believed that only a page cache has seen, and
// then makes it ours.
func (d *Driver) adopt(ctx context.Context, db *sqlite.DB) error {
	if err := db.Checkpoint(ctx); err != nil {
		return fmt.Errorf("sync %s before use: %w", d.path, err)
	}
	var epoch int64
	if err := db.W.QueryRowContext(ctx, "UPDATE meta SET epoch = epoch + 1 RETURNING epoch").Scan(&epoch); err != nil {
		return fmt.Errorf("raise the epoch of %s: %w", d.path, err)
	}
	mem, err := load(ctx, db.R)
	if c, ok := errors.AsType[contradiction](err); ok && d.opt.Judge {
		d.opt.Logger.Warn("opened for judgement although it does not add up", "file", d.path, "error", c.Error())
		err = nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", d.path, err)
	}
	own, err := db.Reader(d.tuning(), 1)
	if err != nil {
		return err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return errors.Join(err, own.Close())
	}
	d.mu.Lock()
	d.db, d.mem = db, mem
	d.mu.Unlock()
	d.conn, d.own, d.epoch = conn, own, epoch
	d.breakdown(false)
	return nil
}

// breakdown notes whether nothing may be acknowledged until the file is reopened.
func (d *Driver) breakdown(broken bool) {
	d.broken = broken
	d.failed.Store(broken)
}

// recover reopens the file after a failed commit.
func (d *Driver) recover(ctx context.Context) error {
	if err := d.opt.Fault.Hit(FaultReopen); err != nil {
		return err
	}
	d.life.Lock()
	defer d.life.Unlock()
	if d.conn != nil {
		err := errors.Join(d.conn.Close(), d.own.Close(), d.db.Close())
		d.conn = nil
		if err != nil {
			d.opt.Logger.Warn("closing the failed stock database", "error", err.Error())
		}
	}
	if err := d.open(ctx); err != nil {
		return err
	}
	d.opt.Logger.Info("the stock database was reopened and synced after a failed write", "epoch", d.epoch)
	return nil
}

// Ready returns nil while decisions can be written, and why not after a failed write that has not been repaired.
func (d *Driver) Ready() error {
	if d.failed.Load() {
		return errors.New("a write has failed; the stock database waits to be reopened")
	}
	return nil
}

// Repair reopens the file after a failed write; without one it does nothing. The next decision does the same, but a server
// that is not ready gets none.
func (d *Driver) Repair(ctx context.Context) error {
	d.write.Lock()
	defer d.write.Unlock()
	if d.closed || !d.broken {
		return nil
	}
	return d.recover(ctx)
}

// Close closes the file. Idempotent.
func (d *Driver) Close() error {
	d.write.Lock()
	defer d.write.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	if d.conn == nil {
		return nil
	}
	d.life.Lock()
	defer d.life.Unlock()
	return errors.Join(d.conn.Close(), d.own.Close(), d.db.Close())
}
