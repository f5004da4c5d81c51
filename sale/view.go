package sale

import (
	"context"
	"time"

	"penstock/stock/driver"
)

// List returns every sale as buyers see it, in order of creation.
func (s *Sales) List(ctx context.Context) ([]View, error) {
	snap, err := s.stock.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	views := make([]View, 0, len(snap.Sales))
	for i := range snap.Sales {
		views = append(views, s.view(&snap.Sales[i]))
	}
	return views, nil
}

// View returns one sale as buyers see it; errs.NotFound if there is none. It reads memory only.
func (s *Sales) View(_ context.Context, id string) (View, error) {
	doc := s.gate.Sale(id)
	if doc == nil {
		return View{}, notFound(id)
	}
	return s.view(doc), nil
}

func (s *Sales) view(doc *driver.Sale) View {
	now := s.opt.Clock.Now().UTC()
	v := View{
		ID: doc.ID, Title: doc.Title, State: stateAt(doc, now), StartsAt: doc.StartsAt, EndsAt: doc.EndsAt, ServerTime: now,
		Admission: doc.Admission, WaitingList: doc.WaitingList, Line: doc.Line, Items: make([]ItemView, len(doc.Items)),
	}
	gone := true
	for i, it := range doc.Items {
		v.Items[i] = ItemView{SKU: it.SKU, Title: it.Title, Price: it.Price, Currency: it.Currency, LimitPerUser: it.Limit, Availability: None}
		if l := s.gate.Level(doc.ID, it.SKU); l != nil && !doc.SoldOut {
			v.Items[i].Availability = availability(l)
		}
		gone = gone && v.Items[i].Availability == None
	}
	if v.State == Open && gone {
		v.State = SoldOut
	}
	return v
}

// stateAt is the state without a look at the stock.
func stateAt(doc *driver.Sale, now time.Time) State {
	switch {
	case !doc.ClosedAt.IsZero() || !now.Before(doc.EndsAt):
		return Closed
	case now.Before(doc.StartsAt):
		return Scheduled
	case doc.Paused:
		return Paused
	case doc.SoldOut:
		return SoldOut
	}
	return Open
}

func availability(l *driver.Stock) Availability {
	switch {
	case l.Available > 0 && l.Available*10 > l.Offered-l.Withdrawn:
		return Plenty
	case l.Available > 0:
		return Few
	case l.Held > 0:
		return Held
	}
	return None
}

// Details returns every sale as operators see it, from one snapshot.
func (s *Sales) Details(ctx context.Context) ([]Detail, error) {
	snap, err := s.stock.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]Detail, 0, len(snap.Sales))
	for i := range snap.Sales {
		all = append(all, s.detail(&snap.Sales[i], snap.Stock))
	}
	return all, nil
}

// Detail returns one sale as operators see it; errs.NotFound if there is none.
func (s *Sales) Detail(ctx context.Context, id string) (Detail, error) {
	snap, err := s.stock.Snapshot(ctx)
	if err != nil {
		return Detail{}, err
	}
	for i := range snap.Sales {
		if snap.Sales[i].ID == id {
			return s.detail(&snap.Sales[i], snap.Stock), nil
		}
	}
	return Detail{}, notFound(id)
}

func (s *Sales) detail(doc *driver.Sale, levels []driver.Stock) Detail {
	d := Detail{
		View: s.view(doc), Version: doc.Version, PaymentWindowSeconds: int64(doc.Window / time.Second),
		GraceSeconds: int64(doc.Grace / time.Second), Paused: doc.Paused, ForcedSoldOut: doc.SoldOut,
	}
	for _, l := range levels {
		if l.Sale == doc.ID {
			d.Levels = append(d.Levels, l)
		}
	}
	return d
}

// Levels returns one snapshot of the stock rows of a sale, or of all sales for "", as the database has them.
func (s *Sales) Levels(ctx context.Context, id string) ([]driver.Stock, error) {
	snap, err := s.stock.Stored(ctx)
	if err != nil {
		return nil, err
	}
	if id == "" {
		return snap.Stock, nil
	}
	if s.gate.Sale(id) == nil {
		return nil, notFound(id)
	}
	var rows []driver.Stock
	for _, l := range snap.Stock {
		if l.Sale == id {
			rows = append(rows, l)
		}
	}
	return rows, nil
}
