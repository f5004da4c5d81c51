package stock

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"penstock/errs"
	"penstock/stock/driver"
)

// CreateSale stores a new sale with the units offered per SKU. A sale with that id is errs.Conflict. Version and Created are
// set here.
func (s *Stock) CreateSale(ctx context.Context, sale driver.Sale, offers map[string]int64, a driver.Audit) (driver.Sale, error) {
	var saleAt, actAt int
	levelAt := make([]int, len(sale.Items))
	a = named(a)
	needs := func(w *work) {
		saleAt, actAt = w.needSale(sale.ID), w.needAct(a.ID)
		for i, it := range sale.Items {
			levelAt[i] = w.needLevel(driver.StockRef{Sale: sale.ID, SKU: it.SKU})
		}
	}
	var made driver.Sale
	err := s.do(ctx, needs, func(w *work) error {
		if w.acts[actAt] {
			made = *w.sales[saleAt]
			return nil
		}
		if w.sales[saleAt] != nil {
			return errs.New(errs.Conflict, "sale %q exists already", sale.ID)
		}
		made = sale
		made.Version, made.Created = 1, w.now
		w.sales[saleAt], w.saleDirty[saleAt] = &made, true
		for i, it := range sale.Items {
			n := offers[it.SKU]
			w.levels[levelAt[i]] = &driver.Stock{Sale: sale.ID, SKU: it.SKU, Offered: n, Available: n, Version: 1}
			if n > 0 {
				w.changes.Offers = append(w.changes.Offers, driver.Offer{Key: driver.Key{Sale: sale.ID}, SKU: it.SKU, Delta: n, Why: "created"})
			}
		}
		w.audit(a, "sale/"+sale.ID, nil, told(&made))
		return nil
	})
	if err != nil {
		return driver.Sale{}, err
	}
	return made, nil
}

// UpdateSale changes a sale. version is the one the operator saw (0: any); another one now is errs.VersionMismatch. A
// closed sale cannot be opened again (errs.SaleClosed): its keys may have left memory, and buyers were told. change runs inside the decision, must be pure, and its error refuses the update.
func (s *Stock) UpdateSale(ctx context.Context, id string, version int64, change func(*driver.Sale) error, a driver.Audit) (driver.Sale, error) {
	var saleAt, actAt int
	var after driver.Sale
	a = named(a)
	lists, err := s.listsOf(ctx, id)
	if err != nil {
		return driver.Sale{}, err
	}
	needs := func(w *work) {
		saleAt, actAt = w.needSale(id), w.needAct(a.ID)
		for _, ref := range lists { // a sale that goes on hands over what came back meanwhile
			w.needLevel(ref)
		}
	}
	err = s.do(ctx, needs, func(w *work) error {
		now := w.sales[saleAt]
		switch {
		case w.acts[actAt]:
			after = *now
			return nil
		case now == nil:
			return errs.New(errs.NotFound, "there is no sale %q", id)
		case version != 0 && version != now.Version:
			return errs.New(errs.VersionMismatch, "sale %q is at version %d, not %d; read it again", id, now.Version, version)
		}
		after = *now
		if err := change(&after); err != nil {
			return err
		}
		if ended(now, w.now) && !ended(&after, w.now) {
			return errs.New(errs.SaleClosed, "sale %q is closed and is not opened again; create a new one", id)
		}
		if !w.saleDirty[saleAt] { // several updates in one batch are one new version
			after.Version++
		}
		w.audit(a, "sale/"+id, told(now), told(&after))
		w.sales[saleAt], w.saleDirty[saleAt] = copyOf(&after), true
		return nil
	})
	if err != nil {
		return driver.Sale{}, err
	}
	return after, nil
}

// ended reports whether a sale is closed, by its operator or by its end.
func ended(sale *driver.Sale, now time.Time) bool {
	refused, no := Window(sale, now)
	return no && refused.Reason == errs.SaleClosed
}

// OfferRequest adds (Delta > 0) or withdraws (Delta < 0) units of a SKU. Key makes a repeat harmless; "" means no key.
type OfferRequest struct {
	Sale, SKU string
	Delta     int64
	Key, Why  string
}

