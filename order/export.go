package order

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"time"

	"penstock/internal/ident"
	store "penstock/order/driver"
	"penstock/order/shard"
)

// ExportedOrder is a line of the export "orders". Times are UTC, amounts minor units; shard is the number of the database,
// table the number of the table within it.
type ExportedOrder struct {
	ID        string          `json:"id"`
	User      string          `json:"user"`
	Sale      string          `json:"sale"`
	Key       string          `json:"key"`
	Items     json.RawMessage `json:"items"`
	Amount    int64           `json:"amount"`
	Currency  string          `json:"currency"`
	State     State           `json:"state"`
	Version   int64           `json:"version"`
	CreatedAt time.Time       `json:"createdAt"`
	PayBefore time.Time       `json:"payBefore"`
	Refunded  int64           `json:"refundedAmount"`
	Shard     int             `json:"shard"`
	Table     int             `json:"table"`
}

// ExportedEvent is a line of the export "order-events".
type ExportedEvent struct {
	Order string    `json:"order"`
	N     int64     `json:"n"`
	At    time.Time `json:"at"`
	From  State     `json:"from"`
	To    State     `json:"to"`
	Why   string    `json:"why"`
}

// exportPage is how many rows an export reads in one statement, so that it never pins the log.
const exportPage = 500

// ExportOrders writes all orders as NDJSON, by database, table and id, up to the last id that each table had when the call
// began. Each page is a short read of its own; an order shows the state it has when its page is read. A database that does not
// answer ends the export with a [*Missing], before the first line if it is known by then: an export has everything or fails.
func (o *Orders) ExportOrders(ctx context.Context, w io.Writer) error {
	from, err := o.copies(ctx)
	if err != nil {
		return err
	}
	out := newPage(w)
	for db := range from {
		for table := range shard.Tables {
			if err := from[db].orders(ctx, out, table); err != nil {
				return missing(db, err)
			}
		}
	}
	return nil
}

// ExportEvents writes the events of all orders as NDJSON, by database, order and number, up to the last order that each
// database had when the call began. It fails like [Orders.ExportOrders].
func (o *Orders) ExportEvents(ctx context.Context, w io.Writer) error {
	from, err := o.copies(ctx)
	if err != nil {
		return err
	}
	out := newPage(w)
	for db := range from {
		if err := from[db].events(ctx, out); err != nil {
			return missing(db, err)
		}
	}
	return nil
}

// page gathers the lines of one read and writes them after it, so that a slow taker holds no read transaction open.
type page struct {
	*json.Encoder
	lines bytes.Buffer
	out   io.Writer
}

func newPage(w io.Writer) *page {
	p := &page{out: w}
	p.Encoder = json.NewEncoder(&p.lines)
	return p
}

func (p *page) turn() error {
	_, err := p.lines.WriteTo(p.out)
	return err
}

// source is one database of an export.
type source struct {
	store.Reader
	last store.Last
}

// copies opens all databases for an export and finds out how far it goes.
func (o *Orders) copies(ctx context.Context) ([]source, error) {
	from := make([]source, len(o.writers))
	miss := o.gather(ctx, func(ctx context.Context, db int) (err error) {
		from[db].Reader = o.store.Database(db).Copy(ctx)
		from[db].last, err = from[db].Last(ctx)
		return err
	})
	return from, miss.err()
}

func (s *source) orders(ctx context.Context, out *page, table int) error {
	p := store.Page{Table: table, Last: s.last.Orders[table], Limit: exportPage}
	for n := exportPage; n == exportPage; {
		orders, err := s.Page(ctx, p)
		if err != nil {
			return err
		}
		for i := range orders {
			if err = out.Encode(exported(&orders[i])); err != nil {
				return err
			}
			p.After = orders[i].ID
		}
		if err = out.turn(); err != nil {
			return err
		}
		n = len(orders)
	}
	return nil
}

func exported(o *Order) *ExportedOrder {
	return &ExportedOrder{
		ID: o.ID.String(), User: o.User, Sale: o.Sale, Key: o.Key, Items: json.RawMessage(lines(o.Lines)), Amount: o.Amount,
		Currency: o.Currency, State: o.State, Version: o.Version, CreatedAt: o.CreatedAt, PayBefore: o.PayBefore,
		Refunded: o.Refunded, Shard: o.Shard, Table: o.Table,
	}
}

func (s *source) events(ctx context.Context, out *page) error {
	var after ident.ID
	var number int64
	for n := exportPage; n == exportPage; {
		events, err := s.Events(ctx, after, number, s.last.Events, exportPage)
		if err != nil {
			return err
		}
		for _, e := range events {
			if err = out.Encode(&ExportedEvent{Order: e.Order.String(), N: e.N, At: e.At, From: e.From, To: e.To, Why: e.Why}); err != nil {
				return err
			}
			after, number = e.Order, e.N
		}
		if err = out.turn(); err != nil {
			return err
		}
		n = len(events)
	}
	return nil
}
