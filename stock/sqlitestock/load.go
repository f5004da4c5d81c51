package sqlitestock

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"

	"penstock/internal/ident"
	"penstock/stock/driver"
)

// load rebuilds the memory from the committed rows and checks that the journal and the stock rows say the same.
func load(ctx context.Context, db *sql.DB) (*memory, error) {
	m := newMemory()
	var sent, maxAudit int64
	err := db.QueryRowContext(ctx, "SELECT sent, (SELECT ifnull(max(seq), 0) FROM audit) FROM meta").Scan(&sent, &maxAudit)
	if err != nil {
		return nil, err
	}
	m.audit = uint64(maxAudit)
	from, err := m.loadSales(ctx, db)
	if err != nil {
		return nil, err
	}
	if err = m.loadStock(ctx, db); err != nil {
		return nil, err
	}
	if err = m.loadTail(ctx, db); err != nil {
		return nil, err
	}
	sums := map[driver.StockRef]*driver.Stock{}
	if err = m.loadJournal(ctx, db, from, func(b *brief) { m.learnRow(b, uint64(sent), sums) }); err != nil {
		return nil, err
	}
	return m, m.check(sums)
}

func (m *memory) loadSales(ctx context.Context, db *sql.DB) (from uint64, err error) {
	rows, err := db.QueryContext(ctx, "SELECT n, doc, first_seq, archived FROM sale ORDER BY n")
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	from = ^uint64(0)
	for rows.Next() {
		s := newSale(0, 0)
		var doc string
		if err := rows.Scan(&s.num, &doc, &s.first, &s.archived); err != nil {
			return 0, err
		}
		if err := json.Unmarshal([]byte(doc), &s.doc); err != nil {
			return 0, fmt.Errorf("sale %d: %w", s.num, err)
		}
		if !s.archived {
			from = min(from, s.first)
		}
		m.sales[s.doc.ID], m.byNum[s.num], m.lastNum = s, s, s.num
	}
	return from, rows.Err()
}

func (m *memory) loadStock(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, "SELECT sale, sku, offered, available, held, sold, withdrawn, version, waiting FROM stock")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		l, num := &driver.Stock{}, int64(0)
		if err := rows.Scan(&num, &l.SKU, &l.Offered, &l.Available, &l.Held, &l.Sold, &l.Withdrawn, &l.Version, &l.Waiting); err != nil {
			return err
		}
		s := m.byNum[num]
		if s == nil {
			return fmt.Errorf("stock row of unknown sale %d", num)
		}
		l.Sale = s.doc.ID
		m.levels[driver.StockRef{Sale: l.Sale, SKU: l.SKU}] = l
	}
	return rows.Err()
}

// loadTail reads the last numbers in use, also where every sale is archived.
func (m *memory) loadTail(ctx context.Context, db *sql.DB) error {
	var r row
	err := db.QueryRowContext(ctx, "SELECT "+journalColumns+" FROM journal j ORDER BY seq DESC LIMIT 1").Scan(r.fields()...)
	if err == sql.ErrNoRows {
		return nil
	}
	if err != nil {
		return err
	}
	m.seq = uint64(r.seq)
	if r.lines.Valid {
		var lines []driver.Line
		if err := json.Unmarshal([]byte(r.lines.String), &lines); err != nil {
			return fmt.Errorf("journal row %d: lines: %w", r.seq, err)
		}
		m.seq += uint64(len(lines)) - 1
	}
	if r.ref.Valid { // a move takes as many numbers as its hold
		var lines sql.NullInt64
		if err := db.QueryRowContext(ctx, "SELECT json_array_length(lines) FROM journal WHERE seq = ?", r.ref.Int64).Scan(&lines); err != nil {
			return err
		}
		m.seq += uint64(max(lines.Int64, 1)) - 1
	}
	var last sql.NullInt64
	err = db.QueryRowContext(ctx, `SELECT max(id) FROM (SELECT id FROM journal WHERE kind IN (1, 2) ORDER BY seq DESC LIMIT 4096)`).Scan(&last)
	m.last = ident.ID(last.Int64)
	return err
}

// brief is what the start needs of a journal row.
type brief struct {
	seq, kind, sale, id, quantity, releaseAt, state, pass int64
	user, key, sku                                        string
	lines                                                 []byte
}

const chunkRows = 16384