// Offer changes the allotment. Withdrawing more than is available is errs.StockInUse; the same key for another change is
// errs.KeyReused; a closed sale is errs.SaleClosed.
func (s *Stock) Offer(ctx context.Context, r OfferRequest, a driver.Audit) (driver.Stock, error) {
	key := driver.Key{Sale: r.Sale, Key: r.Key}
	var levelAt, keyAt, saleAt, actAt int
	a = named(a)
	needs := func(w *work) {
		saleAt, actAt = w.needSale(r.Sale), w.needAct(a.ID)
		levelAt = w.needLevel(driver.StockRef{Sale: r.Sale, SKU: r.SKU})
		if r.Key != "" {
			keyAt = w.needKey(key)
		}
	}
	var after driver.Stock
	err := s.do(ctx, needs, func(w *work) error {
		l := w.levels[levelAt]
		if l == nil {
			return errs.New(errs.NotFound, "there is no stock of %q in sale %q", r.SKU, r.Sale)
		}
		if w.acts[actAt] {
			after = *l
			return nil
		}
		if r.Key != "" && w.known[keyAt] != nil {
			after = *l
			return sameOffer(w.known[keyAt], r)
		}
		if ended(w.sales[saleAt], w.now) {
			return errs.New(errs.SaleClosed, "sale %q is closed; its stock does not change any more", r.Sale)
		}
		if r.Delta == 0 || l.Available+r.Delta < 0 {
			e := errs.New(errs.StockInUse, "%d of %q are available; %d cannot be withdrawn", l.Available, r.SKU, -r.Delta)
			e.Extra = map[string]any{"available": l.Available}
			return e
		}
		before := *l
		l = w.touch(levelAt)
		l.Available += r.Delta
		if r.Delta > 0 {
			l.Offered += r.Delta
		} else {
			l.Withdrawn -= r.Delta
		}
		after = *l
		if r.Key != "" {
			w.known[keyAt] = &driver.Attempt{Key: key, Lines: []driver.Line{{SKU: r.SKU, Quantity: r.Delta}}}
		}
		w.changes.Offers = append(w.changes.Offers, driver.Offer{Key: key, SKU: r.SKU, Delta: r.Delta, Why: r.Why})
		w.audit(a, "stock/"+r.Sale+"/"+r.SKU, before, after)
		return nil
	})
	if err != nil {
		return driver.Stock{}, err
	}
	return after, nil
}

func sameOffer(known *driver.Attempt, r OfferRequest) error {
	if len(known.Lines) == 1 && known.Lines[0].SKU == r.SKU && known.Lines[0].Quantity == r.Delta {
		return nil
	}
	return errs.New(errs.KeyReused, "key %q was used for another change of stock", r.Key)
}

// Record appends a row to the trail for an act that is not about sales or stock.
func (s *Stock) Record(ctx context.Context, a driver.Audit) error {
	var actAt int
	a = named(a)
	return s.do(ctx, func(w *work) { actAt = w.needAct(a.ID) }, func(w *work) error {
		if !w.acts[actAt] {
			w.changes.Audit = append(w.changes.Audit, a)
		}
		return nil
	})
}

// named gives an act an id, by which it is recognised when it is decided again after an unknown commit.
func named(a driver.Audit) driver.Audit {
	if a.ID == "" {
		a.ID = rand.Text()
	}
	return a
}

// toldSale is a sale in the words of the operator's API, for the trail.
type toldSale struct {
	Title                string            `json:"title"`
	StartsAt             time.Time         `json:"startsAt"`
	EndsAt               time.Time         `json:"endsAt"`
	PaymentWindowSeconds int64             `json:"paymentWindowSeconds"`
	GraceSeconds         int64             `json:"graceSeconds"`
	Items                []driver.SaleItem `json:"items"`
	Paused               bool              `json:"paused"`
	ForcedSoldOut        bool              `json:"forcedSoldOut"`
	ClosedAt             *time.Time        `json:"closedAt,omitempty"`
	WaitingList          bool              `json:"waitingList,omitempty"`
	Version              int64             `json:"version"`
}

func told(s *driver.Sale) toldSale {
	t := toldSale{
		Title: s.Title, StartsAt: s.StartsAt, EndsAt: s.EndsAt, PaymentWindowSeconds: int64(s.Window / time.Second),
		GraceSeconds: int64(s.Grace / time.Second), Items: s.Items, Paused: s.Paused, ForcedSoldOut: s.SoldOut, Version: s.Version,
		WaitingList: s.WaitingList,
	}
	if !s.ClosedAt.IsZero() {
		t.ClosedAt = &s.ClosedAt
	}
	return t
}

// audit appends a row with the values before and after, in the same transaction as the change.
func (w *work) audit(a driver.Audit, object string, before, after any) {
	if a.Object == "" {
		a.Object = object
	}
	a.Before, a.After = text(before), text(after)
	w.changes.Audit = append(w.changes.Audit, a)
}

func text(v any) string {
	if v == nil {
		return ""
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}
