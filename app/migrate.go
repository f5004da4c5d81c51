package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"penstock/bus/mysqlstore"
	"penstock/config"
	"penstock/internal/durable"
	"penstock/internal/owner"
	"penstock/order"
	orderdriver "penstock/order/driver"
	"penstock/order/payment"
	"penstock/stock/driver"
)

// movedFile marks a data directory whose content lives elsewhere now.
const movedFile = "moved.json"

// moved is what the mark says. It is there from the beginning of a move, so that nobody sells from what is being copied; Done says
// that everything was copied and compared.
type moved struct {
	To   string    `json:"to"`
	At   time.Time `json:"at"`
	Done bool      `json:"done"`
	// Parts are those that were copied and compared: a move that goes on passes them over.
	Parts []string `json:"parts,omitempty"`
}

// Migrate copies the embedded engines of a data directory into the empty databases that cfg names: the stock with its ledger,
// the orders with their events, the balances, the payments, the lines of the bank, the transactions across services, the dead letters,
// the third-party apps, the webhooks, the logins of the back office, the lines. Every number and id stays the same, and each part is read back and
// compared. No process may run on the directory or on the databases meanwhile. The source is only read, and marked, so that nobody
// sells from it again. Broken off before the payments were reached, it may be repeated as it is. say is told how
// far each part is; total 0 means that it is not known.
//
// What the orders have not got yet of the stock is in its journal, which they read from its beginning again and have the effect
// once. Messages that orders and payments have published are not copied: while some reader has not got one of them, nothing is moved.
func Migrate(ctx context.Context, from string, cfg config.Config, o Options, say func(part string, done, total uint64)) (err error) {
	for key, url := range map[string]string{"stock": cfg.Stock, "orders": cfg.OrdersEngine()} {
		if url == "sqlite:" {
			return config.Problems{{Key: key, Value: url, What: "is where the data is now, not where it could go", Example: "mysql://penstock:secret@db:3306/penstock"}}
		}
	}
	own, err := owner.Take(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, own.Release()) }()
	mark, err := readMark(from)
	to := config.Masked(cfg.Stock)
	switch {
	case err != nil:
		return err
	case mark != nil && (mark.Done || mark.To != to):
		return notMoved(from)
	}
	old := cfg
	old.Data, old.Stock, old.Orders = from, "sqlite:", ""
	source, err := New(ctx, old, o)
	if err != nil {
		return err
	}
	target, err := New(ctx, cfg, o)
	if err != nil {
		return err
	}
	m := migration{source: source, target: target, say: say}
	if mark == nil {
		if err = m.drained(ctx); err != nil {
			return err
		}
	}
	if err = m.reach(ctx); err != nil { // nothing is marked for a target that cannot be used
		return err
	}
	if mark == nil {
		mark = &moved{To: to, At: time.Now().UTC()}
	}
	if err = writeMark(from, mark); err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		move func(context.Context) error
	}{{"stock", m.stock}, {"orders", m.orders}, {"dead-letters", m.letters}, {"balances", m.balances}, {"transfers", m.transfers}, {"transactions", m.transactions},
		{"apps", m.apps}, {"webhooks", m.hooks}, {"logins", m.people}, {"lines", m.lines}, {"payments", m.payments}} {
		if slices.Contains(mark.Parts, part.name) {
			continue
		}
		if err = part.move(ctx); err != nil {
			return err
		}
		mark.Parts = append(mark.Parts, part.name)
		if err = writeMark(from, mark); err != nil {
			return err
		}
	}
	mark.At, mark.Done = time.Now().UTC(), true
	return writeMark(from, mark)
}

func writeMark(dir string, m *moved) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, movedFile), append(text, '\n'), 0o640)
}

