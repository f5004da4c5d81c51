package mysqlstock

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"penstock/engine/mysql"
	"penstock/internal/ident"
	"penstock/stock/driver"
)

// importPage is how many journal entries one transaction copies.
const importPage = 1000

// sentReader is a reader that knows how far the bus has got.
type sentReader interface {
	SentUpTo(ctx context.Context) (uint64, error)
}

// Import copies another stock database into this one, which must be empty or hold an import of the same that was interrupted:
// then it goes on where it ended. Nobody may write to from meanwhile. Numbers stay the same, so that the ledger and the
// messages are the same byte by byte; at the end everything is read back and compared. Until then decisions here are refused
// as unavailable. progress, which may be nil, is told how far the journal is copied.
//
// Allowances are counted from the claims. How far the bus has got is copied from a reader that has SentUpTo; without it every
// message counts as not sent, and is sent again under its old id.
func (d *DB) Import(ctx context.Context, from driver.Reader, progress func(done, total uint64)) error {
	d.write.Lock()
	defer d.write.Unlock()
	if d.closed {
		return errClosed
	}
	i := &importer{d: d, from: from, progress: progress}
	if i.progress == nil {
		i.progress = func(uint64, uint64) {}
	}
	if err := i.run(ctx); err != nil {
		return fmt.Errorf("import into %s: %w", d.db.Config(), err)
	}
	d.importing = false
	return nil
}

// loadImport notes whether an import was begun and not finished.
func (d *DB) loadImport(ctx context.Context) error {
	return d.db.QueryRowContext(ctx, "SELECT COUNT(*) > 0 FROM import WHERE done = 0").Scan(&d.importing)
}

type importer struct {
	d        *DB
	from     driver.Reader
	progress func(done, total uint64)
	snap     *driver.Snapshot
}

func (i *importer) run(ctx context.Context) error {
	var err error
	if i.snap, err = i.from.Snapshot(ctx); err != nil {
		return fmt.Errorf("read the source: %w", err)
	}
	after, err := i.begin(ctx)
	if err != nil {
		return err
	}
	if err := i.copyJournal(ctx, after); err != nil {
		return err
	}
	if err := i.finish(ctx); err != nil {
		return err
	}
	if err := i.verify(ctx); err != nil {
		return fmt.Errorf("what was copied is not the same: %w; empty this database and import again", err)
	}
	_, err = i.d.db.ExecContext(ctx, "UPDATE import SET done = 1 WHERE one = 1")
	return err
}

