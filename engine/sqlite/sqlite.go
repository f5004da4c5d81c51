// Package sqlite opens SQLite files the way every room here needs them: write-ahead log, every commit synced
// (synchronous=FULL), one writer connection, a few readers, numbered migrations.
//
// It knows no business word. Pure Go, no cgo.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// Options tunes one database file. The zero value is good for small tables.
type Options struct {
	// CacheKiB is the page cache of the writer; 0 means 8 MiB. Each reader has a quarter: it reads rows here and there, or goes
	// through many once, and what it misses is in the cache of the system.
	CacheKiB int
	// CheckpointPages is the length of the log, in pages of 4 KiB, at which SQLite copies it back; 0 means 4000.
	CheckpointPages int
	// Readers is the number of reader connections; 0 means 4.
	Readers int
}

// DB is one open database file. W has exactly one connection, so its transactions run one at a time; R only reads.
type DB struct {
	Path string
	W    *sql.DB
	R    *sql.DB
}

// Open creates the directory and the file if they are missing, applies the migrations that the file has not seen (statement
// i moves user_version from i to i+1) and returns the open database. A file of a newer release is refused.
func Open(ctx context.Context, path string, migrations []string, o Options) (*DB, error) {
	if o.CacheKiB == 0 {
		o.CacheKiB = 8 << 10
	}
	if o.CheckpointPages == 0 {
		o.CheckpointPages = 4000
	}
	if o.Readers == 0 {
		o.Readers = 4
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("create the directory of %s: %w", path, err)
	}
	db := &DB{Path: path}
	var err error
	if db.W, err = sql.Open("sqlite", dsn(path, o, false)); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.W.SetMaxOpenConns(1)
	if err = migrate(ctx, db.W, migrations); err != nil {
		err = fmt.Errorf("open %s: %w", path, err)
		return nil, errors.Join(err, db.W.Close())
	}
	if db.R, err = db.Reader(o, o.Readers); err != nil {
		return nil, errors.Join(err, db.W.Close())
	}
	return db, nil
}

// Reader opens a further pool that only reads, for someone who must not queue behind the users of R. The caller closes it.
func (db *DB) Reader(o Options, conns int) (*sql.DB, error) {
	r, err := sql.Open("sqlite", dsn(db.Path, o, true))
	if err != nil {
		return nil, fmt.Errorf("open %s for reading: %w", db.Path, err)
	}
	r.SetMaxOpenConns(conns)
	r.SetMaxIdleConns(conns)
	return r, nil
}

// readerShare is what part of the writer's page cache a reader has.
const readerShare = 4

func dsn(path string, o Options, readOnly bool) string {
	q := url.Values{}
	if readOnly {
		o.CacheKiB /= readerShare
	}
	for _, p := range []string{
		"busy_timeout(5000)", "journal_mode(wal)", "synchronous(full)", "temp_store(memory)", "foreign_keys(0)",
		fmt.Sprintf("cache_size(-%d)", o.CacheKiB), fmt.Sprintf("wal_autocheckpoint(%d)", o.CheckpointPages),
	} {
		q.Add("_pragma", p)
	}
	if readOnly {
		q.Add("_pragma", "query_only(1)")
	} else {
		q.Set("_txlock", "immediate")
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

func migrate(ctx context.Context, w *sql.DB, migrations []string) error {
	var have int
	if err := w.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have); err != nil {
		return err
	}
	if have > len(migrations) {
		return fmt.Errorf("schema version %d is newer than this release knows (%d): use the release that wrote it", have, len(migrations))
	}
	for i := have; i < len(migrations); i++ {
		tx, err := w.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		if _, err = tx.ExecContext(ctx, migrations[i]); err == nil {
			_, err = tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version=%d", i+1))
		}
		if err != nil {
			return errors.Join(fmt.Errorf("migration %d: %w", i+1, err), tx.Rollback())
		}
		if err = tx.Commit(); err != nil {
			return fmt.Errorf("migration %d: %w", i+1, err)
		}
	}
	return nil
}

// Tx runs f in one write transaction. f's error rolls back; a nil return means that the commit is durable.
func (db *DB) Tx(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := db.W.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// Checkpoint copies the whole log into the database file and syncs both. A nil return means that everything committed
// before the call is in the synced database file.
func (db *DB) Checkpoint(ctx context.Context) error {
	var busy, log, moved int
	if err := db.W.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &log, &moved); err != nil {
		return err
	}
	if busy != 0 {
		return fmt.Errorf("checkpoint of %s is incomplete: %d of %d pages moved, a reader is in the way", db.Path, moved, log)
	}
	return nil
}

// Close closes both pools.
func (db *DB) Close() error {
	return errors.Join(db.R.Close(), db.W.Close())
}

// Unique reports whether err is a violated unique or primary key.
func Unique(err error) bool {
	c := code(err)
	return c == lib.SQLITE_CONSTRAINT_UNIQUE || c == lib.SQLITE_CONSTRAINT_PRIMARYKEY
}

// Constraint reports whether err is a violated constraint of any kind: the statement is refused, the connection is good.
func Constraint(err error) bool { return code(err)&0xff == lib.SQLITE_CONSTRAINT }

// Full reports whether err says that the disk is full.
func Full(err error) bool { return code(err)&0xff == lib.SQLITE_FULL }

func code(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}
