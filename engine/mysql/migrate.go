package mysql

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// Migrate brings the tables called name to their newest step: step i is steps[i-1], statements that end with ";" at the end
// of a line. Each step is recorded after it ran, in table penstock_schema. DDL is not transactional on these servers, so a step
// whose record was lost runs again: write CREATE TABLE IF NOT EXISTS, and steps that may be repeated. Never change a step that
// was released; add one.
//
// Several processes may migrate at once: one does, the others wait for it. progress, which may be nil, is called before each
// step that runs. Errors are named: a step that "was changed after it was applied", a database of a "newer release".
func Migrate(ctx context.Context, db *DB, name string, steps []string, progress func(step, of int)) error {
	if db.opt.ReadOnly {
		return fmt.Errorf("migrate %s of database %s: it was opened to be read only", name, db.config)
	}
	patient := db.opt
	patient.Pool, patient.Reply = 1, time.Hour // a change of a large table takes its time
	own, err := open(db.config, patient)
	if err != nil {
		return err
	}
	defer own.Close()
	conn, err := own.Conn(ctx)
	if err != nil {
		return fmt.Errorf("migrate %s: %w", name, explain(db.config, err))
	}
	defer conn.Close()
	m := &migration{conn: conn, name: name, steps: steps, progress: progress}
	if err := m.run(ctx, "penstock:"+db.config.database); err != nil {
		return fmt.Errorf("migrate %s of database %s: %w", name, db.config, explain(db.config, err))
	}
	return nil
}

type migration struct {
	conn     *sql.Conn
	name     string
	steps    []string
	progress func(step, of int)
}

// run holds the lock while it looks and applies. The lock is the session's, so it goes with the process.
func (m *migration) run(ctx context.Context, lock string) error {
	if err := m.lock(ctx, lock); err != nil {
		return err
	}
	if _, err := m.conn.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS penstock_schema (
		name VARBINARY(64) NOT NULL, step INT NOT NULL, checksum VARBINARY(64) NOT NULL, at BIGINT NOT NULL,
		PRIMARY KEY (name, step)) ENGINE=InnoDB`); err != nil {
		return err
	}
	applied, err := m.applied(ctx)
	if err != nil {
		return err
	}
	if len(applied) > len(m.steps) {
		return wrong("it is at step %d and this release knows %d: it was migrated by a newer release; run that one", len(applied), len(m.steps))
	}
	for i, step := range m.steps {
		sum := checksum(step)
		if i >= len(applied) {
			if err := m.apply(ctx, i+1, step); err != nil {
				return err
			}
		} else if applied[i] != sum {
			return wrong("step %d was changed after it was applied: run the release that applied it, or restore the step's text", i+1)
		}
	}
	_, err = m.conn.ExecContext(ctx, "DO RELEASE_LOCK(?)", lockName(lock))
	return err
}

// lockWait is how long one call of GET_LOCK waits, in seconds: short, so that the end of ctx is seen.
const lockWait = 2

func (m *migration) lock(ctx context.Context, lock string) error {
	for {
		var got sql.NullInt64
		if err := m.conn.QueryRowContext(ctx, "SELECT GET_LOCK(?, ?)", lockName(lock), lockWait).Scan(&got); err != nil {
			return err
		}
		if got.Int64 == 1 {
			return nil
		}
	}
}

// lockName keeps within the 64 characters that MySQL allows.
func lockName(s string) string {
	if len(s) <= 64 {
		return s
	}
	return "penstock:" + checksum(s)[:32]
}

func (m *migration) applied(ctx context.Context) ([]string, error) {
	rows, err := m.conn.QueryContext(ctx, "SELECT step, checksum FROM penstock_schema WHERE name = ? ORDER BY step", m.name)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var sums []string
	for rows.Next() {
		var step int
		var sum string
		if err := rows.Scan(&step, &sum); err != nil {
			return nil, err
		}
		if step != len(sums)+1 {
			return nil, wrong("penstock_schema has no row for step %d: restore it", len(sums)+1)
		}
		sums = append(sums, sum)
	}
	return sums, rows.Err()
}

func (m *migration) apply(ctx context.Context, step int, text string) error {
	if m.progress != nil {
		m.progress(step, len(m.steps))
	}
	for _, statement := range statements(text) {
		if _, err := m.conn.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("step %d: %w, in: %s", step, err, firstLine(statement))
		}
	}
	_, err := m.conn.ExecContext(ctx, "INSERT INTO penstock_schema (name, step, checksum, at) VALUES (?, ?, ?, "+NowMicros+")",
		m.name, step, checksum(text))
	return err
}

// statements splits a step at each ";" that ends a line.
func statements(text string) []string {
	var out []string
	for s := range strings.SplitSeq(text+"\n", ";\n") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// checksum ignores how a step is indented and spaced.
func checksum(step string) string {
	sum := sha256.Sum256([]byte(strings.Join(strings.Fields(step), " ")))
	return hex.EncodeToString(sum[:])
}
