package statement

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"penstock/engine/sqlite"
	"penstock/order/payment"
)

// Ledger is our side, in this process or behind the operator API.
type Ledger interface {
	// Compare is [Compare] where the ledger is.
	Compare(ctx context.Context, provider string, lines []Line) ([]Difference, error)
	// Moved returns a page of what the ledger has, in order of Seq.
	Moved(ctx context.Context, s payment.Span) ([]payment.Money, error)
}

// Options of a check.
type Options struct {
	Provider string
	// Day is the day, in UTC, that the statement is about; with the zero time nothing is looked for that the statement lacks.
	Day time.Time
	// Margin is how far clocks may be apart: what was learned so close to midnight may stand on the next statement. 0 means 10 min.
	Margin time.Duration
	// Dir is where the scratch file is made; "" means the system's place for such files.
	Dir string
}

// Sums are minor units per currency.
type Sums struct {
	Captured map[string]int64 `json:"captured"`
	Refunded map[string]int64 `json:"refunded"`
}

func (s *Sums) add(kind, currency string, amount int64) {
	if s.Captured == nil {
		s.Captured, s.Refunded = map[string]int64{}, map[string]int64{}
	}
	if kind == Refund {
		s.Refunded[currency] += amount
	} else {
		s.Captured[currency] += amount
	}
}

// Totals is the end of a check: what the statement adds up to, and what our ledger has for the day.
type Totals struct {
	Lines       int64 `json:"lines"`
	Differences int64 `json:"differences"`
	There       Sums  `json:"there"`
	Here        Sums  `json:"here"`
}

// page is how many lines are compared in one call.
const page = 200

// Check compares a statement with a ledger and hands each difference to out, in the order of the statement, and then what the
// statement lacks. Memory does not grow with the statement.
func Check(ctx context.Context, l Ledger, o Options, r io.Reader, out func(Difference) error) (total Totals, err error) {
	if o.Margin == 0 {
		o.Margin = 10 * time.Minute
	}
	dir, err := os.MkdirTemp(o.Dir, "penstock-statement-")
	if err != nil {
		return total, fmt.Errorf("make a scratch file: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	db, err := sqlite.Open(ctx, filepath.Join(dir, "seen.db"), []string{
		`CREATE TABLE seen (type TEXT NOT NULL, ref TEXT NOT NULL, PRIMARY KEY (type, ref)) WITHOUT ROWID, STRICT;`,
	}, sqlite.Options{CacheKiB: 4 << 10, Readers: 1})
	if err != nil {
		return total, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.W.BeginTx(ctx, nil)
	if err != nil {
		return total, err
	}
	defer func() { _ = tx.Rollback() }() // the file goes away
	c := &checking{ledger: l, o: o, tx: tx, total: &total, out: func(d Difference) error { total.Differences++; return out(d) }}
	if err := Read(r, func(line Line) error { return c.line(ctx, line) }); err != nil {
		return total, err
	}
	if err := c.flush(ctx); err != nil || o.Day.IsZero() {
		return total, err
	}
	return total, c.lacking(ctx)
}

type checking struct {
	ledger Ledger
	o      Options
	tx     *sql.Tx
	total  *Totals
	out    func(Difference) error
	lines  []Line
}

func (c *checking) line(ctx context.Context, l Line) error {
	c.total.Lines++
	res, err := c.tx.ExecContext(ctx, `INSERT INTO seen (type, ref) VALUES (?, ?) ON CONFLICT DO NOTHING`, l.Type, l.key())
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, c.out(l.difference(Duplicate, "once", "the provider lists the transaction twice: have the second line taken back, and see that the account was not debited twice")))
	}
	if l.moved() {
		c.total.There.add(l.Type, l.Currency, l.Amount)
	}
	if c.lines = append(c.lines, l); len(c.lines) < page {
		return nil
	}
	return c.flush(ctx)
}

func (c *checking) flush(ctx context.Context) error {
	if len(c.lines) == 0 {
		return nil
	}
	found, err := c.ledger.Compare(ctx, c.o.Provider, c.lines)
	for _, d := range found {
		if err == nil {
			err = c.out(d)
		}
	}
	c.lines = c.lines[:0]
	return err
}

// lacking finds what our ledger has of the day and the statement lacks.
func (c *checking) lacking(ctx context.Context) error {
	from := c.o.Day.UTC().Truncate(24 * time.Hour)
	to := from.Add(24 * time.Hour)
	for after := int64(0); ; {
		rows, err := c.ledger.Moved(ctx, payment.Span{Provider: c.o.Provider, From: from, To: to, After: after, Limit: page})
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, m := range rows {
			after = m.Seq
			c.total.Here.add(m.Kind, m.Currency, m.Amount)
			if m.At.Before(from.Add(c.o.Margin)) || !m.At.Before(to.Add(-c.o.Margin)) {
				continue
			}
			if err := c.look(ctx, m); err != nil {
				return err
			}
		}
	}
}

func (c *checking) look(ctx context.Context, m payment.Money) error {
	var n int
	err := c.tx.QueryRowContext(ctx, `SELECT count(*) FROM seen WHERE type=? AND ref=?`, m.Kind, m.Ref).Scan(&n)
	if err != nil || n > 0 {
		return err
	}
	return c.out(Difference{
		Kind: MissingThere, Type: m.Kind, Ref: m.Ref, Payment: m.Payment.String(), Here: sum(m.Amount, m.Currency), There: "nothing",
		Do: "look at the next day's statement; if it is not there either, claim it from the provider with its signed report",
	})
}
