package partner

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"penstock/engine/groupcommit"
	"penstock/engine/mysql"
	"penstock/engine/sqldb"
)

// Store keeps apps and nonces: a file that one process owns, or a MySQL database that several share. All changes of apps are
// written under one slot, so that their numbers become visible in order.
type Store = sqldb.Store

const changes = 0 // the slot

// OpenSQLite opens or creates the file at path. Only one process may have it open.
func OpenSQLite(ctx context.Context, path string, o groupcommit.Options) (Store, error) {
	return sqldb.OpenFile(ctx, path, schema(), o)
}

// OpenMySQL makes or migrates the tables in db. The caller closes db, after the store.
func OpenMySQL(ctx context.Context, db *mysql.DB, o sqldb.Options) (Store, error) {
	return sqldb.OpenShared(ctx, db, schema(), o)
}

// row is an app with what only this package sees of it. Its Secrets are made from kept.
type row struct {
	App
	kept []kept
}

const columns = `id, name, description, enabled, why, sandbox, apis, per_minute, per_day, secrets, version, created_at, changed_at`

type scanner interface{ Scan(dest ...any) error }

func scanRow(s scanner) (row, error) {
	var r row
	var apis, secrets []byte
	var created, changed int64
	err := s.Scan(&r.ID, &r.Name, &r.Description, &r.Enabled, &r.Why, &r.Sandbox, &apis, &r.PerMinute, &r.PerDay, &secrets, &r.Version, &created, &changed)
	if err != nil {
		return r, err
	}
	r.CreatedAt, r.ChangedAt = time.UnixMilli(created).UTC(), time.UnixMilli(changed).UTC()
	return r, errors.Join(json.Unmarshal(apis, &r.APIs), json.Unmarshal(secrets, &r.kept))
}

// rows reads every app, oldest first, and the number of the last change in it.
func (a *Apps) rows(ctx context.Context) ([]row, error) {
	rows, err := a.db.Query(ctx, `SELECT `+columns+` FROM partner_apps WHERE deleted=0 ORDER BY created_at, id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []row
	for rows.Next() {
		r, err := scanRow(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

func (a *Apps) rev(ctx context.Context) (rev int64, err error) {
	err = a.db.Scan(ctx, `SELECT COALESCE(MAX(rev), 0) FROM partner_apps`, nil, &rev)
	return rev, err
}

// scan defers a query of one row until its destinations are known.
type scan func(dest ...any) error

func (f scan) Scan(dest ...any) error { return f(dest...) }

const oneRow = `SELECT ` + columns + ` FROM partner_apps WHERE id=? AND deleted=0`

// row reads one app, or fails with errs.NotFound.
func (a *Apps) row(ctx context.Context, id string) (row, error) {
	r, err := scanRow(scan(func(dest ...any) error { return a.db.Scan(ctx, oneRow, []any{id}, dest...) }))
	return r, missing(err)
}

func rowIn(tx sqldb.Tx, id string) (row, error) {
	r, err := scanRow(scan(func(dest ...any) error { return tx.Scan(oneRow, []any{id}, dest...) }))
	return r, missing(err)
}

func missing(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return notFound()
	}
	return err
}

// next numbers a change; the caller holds the slot.
func next(tx sqldb.Tx) (rev int64, err error) {
	err = tx.Scan(`SELECT COALESCE(MAX(rev), 0) + 1 FROM partner_apps`, nil, &rev)
	return rev, err
}

func insert(tx sqldb.Tx, r *row) error {
	apis, secrets, err := r.texts()
	if err != nil {
		return err
	}
	rev, err := next(tx)
	if err == nil {
		_, err = tx.Insert(`INSERT INTO partner_apps (rev, deleted, `+columns+`) VALUES (?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			rev, r.ID, r.Name, r.Description, r.Enabled, r.Why, r.Sandbox, apis, r.PerMinute, r.PerDay, secrets, r.Version, r.CreatedAt.UnixMilli(), r.ChangedAt.UnixMilli())
	}
	return err
}

func update(tx sqldb.Tx, r *row) error {
	apis, secrets, err := r.texts()
	if err != nil {
		return err
	}
	rev, err := next(tx)
	if err == nil {
		_, err = tx.Exec(`UPDATE partner_apps SET rev=?, name=?, description=?, enabled=?, why=?, apis=?, per_minute=?, per_day=?, secrets=?, version=?, changed_at=?
			WHERE id=?`, rev, r.Name, r.Description, r.Enabled, r.Why, apis, r.PerMinute, r.PerDay, secrets, r.Version, r.ChangedAt.UnixMilli(), r.ID)
	}
	return err
}

func (r *row) texts() (apis string, secrets []byte, err error) {
	names, err := json.Marshal(r.APIs)
	if err != nil {
		return "", nil, err
	}
	secrets, err = json.Marshal(r.kept)
	return string(names), secrets, err
}
