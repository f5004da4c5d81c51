package mysqlstock

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"penstock/engine/mysql"
	"penstock/internal/clock"
	"penstock/internal/fault"
	"penstock/stock/driver"
)

// Fault points of the driver.
const (
	// FaultCommit is hit after the rows are written and before the commit. Its error makes the outcome unknown.
	FaultCommit = "mysqlstock.commit"
	// FaultCommitted is hit after the commit. Its error makes the outcome unknown though everything is durable.
	FaultCommitted = "mysqlstock.committed"
)

// Options tunes the driver. The zero value works.
type Options struct {
	// Clock is for tests; nil means the database's own time, one for all processes, read once for each decision.
	Clock  clock.Clock
	Logger *slog.Logger
	Fault  *fault.Points
	// Engine tunes the connections; its zero value works.
	Engine mysql.Options
	// RequireSemiSync refuses to open unless the server is known to wait for a replica before it answers a commit.
	RequireSemiSync bool
	// Busy tells how many calls this process has in flight; it is published every Beat. Nil means none.
	Busy func() int64
	// Lease is how long the number of this process in ids is ours without a sign of life; 0 means 15 s.
	Lease time.Duration
	// Beat is how often the lease is renewed and Busy published; 0 means 1 s.
	Beat time.Duration
	// Progress is told each step of the schema that runs at Open. It may be nil.
	Progress func(step, of int)
}

func (o *Options) validate() error {
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if o.Busy == nil {
		o.Busy = func() int64 { return 0 }
	}
	if o.Lease == 0 {
		o.Lease = 15 * time.Second
	}
	if o.Beat == 0 {
		o.Beat = time.Second
	}
	if o.Beat < 0 || o.Lease < 3*o.Beat {
		return fmt.Errorf("mysqlstock: Lease is %v and Beat %v; a lease lasts at least three beats, such as 15s and 1s", o.Lease, o.Beat)
	}
	return nil
}

// DB is an open stock database.
type DB struct {
	db    *mysql.DB
	opt   Options
	timer clock.Clock // timers only
	owner string

	write     sync.Mutex // one decision at a time; guards the fields below
	closed    bool
	importing bool
	edition   uint64            // of the sales in docs
	docs      map[string][]byte // JSON of sales as of edition
	early     int               // batches that lock their stock rows first

	node   atomic.Pointer[node]
	failed atomic.Pointer[error] // why the last decision could not be made; nil while they can
	dura   Durability

	seats chan struct{} // one for each reader at a time
	life  sync.RWMutex  // held by readers; Close waits for them
	gone  bool          // guarded by life

	quit    context.CancelFunc
	stopped chan struct{}
}

// Open connects, brings the tables to their newest step, takes a number for ids and starts to renew it. A wrong setting of the
// server, a missing privilege, a table of the wrong kind and a database of a newer release are refused by name, with what to
// do. Close it in the end.
func Open(ctx context.Context, cfg mysql.Config, o Options) (*DB, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	db, err := mysql.Open(ctx, cfg, o.Engine)
	if err != nil {
		return nil, fmt.Errorf("open the stock database: %w", err)
	}
	d := &DB{db: db, opt: o, timer: clock.Real{}, owner: rand.Text(), docs: map[string][]byte{}, stopped: make(chan struct{})}
	if o.Clock != nil {
		d.timer = o.Clock
	}
	d.seats = make(chan struct{}, max(1, db.Stats().MaxOpenConnections-kept))
	if err = d.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open the stock database: %w", err), db.Close())
	}
	beat, quit := context.WithCancel(context.Background())
	d.quit = quit
	go d.beat(beat)
	return d, nil
}

func (d *DB) prepare(ctx context.Context) error {
	if err := mysql.Migrate(ctx, d.db, "stock", schema, d.opt.Progress); err != nil {
		return err
	}
	if err := d.checkTables(ctx); err != nil {
		return err
	}
	var err error
	if d.dura, err = d.durability(ctx); err != nil {
		return err
	}
	if err := d.promise(); err != nil {
		return err
	}
	if err := d.loadImport(ctx); err != nil {
		return err
	}
	return d.takeNode(ctx)
}

// Ready returns nil while decisions can be written, and else why the last one could not.
func (d *DB) Ready() error {
	if err := d.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// Repair looks whether the database takes writes again after a decision could not be made; before that it does nothing.
func (d *DB) Repair(ctx context.Context) error {
	if d.failed.Load() == nil {
		return nil
	}
	err := d.renew(ctx)
	if errors.Is(err, errNodeLost) {
		err = nil // the next decision takes another number
	}
	if err == nil {
		d.failed.Store(nil)
	}
	return translate(err)
}

// Close waits for running calls, gives the number in ids back and closes the connections. Idempotent.
func (d *DB) Close() error {
	d.write.Lock()
	defer d.write.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	d.quit()
	<-d.stopped
	d.life.Lock()
	defer d.life.Unlock()
	d.gone = true
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := d.giveNode(ctx); err != nil {
		d.opt.Logger.Warn("the number in ids was not given back; it is free when its lease ends", "error", err.Error())
	}
	return d.db.Close()
}

// kept is how many connections readers leave to decisions, leases and the beat: thousands of look-ups that wait for a
// connection would make each of those wait among them.
const kept = 4

// reading waits for a seat among the readers, and keeps Close away until the returned function is called.
func (d *DB) reading(ctx context.Context) (done func(), err error) {
	select {
	case d.seats <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	d.life.RLock()
	if d.gone {
		d.life.RUnlock()
		<-d.seats
		return nil, errClosed
	}
	return func() { d.life.RUnlock(); <-d.seats }, nil
}

var errClosed = fmt.Errorf("%w: closed", driver.ErrUnavailable)

// translate says in the words of the port what an error means for the caller.
func translate(err error) error {
	switch {
	case err == nil, errors.Is(err, driver.ErrUnknown), errors.Is(err, driver.ErrUnavailable):
		return err
	case errors.Is(err, mysql.ErrUnknown):
		return fmt.Errorf("%w: %w", driver.ErrUnknown, err)
	case mysql.Unavailable(err), mysql.Lost(err), mysql.Retry(err):
		return fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
	}
	return err
}
