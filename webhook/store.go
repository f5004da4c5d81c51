package webhook

import (
	"context"
	"database/sql"
	"encoding/json"
	"hash/fnv"
	"time"

	"penstock/engine/groupcommit"
	"penstock/engine/mysql"
	"penstock/engine/sqldb"
)

// Store keeps endpoints, events and deliveries: a file that one process owns, or a MySQL database that several share. What
// belongs to an endpoint is written under the endpoint's slot.
type Store = sqldb.Store

// OpenSQLite opens or creates the file at path. Only one process may have it open.
func OpenSQLite(ctx context.Context, path string, o groupcommit.Options) (Store, error) {
	return sqldb.OpenFile(ctx, path, schema(), o)
}

// OpenMySQL makes or migrates the tables in db. The caller closes db, after the store.
func OpenMySQL(ctx context.Context, db *mysql.DB, o sqldb.Options) (Store, error) {
	return sqldb.OpenShared(ctx, db, schema(), o)
}

// slot is the lock of an endpoint.
func slot(endpoint string) int {
	h := fnv.New32a()
	h.Write([]byte(endpoint))
	return int(h.Sum32() % sqldb.Slots)
}

// row is an endpoint with what only this package sees of it.
type row struct {
	Endpoint
	sealed   []byte
	failures int // in a row, over all messages
	nextSeq  int64
	owner    string
	beat     int64
}

const endpointColumns = `id, url, description, events, secrets, rate, concurrency, enabled, why, version, failing_since, paused_until,
	failures, next_seq, owner, beat, created_at, changed_at`

type scanner interface{ Scan(dest ...any) error }

func scanEndpoint(s scanner) (row, error) {
	var r row
	var events []byte
	var failing, paused, created, changed int64
	err := s.Scan(&r.ID, &r.URL, &r.Description, &events, &r.sealed, &r.Rate, &r.Concurrency, &r.Enabled, &r.Why, &r.Version, &failing, &paused,
		&r.failures, &r.nextSeq, &r.owner, &r.beat, &created, &changed)
	if err != nil {
		return r, err
	}
	r.FailingSince, r.PausedUntil, r.CreatedAt, r.ChangedAt = stamp(failing), stamp(paused), stamp(created), stamp(changed)
	return r, json.Unmarshal(events, &r.Events)
}

const deliveryColumns = `endpoint, seq, event, type, user, state, tries, replays, status, error, at, tried_at, next_at`

func scanDelivery(s scanner) (Delivery, error) {
	var d Delivery
	var at, tried int64
	var next sql.NullInt64
	err := s.Scan(&d.Endpoint, &d.Seq, &d.Event, &d.Type, &d.User, &d.State, &d.Tries, &d.Replays, &d.Status, &d.Error, &at, &tried, &next)
	d.At, d.TriedAt, d.NextAt = stamp(at), stamp(tried), stamp(next.Int64)
	return d, err
}

// scan defers a query of one row until its destinations are known.
type scan func(dest ...any) error

func (f scan) Scan(dest ...any) error { return f(dest...) }

func inTx(tx sqldb.Tx, query string, args ...any) scan {
	return func(dest ...any) error { return tx.Scan(query, args, dest...) }
}

func (h *Hooks) committed(ctx context.Context, query string, args ...any) scan {
	return func(dest ...any) error { return h.db.Scan(ctx, query, args, dest...) }
}

// collect reads all rows of a query.
func collect[T any](rows *sql.Rows, err error, one func(scanner) (T, error)) (all []T, _ error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		v, err := one(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// stamp reads milliseconds; 0 is the zero time.
func stamp(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