// begin marks the import and returns how far the journal was copied before.
func (i *importer) begin(ctx context.Context) (after uint64, err error) {
	err = mysql.Tx(ctx, i.d.db, func(tx *sql.Tx) error {
		var sales, done, begun int
		if err := tx.QueryRowContext(ctx, "SELECT seq, (SELECT COUNT(*) FROM sale), (SELECT COUNT(*) FROM import), (SELECT COUNT(*) FROM import WHERE done = 1) FROM head WHERE one = 1 FOR UPDATE").
			Scan(&after, &sales, &begun, &done); err != nil {
			return err
		}
		if done > 0 || begun == 0 && (after > 0 || sales > 0) {
			return errors.New("it is not empty: name a new database")
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO import (one, done) VALUES (1, 0) ON DUPLICATE KEY UPDATE one = 1")
		return err
	})
	if err == nil {
		i.d.importing = true
	}
	return after, err
}

// copyJournal copies pages, each with its attempts and allowances and the number it ends at in one transaction.
func (i *importer) copyJournal(ctx context.Context, after uint64) error {
	for {
		page, err := i.from.Journal(ctx, after, importPage)
		if err != nil {
			return fmt.Errorf("read the source: %w", err)
		}
		if len(page) == 0 {
			return nil
		}
		last := page[len(page)-1].Last()
		err = mysql.Tx(ctx, i.d.db, func(tx *sql.Tx) error { return copyPage(ctx, tx, page, after, last) })
		if err != nil {
			return fmt.Errorf("copy entries after %d: %w", after, err)
		}
		after = last
		i.progress(after, i.snap.Seq)
	}
}

func copyPage(ctx context.Context, tx *sql.Tx, page []driver.Entry, after, last uint64) error {
	p, err := planOf(page)
	if err != nil {
		return err
	}
	res, err := tx.ExecContext(ctx, "UPDATE head SET seq = ?, commits = commits + 1 WHERE one = 1 AND seq = ?", last, after)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errors.Join(errors.New("another import runs at the same time"), err)
	}
	w := &writer{tx: tx, plan: p}
	for _, step := range []func(context.Context) error{w.taken, w.attempts, w.journal, w.offers, w.joined} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// planOf turns entries back into rows, with the numbers they have.
func planOf(page []driver.Entry) (*plan, error) {
	p := &plan{items: map[ident.ID][]byte{}}
	delta := map[driver.TakenRef]int64{}
	for i := range page {
		e := &page[i]
		row := journalRow{seq: e.Seq, kind: e.Kind, at: toMicro(e.At)}
		switch e.Kind {
		case driver.Hold, driver.Refuse:
			a := e.Attempt
			items, err := json.Marshal(a.Lines)
			if err != nil {
				return nil, err
			}
			row.ref, p.items[a.ID] = a.ID, items
			p.attempts = append(p.attempts, a)
			countTaken(a, delta)
		case driver.Sell, driver.Release:
			row.ref, row.why, row.trace = e.Attempt.ID, e.Why, e.Trace
		case driver.OfferKind, driver.Withdraw:
			p.offers = append(p.offers, offerRow{e.Seq, e.Offer})
		case driver.Wait:
			p.joins = append(p.joins, joinRow{e.Seq, e.Waiter}) // as it is now: what became of it needs no page of its own
		case driver.Quit:
			row.ref, row.why = ident.ID(e.Waiter.Seq), e.Why
		default:
			return nil, fmt.Errorf("entry %d has the unknown kind %d", e.Seq, e.Kind)
		}
		p.journal = append(p.journal, row)
	}
	slices.SortFunc(p.attempts, func(a, b *driver.Attempt) int { return cmp.Compare(a.ID, b.ID) })
	p.listTaken(delta)
	return p, nil
}

func countTaken(a *driver.Attempt, delta map[driver.TakenRef]int64) {
	if !a.Won() || a.State == driver.Released {
		return
	}
	for _, l := range a.Lines {
		delta[driver.TakenRef{Sale: a.Key.Sale, SKU: l.SKU, User: a.Key.User}] += l.Quantity
	}
}

// finish writes what makes the copy sell: sales and stock, and the trail, in one transaction. It may run again.
func (i *importer) finish(ctx context.Context) error {
	sent := uint64(0)
	if r, ok := i.from.(sentReader); ok {
		var err error
		if sent, err = r.SentUpTo(ctx); err != nil {
			return fmt.Errorf("read the source: %w", err)
		}
	}
	if err := i.copyTrail(ctx); err != nil {
		return err
	}
	return mysql.Tx(ctx, i.d.db, func(tx *sql.Tx) error {
		for _, statement := range []string{"DELETE FROM sale", "DELETE FROM stock"} {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
		if err := copyRows(ctx, tx, i.snap); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "UPDATE head SET seq = ?, edition = edition + 1, commits = commits + 1 WHERE one = 1", i.snap.Seq)
		if err == nil {
			_, err = tx.ExecContext(ctx, "UPDATE outbox SET sent = ? WHERE one = 1", sent)
		}
		return err
	})
}

func copyRows(ctx context.Context, tx *sql.Tx, snap *driver.Snapshot) error {
	docs := make([][]byte, len(snap.Sales))
	for i := range snap.Sales {
		var err error
		if docs[i], err = json.Marshal(&snap.Sales[i]); err != nil {
			return err
		}
	}
	put := list{len(docs), "INSERT INTO sale (id, doc, version) VALUES ", "", func(t *text, i int) {
		t.raw("(").bytes(snap.Sales[i].ID).raw(",").bytes(string(docs[i])).raw(",").num(snap.Sales[i].Version).raw(")")
	}}
	_, err := put.exec(ctx, tx)

	if err != nil {
		return err
	}
	more := list{len(snap.Stock), insertStock, "", func(t *text, i int) { putStock(t, &snap.Stock[i]) }}
	_, err = more.exec(ctx, tx)
	return err
}

// copyTrail goes on after the last row that was copied.
func (i *importer) copyTrail(ctx context.Context) error {
	for {
		var after uint64
		if err := i.d.db.QueryRowContext(ctx, "SELECT audit FROM head WHERE one = 1").Scan(&after); err != nil {
			return err
		}
		page, err := i.from.Audit(ctx, after, importPage)
		if err != nil {
			return fmt.Errorf("read the source: %w", err)
		}
		if len(page) == 0 {
			return nil
		}
		err = mysql.Tx(ctx, i.d.db, func(tx *sql.Tx) error {
			rows := list{len(page), insertAudit, "", func(t *text, i int) { putAudit(t, &page[i]) }}
			if _, err := rows.exec(ctx, tx); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, "UPDATE head SET audit = ?, commits = commits + 1 WHERE one = 1", page[len(page)-1].Seq)
			return err
		})
		if err != nil {
			return fmt.Errorf("copy the trail after %d: %w", after, err)
		}
	}
}

