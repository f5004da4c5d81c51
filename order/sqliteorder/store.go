package sqliteorder

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sync/errgroup"

	"penstock/engine/sqlite"
	"penstock/order/driver"
	"penstock/order/shard"
)

// Options tunes a store. The zero value is good.
type Options struct {
	// Map is the placement; nil means [shard.First]. A directory that was written with another is refused.
	Map *shard.Map
	// Engine tunes each database. A zero CacheKiB means 4 MiB, a zero Readers 2.
	Engine sqlite.Options
	// ReadOnly opens what is there beside a process that writes it, and creates nothing: a missing file is an error that wraps
	// fs.ErrNotExist. The caller only reads.
	ReadOnly bool
}

// Store is the open databases of one directory.
type Store struct {
	m        *shard.Map
	dbs      []*database
	readOnly bool
}

var _ driver.Store = (*Store)(nil)

// Open opens orders_0.db … in dir and creates what is missing. A database that was written with another map, or that was
// given another number, is refused with an error that names the file.
func Open(ctx context.Context, dir string, o Options) (*Store, error) {
	if o.Map == nil {
		o.Map = shard.First()
	}
	if o.Engine.CacheKiB == 0 {
		o.Engine.CacheKiB = 4 << 10
	}
	if o.Engine.Readers == 0 {
		o.Engine.Readers = 2
	}
	s := &Store{m: o.Map, dbs: make([]*database, o.Map.Databases()), readOnly: o.ReadOnly}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for i := range s.dbs {
		g.Go(func() error {
			path := filepath.Join(dir, fmt.Sprintf("orders_%d.db", i))
			if _, err := os.Stat(path); err != nil && o.ReadOnly {
				return err
			}
			db, err := sqlite.Open(gctx, path, migrations(i), o.Engine)
			if err != nil {
				return err
			}
			s.dbs[i] = &database{DB: db, number: i}
			return s.own(gctx, i, o.ReadOnly)
		})
	}
	if err := g.Wait(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// own writes the map into a new database and compares it with the one of an old database.
func (s *Store) own(ctx context.Context, i int, readOnly bool) error {
	form, err := json.Marshal(s.m)
	if err != nil {
		return err
	}
	want := [...][2]string{{"database", strconv.Itoa(i)}, {"map_version", strconv.Itoa(s.m.Version())}, {"map", string(form)}}
	db := s.dbs[i]
	if !readOnly {
		if err := db.Tx(ctx, func(tx *sql.Tx) error {
			for _, w := range want {
				if _, err := tx.ExecContext(ctx, "INSERT INTO meta(name, value) VALUES(?, ?) ON CONFLICT DO NOTHING", w[0], w[1]); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return fmt.Errorf("%s: %w", db.Path, err)
		}
	}
	for _, w := range want {
		var have string
		if err := db.R.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = ?", w[0]).Scan(&have); err != nil {
			return fmt.Errorf("%s: %w", db.Path, err)
		}
		if have != w[1] {
			return fmt.Errorf("%s was written with %s %.20s, not with %.20s: it needs the map and the name it was made with",
				db.Path, w[0], have, w[1])
		}
	}
	return nil
}

// Map returns the placement of this store.
func (s *Store) Map() *shard.Map { return s.m }

// Database returns database i.
func (s *Store) Database(i int) driver.Database { return s.dbs[i] }

// DB returns the file of database i. Its tables are those of [shard.TableName], order_event and meta.
func (s *Store) DB(i int) *sqlite.DB { return s.dbs[i].DB }

// Close closes the databases.
func (s *Store) Close() error {
	var errs []error
	for _, db := range s.dbs {
		if db != nil {
			errs = append(errs, db.close())
		}
	}
	return errors.Join(errs...)
}
