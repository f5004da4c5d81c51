package shard

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"golang.org/x/sync/errgroup"

	"penstock/engine/sqlite"
	"penstock/internal/ident"
)

// Options tunes a store. The zero value is good.
type Options struct {
	// Map is the placement; nil means [First]. A directory that was written with another is refused.
	Map *Map
	// Engine tunes each database. A zero CacheKiB means 4 MiB, a zero Readers 2.
	Engine sqlite.Options
}

// Store is the open set of databases of one directory. The directory has one process that writes; who that is, is proven by
// the caller.
type Store struct {
	m   *Map
	dbs []*sqlite.DB
}

// Open opens orders_0.db … in dir and creates what is missing. A database that was written with another map, or that was
// given another number, is refused with an error that names the file.
func Open(ctx context.Context, dir string, o Options) (*Store, error) {
	if o.Map == nil {
		o.Map = First()
	}
	if o.Engine.CacheKiB == 0 {
		o.Engine.CacheKiB = 4 << 10
	}
	if o.Engine.Readers == 0 {
		o.Engine.Readers = 2
	}
	s := &Store{m: o.Map, dbs: make([]*sqlite.DB, o.Map.databases)}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for i := range s.dbs {
		g.Go(func() error {
			path := filepath.Join(dir, fmt.Sprintf("orders_%d.db", i))
			db, err := sqlite.Open(gctx, path, migrations(i), o.Engine)
			if err != nil {
				return err
			}
			s.dbs[i] = db
			return s.own(gctx, i)
		})
	}
	if err := g.Wait(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// own writes the map into a new database and compares it with the one of an old database.
func (s *Store) own(ctx context.Context, i int) error {
	form, err := json.Marshal(s.m)
	if err != nil {
		return err
	}
	want := [...][2]string{{"database", strconv.Itoa(i)}, {"map_version", strconv.Itoa(s.m.version)}, {"map", string(form)}}
	db := s.dbs[i]
	return db.Tx(ctx, func(tx *sql.Tx) error {
		for _, w := range want {
			if _, err := tx.ExecContext(ctx, "INSERT INTO meta(name, value) VALUES(?, ?) ON CONFLICT DO NOTHING", w[0], w[1]); err != nil {
				return fmt.Errorf("%s: %w", db.Path, err)
			}
			var have string
			if err := tx.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = ?", w[0]).Scan(&have); err != nil {
				return fmt.Errorf("%s: %w", db.Path, err)
			}
			if have != w[1] {
				return fmt.Errorf("%s was written with %s %.20s, not with %.20s: it needs the map and the name it was made with",
					db.Path, w[0], have, w[1])
			}
		}
		return nil
	})
}

// Map returns the placement of this store.
func (s *Store) Map() *Map { return s.m }

// Len returns the number of databases.
func (s *Store) Len() int { return len(s.dbs) }

// DB returns a database, 0 … Len-1. Its tables are those of [TableName], order_event and meta.
func (s *Store) DB(i int) *sqlite.DB { return s.dbs[i] }

// Route returns the place of an order by its id: the database and the table within it.
func (s *Store) Route(id ident.ID) (db, table int) { return s.m.Route(id.Slot()) }

// Close closes the databases.
func (s *Store) Close() error {
	var errs []error
	for _, db := range s.dbs {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}
