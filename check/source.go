package check

import (
	"context"
	"io"
	"time"

	"penstock/stock/driver"
)

// Exports lists the exports that a check reads, by name.
var Exports = [...]string{"audit", "claims", "waiting", "stock-ledger", "orders", "order-events", "payments", "balances", "outbox", "dead-letters"}

// Source is where the records come from. Export and Snapshot are enough; gateway/api.Export.Write is an Export.
type Source struct {
	// Export writes one export by name as NDJSON, in the field names of the public reference, in stable order.
	Export func(ctx context.Context, name string, w io.Writer) error
	// Snapshot returns all sales and stock rows as of one moment.
	Snapshot func(ctx context.Context) (Snapshot, error)
	// InFlight tells what is in flight, by name; all zero means drained. Nil means that nothing runs and nothing waits.
	InFlight func(ctx context.Context) (map[string]int64, error)
	// Files are the database files that were looked at before they were opened; nil where the records come from elsewhere.
	Files []File
}

// File is a database file and what is wrong with it.
type File struct {
	Path  string
	Wrong []string
}

// Snapshot is everything about sales and stock as of one moment.
type Snapshot struct {
	Sales []Sale
	Stock []StockRow
}

// StockRow is one stock row, in the field names of /admin/v1/stock.
type StockRow struct {
	Sale      string `json:"sale"`
	SKU       string `json:"sku"`
	Offered   int64  `json:"offered"`
	Available int64  `json:"available"`
	Held      int64  `json:"held"`
	Sold      int64  `json:"sold"`
	Withdrawn int64  `json:"withdrawn"`
	Version   int64  `json:"version"`
	Waiting   int64  `json:"waiting"`
}

// Sale is what a check needs to know of a sale, in the field names of /admin/v1/sales.
type Sale struct {
	ID           string     `json:"id"`
	StartsAt     time.Time  `json:"startsAt"`
	EndsAt       time.Time  `json:"endsAt"`
	GraceSeconds int64      `json:"graceSeconds"`
	State        string     `json:"state"`
	Items        []SaleItem `json:"items"`
}

// SaleItem is one SKU of a sale. Price is in minor units; LimitPerUser 0 means no limit.
type SaleItem struct {
	SKU          string `json:"sku"`
	Price        int64  `json:"price"`
	Currency     string `json:"currency"`
	LimitPerUser int64  `json:"limitPerUser"`
}

// SnapshotOf converts a snapshot of the stock database, for sources that open it directly.
func SnapshotOf(s *driver.Snapshot) Snapshot {
	out := Snapshot{Sales: make([]Sale, 0, len(s.Sales)), Stock: make([]StockRow, 0, len(s.Stock))}
	for i := range s.Sales {
		from := &s.Sales[i]
		to := Sale{ID: from.ID, StartsAt: from.StartsAt, EndsAt: from.EndsAt, GraceSeconds: int64(from.Grace / time.Second)}
		if !from.Paused && !from.SoldOut && from.ClosedAt.IsZero() && !s.Now.Before(from.StartsAt) && s.Now.Before(from.EndsAt) {
			to.State = "open"
		}
		for _, it := range from.Items {
			to.Items = append(to.Items, SaleItem{SKU: it.SKU, Price: it.Price, Currency: it.Currency, LimitPerUser: it.Limit})
		}
		out.Sales = append(out.Sales, to)
	}
	for _, r := range s.Stock {
		out.Stock = append(out.Stock, StockRow{Sale: r.Sale, SKU: r.SKU, Offered: r.Offered, Available: r.Available,
			Held: r.Held, Sold: r.Sold, Withdrawn: r.Withdrawn, Version: r.Version,
			Waiting: r.Waiting})
	}
	return out
}
