package payment

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"penstock/internal/ident"
)

const exportPage = 500

type exported struct {
	ID          string    `json:"id"`
	Order       string    `json:"order"`
	Provider    string    `json:"provider"`
	ProviderRef string    `json:"providerRef"`
	State       State     `json:"state"`
	Amount      int64     `json:"amount"`
	Currency    string    `json:"currency"`
	Captured    int64     `json:"captured"`
	Refunded    int64     `json:"refunded"`
	Late        bool      `json:"late"`
	At          time.Time `json:"at"`
}

// Export writes every payment that existed when the call began as NDJSON, ordered by id, each as it is when its page is read.
// It reads in short pages and never holds a read transaction while it writes to w.
func (p *Payments) Export(ctx context.Context, w io.Writer) error {
	var last int64
	if err := p.db.Scan(ctx, `SELECT coalesce(max(id), 0) FROM payments`, nil, &last); err != nil {
		return fmt.Errorf("export payments: %w", err)
	}
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	for after := int64(0); after < last; {
		rows, err := p.query(ctx, `SELECT `+payColumns+` FROM payments WHERE id>? AND id<=? ORDER BY id LIMIT ?`, after, last, exportPage)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			break
		}
		for _, r := range rows {
			after = int64(r.ID)
			err := enc.Encode(exported{
				ID: r.ID.String(), Order: r.Order.String(), Provider: r.Provider, ProviderRef: r.ProviderRef, State: r.State,
				Amount: r.Amount, Currency: r.Currency, Captured: r.Captured, Refunded: r.Refunded, Late: r.Late, At: r.At,
			})
			if err != nil {
				return fmt.Errorf("export payments: %w", err)
			}
		}
	}
	return out.Flush()
}

// Case is something about a payment that somebody should look at. Ref and Amount are what the provider said.
type Case struct {
	Seq      int64
	Payment  ident.ID
	Kind     string
	Ref      string
	Amount   int64
	Currency string
	Detail   string
	At       time.Time
}

// Cases returns up to limit cases with Seq > after, oldest first.
func (p *Payments) Cases(ctx context.Context, after int64, limit int) ([]Case, error) {
	rows, err := p.db.Query(ctx, `SELECT seq, payment, kind, ref, amount, currency, detail, at FROM cases WHERE seq>? ORDER BY seq LIMIT ?`, after, limit)
	all, err := collect(rows, err, scanCase)
	if err != nil {
		return nil, fmt.Errorf("read payment cases: %w", err)
	}
	return all, nil
}

func scanCase(s scanner) (c Case, err error) {
	var at int64
	err = s.Scan(&c.Seq, &c.Payment, &c.Kind, &c.Ref, &c.Amount, &c.Currency, &c.Detail, &at)
	c.At = ms(at)
	return c, err
}
