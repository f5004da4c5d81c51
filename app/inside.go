package app

import (
	"context"
	"fmt"
	"io"
	"maps"
	"strings"
)

// backlog counts the messages that the orders have not got yet.
func (a *App) backlog(ctx context.Context) (int64, error) {
	lag, err := a.bus.InFlight(ctx)
	return ofGroup(lag, orderGroup), err
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

// Drained returns what is in flight, by name; all zero means that no work is.
func (a *App) Drained(ctx context.Context) (map[string]int64, error) {
	all := map[string]int64{"attempts": a.stock.InFlight(), "orders": a.orders.InFlight()}
	lag, err := a.bus.InFlight(ctx)
	if err != nil {
		return nil, err
	}
	maps.Copy(all, lag)
	all["payments"], err = a.payments.InFlight(ctx)
	return all, err
}

// Write writes one export; the names are those of the operator's API.
func (a *App) Write(ctx context.Context, name string, w io.Writer) error {
	switch name {
	case "claims", "stock-ledger", "outbox", "audit":
		return a.stock.Export(ctx, name, w)
	case "orders":
		return a.orders.ExportOrders(ctx, w)
	case "order-events":
		return a.orders.ExportEvents(ctx, w)
	case "payments":
		return a.payments.Export(ctx, w)
	case "dead-letters":
		return a.exportDeadLetters(ctx, w)
	}
	return fmt.Errorf("there is no export %q", name)
}
