package payment

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"
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
