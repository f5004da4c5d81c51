package app

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"penstock/balance"
	"penstock/balance/till"
	"penstock/config"
	"penstock/engine/groupcommit"
	"penstock/engine/mysql"
	"penstock/gateway/api"
	"penstock/saga"
	"penstock/saga/participant"
	"penstock/saga/remote"
	"penstock/saga/shop"
	"penstock/stock/driver"
	webhook "penstock/webhook/standard"
)

// ownParticipants are what of this Penstock takes part in transactions, its own and those of others.
func (a *App) ownParticipants() map[string]participant.Participant {
	return map[string]participant.Participant{
		"stock":   shop.NewStock(a.stock),
		"order":   shop.NewOrder(a.stock, a.orders, a.orderMoney()),
		"balance": balance.NewParticipant(a.balances),
	}
}

// orderMoney lets orders that a balance pays in a transaction have a payment, where the balance is a way to pay.
func (a *App) orderMoney() shop.Money {
	if a.pays[till.Name] == nil {
		return shop.Money{}
	}
	return shop.Money{Payments: a.payments, Method: till.Name, Ref: balance.BranchRef}
}

// participants are all that this process knows: its own and those elsewhere.
func (a *App) participants() (map[string]participant.Participant, error) {
	all := a.ownParticipants()
	for _, c := range a.cfg.Transactions.Bearers {
		if !slices.ContainsFunc(a.cfg.Transactions.Participants, func(n config.Named) bool { return n.Name == c.Name }) {
			return nil, errors.New("transactions.bearers names a service that transactions.participants does not")
		}
	}
	if len(a.cfg.Transactions.Participants) == 0 {
		return all, nil
	}
	var secret webhook.Secret
	var err error
	if a.cfg.Transactions.Secret != "" {
		secret, err = webhook.ParseSecret(a.cfg.Transactions.Secret)
	} else {
		secret, err = a.keptSecret("participants.secret")
	}
	if err != nil {
		return nil, err
	}
	for _, there := range a.cfg.Transactions.Participants {
		if all[there.Name] != nil {
			return nil, errors.New("transactions.participants names " + there.Name + ", which is this Penstock's own; choose another name")
		}
		if all[there.Name], err = remote.New(there.URL, []webhook.Secret{secret}, remote.Options{Clock: a.opt.Clock, Bearer: a.bearer(there.Name)}); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// bearer is the token for a participant elsewhere, or "".
func (a *App) bearer(name string) string {
	for _, c := range a.cfg.Transactions.Bearers {
		if c.Name == name {
			return c.Token
		}
	}
	return ""
}

func (a *App) startSaga(ctx context.Context) (func(context.Context) error, error) {
	parts, err := a.participants()
	if err != nil {
		return nil, err
	}
	table := map[string]func(context.Context) (saga.Store, error){"sqlite": a.sqliteSaga, "mysql": a.mysqlSaga}
	store, err := open(ctx, "orders", a.cfg.OrdersEngine(), table)
	if err != nil {
		return nil, err
	}
	states := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "penstock_transactions", Help: "Transactions across services by state; needs_human wait for a person.",
	}, []string{"state"})
	ended := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "penstock_transactions_ended_total", Help: "Transactions that this process brought to an end, or to a person.",
	}, []string{"state"})
	a.metrics.Registry().MustRegister(states, ended)
	a.sagas, err = saga.New(store, parts, nil, saga.Options{
		Clock: a.opt.Clock, Logger: a.log, Fault: a.opt.Fault, Timeout: a.cfg.Transactions.Timeout, CallTimeout: a.cfg.Transactions.Call,
		Tries: a.cfg.Transactions.Tries, Ended: func(s saga.State) { ended.WithLabelValues(string(s)).Inc() },
		Counted: func(all map[saga.State]int64) {
			for s, n := range all {
				states.WithLabelValues(string(s)).Set(float64(n))
			}
		},
	})
	if err == nil {
		err = a.sagas.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return func(context.Context) error { a.sagas.Stop(); return store.Close() }, nil
}

func (a *App) sqliteSaga(ctx context.Context) (saga.Store, error) {
	return saga.OpenSQLite(ctx, a.path("transactions.db"), groupcommit.Options{Logger: a.log, Fault: a.opt.Fault})
}

// mysqlSaga keeps transactions where the money is.
func (a *App) mysqlSaga(ctx context.Context) (saga.Store, error) {
	return a.besideOrders(ctx, "transactions", mysql.Options{}, saga.OpenMySQL)
}

// sagaDeps gives the operator API its transactions, and what others may call.
func (a *App) sagaDeps(d *api.Deps) {
	if a.sagas == nil {
		return
	}
	d.Transactions, d.Participants = auditedSagas{a.sagas, a.stock.Record}, a.ownParticipants()
}

// auditedSagas records what operators decide about transactions. The row is written when the decision is durable; the
// transaction's own timeline says the same should the process die in between.
type auditedSagas struct {
	*saga.Coordinator
	record func(context.Context, driver.Audit) error
}

// Begin begins a transaction; see saga.Coordinator.
func (s auditedSagas) Begin(ctx context.Context, spec saga.Spec) (*saga.Transaction, bool, error) {
	t, replayed, err := s.Coordinator.Begin(ctx, spec)
	if err != nil || replayed {
		return t, replayed, err
	}
	return t, false, s.record(ctx, driver.Audit{Who: spec.Who, Act: "transaction.begin", Object: "transaction/" + t.ID, After: sagaSummary(t)})
}

// Resolve decides about a transaction; see saga.Coordinator.
func (s auditedSagas) Resolve(ctx context.Context, id string, r saga.Resolution) (before, after *saga.Transaction, err error) {
	before, after, err = s.Coordinator.Resolve(ctx, id, r)
	if err != nil {
		return nil, nil, err
	}
	return before, after, s.record(ctx, driver.Audit{
		Who: r.Who, Act: "transaction." + string(r.Action), Object: "transaction/" + id, Why: r.Reason, Before: sagaSummary(before), After: sagaSummary(after),
	})
}

func sagaSummary(t *saga.Transaction) string {
	branches := map[string]saga.BranchState{}
	for _, b := range t.Branches {
		branches[b.Name] = b.State
	}
	text, _ := json.Marshal(map[string]any{"state": t.State, "branches": branches}) // always has a JSON form
	return string(text)
}
