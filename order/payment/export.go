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
	ID          string           `json:"id"`
	Order       string           `json:"order"`
	Provider    string           `json:"provider"`
	ProviderRef string           `json:"providerRef"`
	State       State            `json:"state"`
	Amount      int64            `json:"amount"`
	Currency    string           `json:"currency"`
	Captured    int64            `json:"captured"`
	Refunded    int64            `json:"refunded"`
	Late        bool             `json:"late"`
	At          time.Time        `json:"at"`
	Refunds     []exportedRefund `json:"refunds"`
}

// exportedRefund is a refund of an exported payment. Asked says that somebody asked for it, so that its order counts it; Aside that its
// money is not of what the payment captured (a second capture).
type exportedRefund struct {
	ID     string `json:"id"`
	Amount int64  `json:"amount"`
	State  State  `json:"state"`
	Asked  bool   `json:"asked"`
	Aside  bool   `json:"aside,omitempty"`

	payment int64
}

// Export writes every payment that existed when the call began as NDJSON, with its refunds, ordered by id, each as it is when its page is read.
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
		back, err := p.refundsOf(ctx, after, int64(rows[len(rows)-1].ID))
		if err != nil {
			return fmt.Errorf("export payments: %w", err)
		}
		for _, r := range rows {
			after = int64(r.ID)
			err := enc.Encode(exported{
				ID: r.ID.String(), Order: r.Order.String(), Provider: r.Provider, ProviderRef: r.ProviderRef, State: r.State,
				Amount: r.Amount, Currency: r.Currency, Captured: r.Captured, Refunded: r.Refunded, Late: r.Late, At: r.At, Refunds: append([]exportedRefund{}, back[after]...),
			})
			if err != nil {
				return fmt.Errorf("export payments: %w", err)
			}
		}
	}
	return out.Flush()
}

// refundsOf returns the refunds of the payments after one id and up to another, by payment, oldest first.
func (p *Payments) refundsOf(ctx context.Context, after, upto int64) (map[int64][]exportedRefund, error) {
	rows, err := p.db.Query(ctx, `SELECT payment, id, amount, state, auto,
		EXISTS (SELECT 1 FROM refund_details WHERE refund=refunds.id AND aside=1)
		FROM refunds WHERE payment>? AND payment<=? ORDER BY payment, id`, after, upto)
	all, err := collect(rows, err, func(s scanner) (r exportedRefund, err error) {
		var id ident.ID
		var auto int64
		err = s.Scan(&r.payment, &id, &r.Amount, &r.State, &auto, &r.Aside)
		r.ID, r.Asked = id.String(), auto == asked
		return r, err
	})
	by := map[int64][]exportedRefund{}
	for _, r := range all {
		by[r.payment] = append(by[r.payment], r)
	}
	return by, err
}