// verify compares sales, stock, every entry of the journal and every row of the trail, as they read on both sides.
func (i *importer) verify(ctx context.Context) error {
	own, err := i.d.snapshot(ctx)
	if err != nil {
		return err
	}
	theirs := *i.snap
	own.Now = theirs.Now
	arrange(own)
	arrange(&theirs)
	if err := alike("sales and stock", own, &theirs); err != nil {
		return err
	}
	err = compare("entries of the journal", func(after uint64, r driver.Reader) ([]driver.Entry, error) {
		return r.Journal(ctx, after, importPage)
	}, i, func(e *driver.Entry) uint64 { return e.Seq })
	if err != nil {
		return err
	}
	err = compare("rows of the trail", func(after uint64, r driver.Reader) ([]driver.Audit, error) {
		return r.Audit(ctx, after, importPage)
	}, i, func(a *driver.Audit) uint64 { return a.Seq })
	if err != nil {
		return err
	}
	return i.verifyTaken(ctx)
}

// verifyTaken compares the sum of the allowances with the units held and sold, which every other number stands on.
func (i *importer) verifyTaken(ctx context.Context) error {
	return query(ctx, i.d.db, `SELECT s.sale, s.sku, s.held + s.sold, COALESCE(SUM(a.taken), 0) AS taken FROM stock s
		LEFT JOIN allowance a ON a.sale = s.sale AND a.sku = s.sku GROUP BY s.sale, s.sku, s.held, s.sold HAVING taken <> s.held + s.sold`,
		func(rows *sql.Rows) error {
			var sale, sku string
			var units, taken int64
			if err := rows.Scan(&sale, &sku, &units, &taken); err != nil {
				return err
			}
			return fmt.Errorf("%q of sale %q has %d units held and sold, and its claims are for %d", sku, sale, units, taken)
		})
}

func arrange(s *driver.Snapshot) {
	s.Sales, s.Stock = slices.Clone(s.Sales), slices.Clone(s.Stock)
	slices.SortFunc(s.Sales, func(a, b driver.Sale) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(s.Stock, func(a, b driver.Stock) int {
		return cmp.Or(cmp.Compare(a.Sale, b.Sale), cmp.Compare(a.SKU, b.SKU))
	})
}

// compare reads the same pages on both sides.
func compare[T any](what string, page func(after uint64, r driver.Reader) ([]T, error), i *importer, seq func(*T) uint64) error {
	for after := uint64(0); ; {
		theirs, err := page(after, i.from)
		if err != nil {
			return fmt.Errorf("read the source: %w", err)
		}
		own, err := page(after, i.d)
		if err != nil {
			return err
		}
		if err := alike(fmt.Sprintf("%s after %d", what, after), own, theirs); err != nil || len(theirs) == 0 {
			return err
		}
		after = seq(&theirs[len(theirs)-1])
	}
}

// alike compares the JSON of two values.
func alike(what string, own, theirs any) error {
	a, err := json.Marshal(own)
	if err != nil {
		return err
	}
	b, err := json.Marshal(theirs)
	if err != nil {
		return err
	}
	if bytes.Equal(a, b) {
		return nil
	}
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	from := max(0, n-60)
	return fmt.Errorf("%s: here %.120s, at the source %.120s", what, a[from:], b[from:])
}
