package mysqlorder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"penstock/bus/outbox"
	"penstock/engine/mysql"
	"penstock/engine/sqldb"
	"penstock/order/driver"
	"penstock/order/shard"
)

// Options tunes a store. The zero value is good.
type Options struct {
	// Map is the placement; nil means [shard.First]. Databases that were written with another are refused.
	Map *shard.Map
	// Pool is the most connections to each server; 0 means 20.
	Pool int
	// Reply bounds the wait for each answer of a server; 0 means 5 s.
	Reply time.Duration
	// LockWait bounds the wait for a row that another process holds, in whole seconds below Reply; 0 means 2 s.
	LockWait time.Duration
	// Fresh is how long a read waits for a replica to show what was committed before it; 0 means 250 ms.
	Fresh time.Duration
	// ReadOnly creates and migrates nothing; the caller only reads.
	ReadOnly bool
	// Progress is told of each step of each database's migration, from several goroutines. May be nil.
	Progress func(database string, step, of int)
	// Logger is told of replicas that are left out or taken back; nil discards.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Map == nil {
		o.Map = shard.First()
	}
	if o.Reply == 0 {
		o.Reply = 5 * time.Second
	}
	if o.LockWait == 0 {
		o.LockWait = 2 * time.Second
	}
	if o.Fresh == 0 {
		o.Fresh = 250 * time.Millisecond
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Store is the open databases.
type Store struct {
	m       *shard.Map
	servers []*mysql.DB
	copies  []*replicas
	dbs     []*database
	says    []driver.Outbox
}

var _ driver.Store = (*Store)(nil)

// Open connects to every server, creates and migrates what is missing, and compares the stored map with the one of o. A server
// that cannot be reached, a wrong setting, a changed schema and a database of another map are errors that name the database.
func Open(ctx context.Context, c Config, o Options) (*Store, error) {
	o = o.withDefaults()
	if n := o.Map.Databases(); len(c.servers) < 1 || len(c.servers) > n {
		return nil, fmt.Errorf("orders: %d servers are named for %d databases; name 1 to %d, such as %s", len(c.servers), n, n, Example)
	}
	s := &Store{
		m: o.Map, dbs: make([]*database, o.Map.Databases()), servers: make([]*mysql.DB, len(c.servers)), copies: make([]*replicas, len(c.servers)),
	}
	g, gctx := errgroup.WithContext(ctx)
	for i := range s.dbs {
		g.Go(func() error { return s.prepare(gctx, c.servers[serverOf(i, len(s.dbs), len(c.servers))].primary, i, o) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for i := range s.dbs {
		at := serverOf(i, len(s.dbs), len(c.servers))
		if s.servers[at] == nil {
			if err := s.connect(ctx, at, c.servers[at], i, o); err != nil {
				return nil, errors.Join(err, s.Close())
			}
		}
		name := databaseName(c.servers[at].primary.Database(), i)
		s.dbs[i] = newDatabase(s.servers[at], s.copies[at], name, i, 2*o.Reply)
	}
	return s, nil
}

func (s *Store) connect(ctx context.Context, at int, c server, first int, o Options) (err error) {
	base := c.primary.Database()
	opt := mysql.Options{Pool: o.Pool, Reply: o.Reply, LockWait: o.LockWait, ReadOnly: o.ReadOnly, Scripts: true}
	if s.servers[at], err = mysql.Open(ctx, c.primary.With(databaseName(base, first)), opt); err != nil {
		return err
	}
	if s.copies[at], err = newReplicas(s.servers[at], c.replicas, databaseName(base, first), o); err != nil || o.ReadOnly {
		return err
	}
	return s.publish(ctx, at, first, o)
}

// publish opens the message table of a server. It is that of the server's first database of orders, which connections are in: a
// transaction writes it beside whichever of the server's databases it is about.
func (s *Store) publish(ctx context.Context, at, first int, o Options) error {
	db, err := sqldb.OpenShared(ctx, s.servers[at], sqldb.Schema{Name: "messages", MySQL: []string{outbox.MySQL}}, sqldb.Options{Logger: o.Logger})
	if err == nil {
		s.says = append(s.says, driver.Outbox{Name: "orders_" + strconv.Itoa(first), DB: db})
	}
	return err
}

// Outboxes are the message tables, one on each server.
func (s *Store) Outboxes() []driver.Outbox { return s.says }

// prepare creates, migrates and owns one database.
func (s *Store) prepare(ctx context.Context, c mysql.Config, i int, o Options) (err error) {
	c = c.With(databaseName(c.Database(), i))
	if !o.ReadOnly {
		if err = mysql.EnsureDatabase(ctx, c); err != nil {
			return err
		}
	}
	db, err := mysql.Open(ctx, c, mysql.Options{Pool: 1, ReadOnly: o.ReadOnly})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	progress := func(step, of int) {
		if o.Progress != nil {
			o.Progress(c.Database(), step, of)
		}
	}
	if o.ReadOnly {
		return s.own(ctx, db, i, func(string, string) error { return nil })
	}
	if err = mysql.Migrate(ctx, db, "orders", migrations(i), progress); err != nil {
		return err
	}
	return s.own(ctx, db, i, func(name, value string) error {
		_, err := db.ExecContext(ctx, "INSERT INTO meta(name, value) VALUES(?, ?) ON DUPLICATE KEY UPDATE name = name", name, value)
		return err
	})
}

// own has put write the map into a new database and compares it with what is there.
func (s *Store) own(ctx context.Context, db *mysql.DB, i int, put func(name, value string) error) error {
	form, err := json.Marshal(s.m)
	if err != nil {
		return err
	}
	want := [...][2]string{{"database", strconv.Itoa(i)}, {"map_version", strconv.Itoa(s.m.Version())}, {"map", string(form)}}
	for _, w := range want {
		if err := put(w[0], w[1]); err != nil {
			return fmt.Errorf("%s: %w", db.Config(), err)
		}
		var have string
		if err := db.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = ?", w[0]).Scan(&have); err != nil {
			return fmt.Errorf("%s: %w", db.Config(), err)
		}
		if have != w[1] {
			return fmt.Errorf("%s was written with %s %.20s, not with %.20s: it needs the map and the name it was made with",
				db.Config(), w[0], have, w[1])
		}
	}
	return nil
}

// Map returns the placement of this store.
func (s *Store) Map() *shard.Map { return s.m }

// Database returns database i.
func (s *Store) Database(i int) driver.Database { return s.dbs[i] }

// Close closes the connections.
func (s *Store) Close() error {
	var errs []error
	for i, db := range s.servers {
		if s.copies[i] != nil {
			errs = append(errs, s.copies[i].close())
		}
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}
