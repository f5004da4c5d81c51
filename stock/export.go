package stock

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"penstock/stock/driver"
)

// exportPage is how many journal entries one read transaction covers, so that an export never pins the log.
const exportPage = 500

// ClaimRow is a line of the export "claims": one per SKU of a winning attempt, in order of decision. State is the state at the
// time the page was read. Order is the attempt's id, but for a claim that late money made: then it is the order that had expired.
type ClaimRow struct {
	Attempt  string    `json:"attempt"`
	Order    string    `json:"order"`
	User     string    `json:"user"`
	Sale     string    `json:"sale"`
	SKU      string    `json:"sku"`
	Quantity int64     `json:"quantity"`
	Price    int64     `json:"price"`
	Currency string    `json:"currency"`
	Key      string    `json:"key"`
	State    string    `json:"state"`
	At       time.Time `json:"at"`
	// PayBefore and ReleaseAt bound the payment; Why says why a claim was released.
	PayBefore time.Time `json:"payBefore"`
	ReleaseAt time.Time `json:"releaseAt"`
	Why       string    `json:"why,omitempty"`
}

// LedgerRow is a line of the export "stock-ledger". Delta is the change of available units (offer +, withdraw −, hold −,
// release +); for sell, which leaves available as it is, it is the number of units sold. Ref is the order, or the operator's
// key.
type LedgerRow struct {
	Seq   uint64    `json:"seq"`
	Sale  string    `json:"sale"`
	SKU   string    `json:"sku"`
	Delta int64     `json:"delta"`
	Kind  string    `json:"kind"`
	Ref   string    `json:"ref"`
	At    time.Time `json:"at"`
}

// OutboxRow is a line of the export "outbox": a message as it leaves the stock database.
type OutboxRow struct {
	Seq       uint64            `json:"seq"`
	ID        string            `json:"id"`
	Topic     string            `json:"topic"`
	Partition int               `json:"partition"`
	User      string            `json:"user"`
	Key       string            `json:"key"`
	Type      string            `json:"type"`
	At        time.Time         `json:"at"`
	Headers   map[string]string `json:"headers"`
	Payload   json.RawMessage   `json:"payload"`
}

// AuditRow is a line of the export "audit".
type AuditRow struct {
	Seq    uint64          `json:"seq"`
	At     time.Time       `json:"at"`
	Who    string          `json:"who"`
	Act    string          `json:"act"`
	Object string          `json:"object"`
	Why    string          `json:"why"`
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
}

// Export writes "claims", "stock-ledger", "waiting", "outbox" or "audit" as NDJSON in stable order, up to what was committed when the
// call began.
func (s *Stock) Export(ctx context.Context, name string, w io.Writer) error {
	lines := map[string]func(*json.Encoder, *driver.Entry) error{"claims": claimLines, "stock-ledger": ledgerLines, "outbox": outboxLine, "waiting": waitingLine}[name]
	out := bufio.NewWriterSize(w, 64<<10)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	var err error
	switch {
	case name == "audit":
		err = s.exportAudit(ctx, enc)
	case lines != nil:
		err = s.exportJournal(ctx, enc, lines)
	default:
		return fmt.Errorf("the stock has no export %q", name)
	}
	if err != nil {
		return fmt.Errorf("export %s: %w", name, err)
	}
	return out.Flush()
}

func (s *Stock) exportJournal(ctx context.Context, enc *json.Encoder, lines func(*json.Encoder, *driver.Entry) error) error {
	snap, err := s.drv.Snapshot(ctx)
	if err != nil {
		return err
	}
	for after := uint64(0); ; {
		page, err := s.drv.Journal(ctx, after, exportPage)
		if err != nil {
			return err
		}
		for i := range page {
			if page[i].Seq > snap.Seq {
				return nil
			}
			if err := lines(enc, &page[i]); err != nil {
				return err
			}
			after = page[i].Seq
		}
		if len(page) == 0 {
			return nil
		}
	}
}

func claimLines(enc *json.Encoder, e *driver.Entry) error {
	if e.Kind != driver.Hold {
		return nil
	}
	a := e.Attempt
	for _, l := range a.Lines {
		err := enc.Encode(ClaimRow{
			Attempt: a.ID.String(), Order: OrderOf(a).String(), User: a.Key.User, Sale: a.Key.Sale, SKU: l.SKU, Quantity: l.Quantity,
			Price: l.Price, Currency: a.Currency, Key: a.Key.Key, State: a.State.String(), At: a.At, PayBefore: a.PayBefore,
			ReleaseAt: a.ReleaseAt, Why: a.Why,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func ledgerLines(enc *json.Encoder, e *driver.Entry) error {
	if e.Offer != nil {
		return enc.Encode(LedgerRow{e.Seq, e.Offer.Key.Sale, e.Offer.SKU, e.Offer.Delta, e.Kind.String(), e.Offer.Key.Key, e.At})
	}
	if e.Kind == driver.Refuse || e.Attempt == nil {
		return nil
	}
	for i, l := range e.Attempt.Lines {
		delta := l.Quantity
		if e.Kind == driver.Hold {
			delta = -delta
		}
		row := LedgerRow{e.Seq + uint64(i), e.Attempt.Key.Sale, l.SKU, delta, e.Kind.String(), e.Attempt.ID.String(), e.At}
		if err := enc.Encode(row); err != nil {
			return err
		}
	}
	return nil
}

func outboxLine(enc *json.Encoder, e *driver.Entry) error {
	m, ok := message(e)
	if !ok {
		return nil
	}
	return enc.Encode(OutboxRow{e.Seq, m.ID, m.Topic, m.Partition, m.User, m.Key, m.Type, m.At, m.Headers, m.Payload})
}

func (s *Stock) exportAudit(ctx context.Context, enc *json.Encoder) error {
	for after := uint64(0); ; {
		page, err := s.drv.Audit(ctx, after, exportPage)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, a := range page {
			row := AuditRow{a.Seq, a.At, a.Who, a.Act, a.Object, a.Why, json.RawMessage(a.Before), json.RawMessage(a.After)}
			if err := enc.Encode(row); err != nil {
				return err
			}
			after = a.Seq
		}
	}
}
