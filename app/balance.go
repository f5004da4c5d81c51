package app

import (
	"context"
	"encoding/json"

	"penstock/balance"
	"penstock/engine/groupcommit"
	"penstock/stock/driver"
)

// startBalances opens what users have with the shop. It is kept where the money is.
func (a *App) startBalances(ctx context.Context) (func(context.Context) error, error) {
	table := map[string]func(context.Context) (balance.Store, error){"sqlite": a.sqliteBalances, "mysql": a.mysqlBalances}
	db, err := open(ctx, "orders", a.cfg.OrdersEngine(), table)
	if err != nil {
		return nil, err
	}
	a.balances = balance.New(db, balance.Options{Clock: a.opt.Clock})
	return func(context.Context) error { return a.balances.Close() }, nil
}

func (a *App) sqliteBalances(ctx context.Context) (balance.Store, error) {
	return balance.OpenSQLite(ctx, a.path("balances.db"), groupcommit.Options{Logger: a.log, Fault: a.opt.Fault})
}

func (a *App) mysqlBalances(ctx context.Context) (balance.Store, error) {
	return a.besideOrders(ctx, "balances", quick(), balance.OpenMySQL)
}

// auditedBalances records what operators do to balances. The row is written when the act is durable; should the process die in
// between, the ledger names the operator too, and a repeat under the key writes the row.
type auditedBalances struct {
	*balance.Balances
	record func(context.Context, driver.Audit) error
}

// Post moves money; see balance.Balances. The row has an id of its own, so that a repeat adds none.
func (b auditedBalances) Post(ctx context.Context, m balance.Move) (balance.Transaction, bool, error) {
	t, replayed, err := b.Balances.Post(ctx, m)
	if err != nil {
		return t, replayed, err
	}
	after, _ := json.Marshal(map[string]any{"amount": t.Amount, "currency": t.Currency, "transaction": t.ID()}) // plain values always have a JSON form
	return t, replayed, b.record(ctx, driver.Audit{
		Who: t.Who, Act: "balance." + string(t.Kind), Object: "balance/" + t.User, Why: t.Reason, After: string(after), ID: "balance-" + t.ID(),
	})
}

// SetCredit sets a limit; see balance.Balances.
func (b auditedBalances) SetCredit(ctx context.Context, l balance.Limit) (balance.Standing, error) {
	before, after, err := b.Balances.SetCredit(ctx, l)
	if err != nil {
		return after, err
	}
	was, _ := json.Marshal(map[string]any{"currency": l.Currency, "limit": before.Credit})
	is, _ := json.Marshal(map[string]any{"currency": l.Currency, "limit": after.Credit})
	return after, b.record(ctx, driver.Audit{Who: l.Who, Act: "balance.limit", Object: "balance/" + l.User, Why: l.Reason, Before: string(was), After: string(is)})
}

// balances moves what users have; see Migrate.
func (m *migration) balances(ctx context.Context) error {
	to := func(ctx context.Context) (balance.Store, error) {
		return open(ctx, "orders", m.target.cfg.OrdersEngine(), map[string]func(context.Context) (balance.Store, error){"mysql": m.target.mysqlBalances})
	}
	return between(ctx, m.source.sqliteBalances, to, func(from, to balance.Store) error {
		return balance.Import(ctx, from, to, func(table string, rows uint64) { m.say(table, rows, rows) })
	})
}