// loadJournal reads the journal after from in chunks, several at once, and gives the rows to learn in order.
func (m *memory) loadJournal(ctx context.Context, db *sql.DB, from uint64, learn func(*brief)) error {
	if from >= m.seq {
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	chunks := make(chan chan []brief, runtime.GOMAXPROCS(0)) // in order; its capacity bounds the chunks in memory
	g.Go(func() error {
		defer close(chunks)
		for lo := from; lo < m.seq; lo += chunkRows {
			out := make(chan []brief, 1)
			select {
			case chunks <- out:
			case <-ctx.Done():
				return ctx.Err()
			}
			g.Go(func() error {
				defer close(out)
				page, err := readChunk(ctx, db, lo)
				out <- page
				return err
			})
		}
		return nil
	})
	for out := range chunks {
		page := <-out
		for i := range page {
			learn(&page[i])
		}
	}
	return g.Wait()
}

func readChunk(ctx context.Context, db *sql.DB, lo uint64) ([]brief, error) {
	rows, err := db.QueryContext(ctx, `SELECT seq, kind, sale, ifnull(id, 0), ifnull(quantity, 0), ifnull(release_at, 0), ifnull(state, 0), ifnull(pass, 0),
		ifnull(user, ''), ifnull(key, ''), ifnull(sku, ''), lines FROM journal WHERE seq > ? AND seq <= ? ORDER BY seq`, int64(lo), int64(lo+chunkRows))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	page := make([]brief, 0, chunkRows)
	for rows.Next() {
		var b brief
		err := rows.Scan(&b.seq, &b.kind, &b.sale, &b.id, &b.quantity, &b.releaseAt, &b.state, &b.pass, &b.user, &b.key, &b.sku, &b.lines)
		if err != nil {
			return nil, err
		}
		page = append(page, b)
	}
	return page, rows.Err()
}

// learnRow takes one row into memory and into the sums that the stock rows must equal.
func (m *memory) learnRow(b *brief, sent uint64, sums map[driver.StockRef]*driver.Stock) {
	s := m.byNum[b.sale]
	if s == nil || s.archived {
		return
	}
	kind := driver.Kind(b.kind)
	sum := func(sku string) *driver.Stock {
		ref := driver.StockRef{Sale: s.doc.ID, SKU: sku}
		if sums[ref] == nil {
			sums[ref] = &driver.Stock{}
		}
		return sums[ref]
	}
	switch kind {
	case driver.OfferKind:
		sum(b.sku).Offered += b.quantity
	case driver.Withdraw:
		sum(b.sku).Withdrawn -= b.quantity
	case driver.Wait:
		s.loadWaiter(b)
		return
	case driver.Hold, driver.Refuse:
		m.addKey(s, b.user, b.key, uint64(b.seq))
		m.addID(ident.ID(b.id), uint64(b.seq))
		m.usePass(s, b.user, uint64(b.pass))
	}
	if kind == driver.Refuse {
		s.noes.add(m.holder(b.user), 1)
	}
	if kind != driver.Hold {
		if b.key != "" && (kind == driver.OfferKind || kind == driver.Withdraw) {
			m.addKey(s, "", b.key, uint64(b.seq))
		}
		return
	}
	s.last = uint64(b.seq)
	if s.last > sent {
		m.unsent = append(m.unsent, unsent{m.hash(b.user, ""), uint64(b.seq)})
	}
	state := driver.ClaimState(b.state)
	if state == driver.Held {
		m.pushDue(b.releaseAt, uint64(b.seq))
	}
	for _, l := range b.held() {
		switch state {
		case driver.Held:
			sum(l.SKU).Held += l.Quantity
		case driver.Sold:
			sum(l.SKU).Sold += l.Quantity
		}
		if state != driver.Released {
			m.take(s, l.SKU, b.user, l.Quantity)
		}
	}
}

// held returns the lines of a hold; a line that cannot be read is missing from the sums, and the check says so.
func (b *brief) held() []driver.Line {
	if b.lines == nil {
		return []driver.Line{{SKU: b.sku, Quantity: b.quantity}}
	}
	var lines []driver.Line
	if json.Unmarshal(b.lines, &lines) != nil {
		return nil
	}
	return lines
}

// contradiction is the error of a file that can be read and whose rows do not agree.
type contradiction string

func (c contradiction) Error() string { return string(c) }

func contradicts(format string, a ...any) error { return contradiction(fmt.Sprintf(format, a...)) }

// check compares the stock rows of sales in memory with what the journal adds up to.
func (m *memory) check(sums map[driver.StockRef]*driver.Stock) error {
	for ref, l := range m.levels {
		if m.sales[ref.Sale].archived {
			continue
		}
		sum := sums[ref]
		if sum == nil {
			sum = &driver.Stock{}
		}
		if sum.Offered != l.Offered || sum.Withdrawn != l.Withdrawn || sum.Held != l.Held || sum.Sold != l.Sold ||
			l.Offered-l.Withdrawn != l.Available+l.Held+l.Sold {
			return contradicts("stock of %q in sale %q does not add up: the row says offered %d, withdrawn %d, available %d, held %d, sold %d; "+
				"the journal says offered %d, withdrawn %d, held %d, sold %d", ref.SKU, ref.Sale, l.Offered, l.Withdrawn, l.Available,
				l.Held, l.Sold, sum.Offered, sum.Withdrawn, sum.Held, sum.Sold)
		}
		if n := m.sales[ref.Sale].lists.len(ref.SKU); n != l.Waiting {
			return contradicts("the waiting list of %q in sale %q has %d entries that wait, the row says %d", ref.SKU, ref.Sale, n, l.Waiting)
		}
	}
	return nil
}
