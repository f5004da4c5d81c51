package app

import (
	"context"
	"fmt"
	"io"
	"maps"
	"strings"

	"penstock/config"
	"penstock/stock"
)

// backlog counts the messages that the orders have not got yet. A process that does not read them itself counts the numbers of
// the outbox that not every reader has passed: none is none, more may be too many.
func (a *App) backlog(ctx context.Context) (int64, error) {
	lag, err := a.messages(ctx)
	return ofGroup(lag, orderGroup), err
}

// messages counts what is on its way, by the names of bus.Bus.InFlight.
func (a *App) messages(ctx context.Context) (map[string]int64, error) {
	if a.cfg.Has(config.RoleOrder) {
		return a.bus.InFlight(ctx)
	}
	source := a.stock.Source()
	head, err := source.Head(ctx)
	if err != nil {
		return nil, err
	}
	low, err := a.desk.cursors.Low(ctx, source.Name())
	if err != nil {
		return nil, err
	}
	parked, _, err := a.desk.Count(ctx, orderGroup)
	name := "bus." + orderGroup + "."
	all := map[string]int64{name + stock.Topic + ".lag": int64(head - min(low, head)), name + "parked": parked}
	if now, err := source.Head(ctx); err != nil {
		return nil, err
	} else if low > now {
		all[name+stock.Topic+".beyond"] = int64(low - now)
	}
	return all, err
}

// ofGroup adds up what a group has before it, over its topics and its parked messages (see bus.Bus.InFlight for the names).
func ofGroup(lag map[string]int64, group string) (n int64) {
	for name, waiting := range lag {
		if strings.HasPrefix(name, "bus."+group+".") {
			n += waiting
		}
	}
	return n
}

// Drained returns what is in flight, by name; all zero means that no work is. It looks at each part
// before those that the part hands its work on to.
func (a *App) Drained(ctx context.Context) (map[string]int64, error) {
	money, err := a.payments.InFlight(ctx)
	if err != nil {
		return nil, err
	}
	across, err := a.sagas.InFlight(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string]int64{"payments": money, "transactions": across, "attempts": a.stock.InFlight(), "orders": a.orders.InFlight()}
	if shared := a.stockDB.shared; shared != nil {
		others, _, err := shared.Others(ctx)
		if err != nil {
			return nil, err
		}
		all["elsewhere"] = others
	}
	lag, err := a.messages(ctx)
	if err != nil {
		return nil, err
	}
	maps.Copy(all, lag)
	return all, nil
}

// Write writes one export; the names are those of the operator's API.
func (a *App) Write(ctx context.Context, name string, w io.Writer) error {
	switch name {
	case "claims", "stock-ledger", "waiting", "outbox", "audit":
		return a.stock.Export(ctx, name, w)
	case "line":
		return a.lines.Export(ctx, w)
	case "orders":
		return a.orders.ExportOrders(ctx, w)
	case "order-events":
		return a.orders.ExportEvents(ctx, w)
	case "payments":
		return a.payments.Export(ctx, w)
	case "balances":
		return a.balances.Export(ctx, w)
	case "dead-letters":
		return a.exportDeadLetters(ctx, w)
	}
	return fmt.Errorf("there is no export %q", name)
}
