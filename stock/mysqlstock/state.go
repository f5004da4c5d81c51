package mysqlstock

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"penstock/internal/ident"
	"penstock/stock/driver"
)

// reader reads what one decision must see, inside its transaction.
type reader struct {
	d       *DB
	tx      *sql.Tx
	reads   *driver.Reads
	state   driver.State
	edition uint64 // of the sales read; whoever changes a sale raises it
	late    bool   // stock rows are read without a lock
	stock0  map[driver.StockRef]*driver.Stock
	taken0  map[driver.TakenRef]int64
	failed  error // of a walk over a waiting list inside the decision
}

func (r *reader) writer(p *plan) *writer {
	return &writer{tx: r.tx, plan: p, edition: r.edition, late: r.late, stock0: r.stock0, taken0: r.taken0}
}

// read locks the stock rows before it reads anything else, unless the decision is a late one: whoever changes an allowance, a claim or a key of a row holds its
// lock, so that what is read afterwards stays true until the commit. Sales are not locked: the edition they were read at is
// asserted when the decision is written.
func (r *reader) read(ctx context.Context) error {
	for _, step := range []func(context.Context) error{r.stock, r.moment, r.taken, r.keys, r.passes, r.claims, r.sales, r.acts, r.waiting} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// distinct returns list sorted and without repeats, as locks are taken.
func distinct[T any](list []T, compare func(a, b T) int) []T {
	sorted := slices.SortedFunc(slices.Values(list), compare)
	return slices.CompactFunc(sorted, func(a, b T) bool { return compare(a, b) == 0 })
}

func compareStock(a, b driver.StockRef) int {
	return cmp.Or(cmp.Compare(a.Sale, b.Sale), cmp.Compare(a.SKU, b.SKU))
}

func compareTaken(a, b driver.TakenRef) int {
	return cmp.Or(cmp.Compare(a.Sale, b.Sale), cmp.Compare(a.SKU, b.SKU), cmp.Compare(a.User, b.User))
}

func compareKeys(a, b driver.Key) int {
	return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Sale, b.Sale), cmp.Compare(a.Key, b.Key))
}

func comparePasses(a, b driver.PassRef) int {
	return cmp.Or(cmp.Compare(a.Sale, b.Sale), cmp.Compare(a.Entry, b.Entry), cmp.Compare(a.User, b.User))
}

const (
	stockColumns = "sale, sku, offered, available, held, sold, withdrawn, version, waiting"
	// The index is named so that a small table is not scanned, which would lock every row of it.
	lockStock = "SELECT " + stockColumns + " FROM stock FORCE INDEX (PRIMARY) WHERE (sale, sku) IN ("
)

func (r *reader) stock(ctx context.Context) error {
	refs := distinct(r.reads.Stock, compareStock)
	found := make(map[driver.StockRef]*driver.Stock, len(refs))
	tail := ") ORDER BY sale, sku FOR UPDATE"
	if r.late {
		tail = ")"
	}
	wanted := list{len(refs), lockStock, tail,
		func(t *text, i int) { t.row(refs[i].Sale, refs[i].SKU) }}
	err := wanted.query(ctx, r.tx, func(rows *sql.Rows) error {
		var l driver.Stock
		if err := rows.Scan(stockFields(&l)...); err != nil {
			return err
		}
		found[driver.StockRef{Sale: l.Sale, SKU: l.SKU}] = &l
		return nil
	})

	r.stock0 = found
	r.state.Stock = make([]*driver.Stock, len(r.reads.Stock))
	for i, ref := range r.reads.Stock {
		r.state.Stock[i] = found[ref]
	}
	return err
}

func stockFields(l *driver.Stock) []any {
	return []any{&l.Sale, &l.SKU, &l.Offered, &l.Available, &l.Held, &l.Sold, &l.Withdrawn, &l.Version, &l.Waiting}
}

// moment asserts that the number in ids is still ours, which whoever takes it must wait for, and reads the time and the
// edition of the sales after the locks: a decision that waited is made by the time at which its wait ended.
func (r *reader) moment(ctx context.Context) error {
	n := r.d.node.Load()
	var owner string
	var epoch, now int64
	err := r.tx.QueryRowContext(ctx, "SELECT owner, epoch, "+nowMicros+", (SELECT edition FROM head WHERE one = 1) FROM node WHERE n = ? FOR UPDATE", n.n).
		Scan(&owner, &epoch, &now, &r.edition)
	if err != nil {
		return err
	}
	if owner != r.d.owner || epoch != n.epoch {
		return errNodeLost
	}
	r.state.Now = r.d.now(now)
	return nil
}

// now is the injected time, or the database's.
func (d *DB) now(database int64) time.Time {
	if d.opt.Clock != nil {
		return d.opt.Clock.Now().UTC().Truncate(time.Microsecond)
	}
	return time.UnixMicro(database).UTC()
}

const selectTaken = "SELECT sale, sku, user, taken FROM allowance WHERE (sale, sku, user) IN ("