// readMark returns the mark of a directory, or nil.
func readMark(dir string) (*moved, error) {
	path := filepath.Join(dir, movedFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var m moved
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &m, nil
}

// notMoved refuses a directory whose content lives elsewhere, or is on its way.
func notMoved(dir string) error {
	m, err := readMark(dir)
	if err != nil || m == nil {
		return err
	}
	path, at := filepath.Join(dir, movedFile), m.At.Format(time.RFC3339)
	if !m.Done {
		return fmt.Errorf("the content of %s began to move to %s on %s: run penstock migrate again to its end; who wants to stay removes %s and empties the target",
			dir, m.To, at, path)
	}
	return fmt.Errorf("the content of %s was moved to %s on %s: start with that engine; who wants the old copy back removes %s, and loses what was sold since",
		dir, m.To, at, path)
}

// migration moves one part after the other.
type migration struct {
	source, target *App
	say            func(part string, done, total uint64)
}

// reach opens the target once, so that a wrong name or a missing privilege is told before anything is done.
func (m *migration) reach(ctx context.Context) error {
	db, err := open(ctx, "stock", m.target.cfg.Stock, m.target.engines().stock)
	if err != nil {
		return err
	}
	orders, err := open(ctx, "orders", m.target.cfg.OrdersEngine(), m.target.engines().orders)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	return errors.Join(orders.Close(), db.Close())
}

// importer is a stock database that can take over another's content.
type importer interface {
	Import(ctx context.Context, from driver.Reader, progress func(done, total uint64)) error
}

func (m *migration) stock(ctx context.Context) error {
	to := func(ctx context.Context) (stockDB, error) {
		return open(ctx, "stock", m.target.cfg.Stock, m.target.engines().stock)
	}
	return between(ctx, m.source.sqliteStock, to, func(from, to stockDB) error {
		into, ok := to.Driver.(importer)
		if !ok {
			return fmt.Errorf("the engine of %s cannot take over another's content", config.Masked(m.target.cfg.Stock))
		}
		return into.Import(ctx, from, func(done, total uint64) { m.say("stock", done, total) })
	})
}

func (m *migration) orders(ctx context.Context) error {
	to := func(ctx context.Context) (orderdriver.Store, error) {
		return open(ctx, "orders", m.target.cfg.OrdersEngine(), m.target.engines().orders)
	}
	return between(ctx, m.source.sqliteOrders, to, func(from, to orderdriver.Store) error {
		_, err := order.Import(ctx, to, from, func(p order.Progress) { m.say("orders", uint64(p.Orders), uint64(p.Total)) })
		return err
	})
}

func (m *migration) payments(ctx context.Context) error {
	to := func(ctx context.Context) (payment.Store, error) {
		return open(ctx, "orders", m.target.cfg.OrdersEngine(), m.target.engines().payments)
	}
	return between(ctx, m.source.sqlitePayments, to, func(from, to payment.Store) error {
		tables, err := payment.Import(ctx, from, to)
		for _, t := range tables {
			m.say(t.Table, uint64(t.Rows), uint64(t.Rows))
		}
		return err
	})
}

func (m *migration) letters(ctx context.Context) (err error) {
	from, err := m.source.sqliteDesk(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.close()) }()
	to, err := open(ctx, "stock", m.target.cfg.Stock, m.target.engines().desk)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.close()) }()
	into, ok := to.Store.(*mysqlstore.Store)
	if !ok {
		return fmt.Errorf("the engine of %s cannot take over dead letters", config.Masked(m.target.cfg.Stock))
	}
	n, err := into.Import(ctx, from, time.Now())
	m.say("dead letters", uint64(n), uint64(n))
	return err
}

// between opens both sides for f and closes them.
func between[T io.Closer](ctx context.Context, from, to func(context.Context) (T, error), f func(from, to T) error) error {
	a, err := from(ctx)
	if err != nil {
		return err
	}
	b, err := to(ctx)
	if err != nil {
		return errors.Join(err, a.Close())
	}
	return errors.Join(f(a, b), b.Close(), a.Close())
}