func putTakenRef(t *text, ref driver.TakenRef) { t.row(ref.Sale, ref.SKU, ref.User) }

func (r *reader) taken(ctx context.Context) error {
	refs := distinct(r.reads.Taken, compareTaken)
	found := make(map[driver.TakenRef]int64, len(refs))
	wanted := list{len(refs), selectTaken, ")",
		func(t *text, i int) { putTakenRef(t, refs[i]) }}
	err := wanted.query(ctx, r.tx, func(rows *sql.Rows) error {
		var ref driver.TakenRef
		var n int64
		if err := rows.Scan(&ref.Sale, &ref.SKU, &ref.User, &n); err != nil {
			return err
		}
		found[ref] = n
		return nil
	})

	r.taken0 = found
	r.state.Taken = make([]int64, len(r.reads.Taken))
	for i, ref := range r.reads.Taken {
		r.state.Taken[i] = found[ref]
	}
	return err
}

func (r *reader) keys(ctx context.Context) error {
	found, err := findKeys(ctx, r.tx, distinct(r.reads.Keys, compareKeys))
	r.state.Known = make([]*driver.Attempt, len(r.reads.Keys))
	for i, k := range r.reads.Keys {
		r.state.Known[i] = found[k]
	}
	return err
}

func (r *reader) passes(ctx context.Context) error {
	refs := distinct(r.reads.Passes, comparePasses)
	found := make(map[driver.PassRef]bool, len(refs))
	wanted := list{len(refs), "SELECT sale, passer, pass FROM attempt FORCE INDEX (attempt_pass) WHERE (pass, sale, passer) IN (", ")",
		func(t *text, i int) {
			t.raw("(").num(int64(refs[i].Entry)).raw(",").bytes(refs[i].Sale).raw(",").bytes(refs[i].User).raw(")")
		}}
	err := wanted.query(ctx, r.tx, func(rows *sql.Rows) error {
		var p driver.PassRef
		err := rows.Scan(&p.Sale, &p.User, &p.Entry)
		found[p] = true
		return err
	})
	r.state.Used = make([]bool, len(r.reads.Passes))
	for i, p := range r.reads.Passes {
		r.state.Used[i] = found[p]
	}
	return err
}

func (r *reader) claims(ctx context.Context) error {
	found, err := findClaims(ctx, r.tx, distinct(r.reads.Claims, cmp.Compare[ident.ID]))
	r.state.Claims = make([]*driver.Attempt, len(r.reads.Claims))
	for i, id := range r.reads.Claims {
		r.state.Claims[i] = found[id]
	}
	return err
}

// sales come from memory while the edition is the one they were read at. They are read after it, so they may be newer, but
// then the edition has changed and the decision is made again.
func (r *reader) sales(ctx context.Context) error {
	d := r.d
	if d.edition != r.edition {
		clear(d.docs)
		d.edition = r.edition
	}
	var missing []string
	for _, id := range r.reads.Sales {
		if _, have := d.docs[id]; !have {
			missing = append(missing, id)
		}
	}
	wanted := list{len(missing), "SELECT id, doc FROM sale WHERE id IN (", ")",
		func(t *text, i int) { t.bytes(missing[i]) }}
	err := wanted.query(ctx, r.tx, func(rows *sql.Rows) error {
		var id string
		var doc []byte
		err := rows.Scan(&id, &doc)
		d.docs[id] = doc
		return err
	})

	if err != nil {
		return err
	}
	parsed := map[string]*driver.Sale{}
	r.state.Sales = make([]*driver.Sale, len(r.reads.Sales))
	for i, id := range r.reads.Sales {
		s, have := parsed[id]
		if doc := d.docs[id]; !have && doc != nil {
			s = &driver.Sale{}
			if err := json.Unmarshal(doc, s); err != nil {
				return fmt.Errorf("sale %q: doc: %w", id, err)
			}
			parsed[id] = s
		}
		r.state.Sales[i] = s
	}
	return nil
}

// acts waits for whoever is about to commit: an act may be refused without a row to write, and the same act may have an open
// transaction of unknown outcome, which has locked the row of head.
func (r *reader) acts(ctx context.Context) error {
	if len(r.reads.Acts) > 0 {
		var edition uint64
		if err := r.tx.QueryRowContext(ctx, "SELECT edition FROM head WHERE one = 1 FOR UPDATE").Scan(&edition); err != nil {
			return err
		}
		if edition != r.edition {
			return fmt.Errorf("%w: a sale", errStale)
		}
	}
	found := map[string]bool{}
	wanted := list{len(r.reads.Acts), "SELECT id FROM audit WHERE id IN (", ")",
		func(t *text, i int) { t.bytes(r.reads.Acts[i]) }}
	err := wanted.query(ctx, r.tx, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		found[id] = true
		return err
	})

	r.state.Acts = make([]bool, len(r.reads.Acts))
	for i, id := range r.reads.Acts {
		r.state.Acts[i] = found[id]
	}
	return err
}
