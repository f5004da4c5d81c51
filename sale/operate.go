package sale

import (
	"context"
	"time"

	"penstock/errs"
	"penstock/stock"
	"penstock/stock/driver"
)

// Create stores a new sale. It opens by itself at startsAt. Mistakes in the definition are errs.Invalid with a pointer each.
func (s *Sales) Create(ctx context.Context, who string, d Definition) (Detail, error) {
	doc, offers, err := s.build(&d)
	if err != nil {
		return Detail{}, err
	}
	if doc, err = s.stock.CreateSale(ctx, doc, offers, driver.Audit{Who: who, Act: "sale.create", Why: "created"}); err != nil {
		return Detail{}, err
	}
	return s.Detail(ctx, doc.ID)
}

// Patch changes a sale that is at the given version. What has begun cannot be moved, and a closed sale stays closed.
func (s *Sales) Patch(ctx context.Context, who, id string, version int64, p Patch) (Detail, error) {
	now := s.opt.Clock.Now()
	change := func(doc *driver.Sale) error { return p.apply(doc, now) }
	if _, err := s.stock.UpdateSale(ctx, id, version, change, driver.Audit{Who: who, Act: "sale.patch", Why: "patched"}); err != nil {
		return Detail{}, err
	}
	return s.Detail(ctx, id)
}

func (p *Patch) apply(doc *driver.Sale, now time.Time) error {
	state := stateAt(doc, now)
	if state == Closed {
		return errs.New(errs.SaleClosed, "sale %q is closed and cannot be changed", doc.ID)
	}
	var f findings
	if p.Title != nil {
		f.title("/title", *p.Title)
		doc.Title = *p.Title
	}
	if p.StartsAt != nil {
		if state != Scheduled {
			f.add("/startsAt", "cannot be changed: the sale has begun")
		}
		doc.StartsAt = micro(*p.StartsAt)
	}
	if p.EndsAt != nil {
		doc.EndsAt = micro(*p.EndsAt)
	}
	if !doc.EndsAt.After(doc.StartsAt) || !doc.EndsAt.After(now) {
		f.add("/endsAt", "must be after startsAt and after now; to end a sale at once use the action \"close\"")
	}
	if p.PaymentWindowSeconds != nil {
		doc.Window = f.seconds("/paymentWindowSeconds", *p.PaymentWindowSeconds, 1, maxWindow)
	}
	if p.GraceSeconds != nil {
		doc.Grace = f.seconds("/graceSeconds", *p.GraceSeconds, 0, maxGrace)
	}
	return f.err("the change")
}

// Act opens, pauses, resumes, closes a sale or forces it to be sold out. An action that the state does not allow is
// errs.IllegalTransition; a missing reason is errs.Invalid.
func (s *Sales) Act(ctx context.Context, who, id string, a Action, reason string) (Detail, error) {
	if reason == "" {
		e := errs.New(errs.Invalid, "an action needs a reason")
		e.Fields = []errs.Field{{Pointer: "/reason", Detail: "is required"}}
		return Detail{}, e
	}
	now := micro(s.opt.Clock.Now())
	change := func(doc *driver.Sale) error { return a.apply(doc, now) }
	if _, err := s.stock.UpdateSale(ctx, id, 0, change, driver.Audit{Who: who, Act: "sale." + string(a), Why: reason}); err != nil {
		return Detail{}, err
	}
	return s.Detail(ctx, id)
}

func (a Action) apply(doc *driver.Sale, now time.Time) error {
	state := stateAt(doc, now)
	legal := false
	switch a {
	case DoOpen:
		legal = state == Scheduled
		doc.StartsAt = now
	case DoPause:
		legal = (state == Open || state == Scheduled || state == SoldOut) && !doc.Paused
		doc.Paused = true
	case DoResume:
		legal = state != Closed && (doc.Paused || doc.SoldOut)
		doc.Paused, doc.SoldOut = false, false
	case DoForceSoldOut:
		legal = state != Closed && !doc.SoldOut
		doc.SoldOut = true
	case DoClose:
		legal = state != Closed
		doc.ClosedAt = now
	default:
		e := errs.New(errs.Invalid, "there is no action %q", a)
		e.Fields = []errs.Field{{Pointer: "/action", Detail: "must be open, pause, resume, force_sold_out or close"}}
		return e
	}
	if !legal {
		return errs.New(errs.IllegalTransition, "a sale that is %s cannot %s", state, a)
	}
	return nil
}

// Offer adds (delta > 0) or withdraws (delta < 0) units of a SKU. key makes a repeat harmless; "" means no key.
func (s *Sales) Offer(ctx context.Context, who, id, sku string, delta int64, key, reason string) (driver.Stock, error) {
	var f findings
	if reason == "" {
		f.add("/reason", "is required")
	}
	if delta == 0 || delta > maxStock || delta < -maxStock {
		f.add("/delta", "is %d, must not be 0 and at most %d either way", delta, maxStock)
	}
	if err := f.err("the change of stock"); err != nil {
		return driver.Stock{}, err
	}
	if s.gate.Sale(id) == nil {
		return driver.Stock{}, notFound(id)
	}
	act := "stock.offer"
	if delta < 0 {
		act = "stock.withdraw"
	}
	return s.stock.Offer(ctx, stock.OfferRequest{Sale: id, SKU: sku, Delta: delta, Key: key, Why: reason},
		driver.Audit{Who: who, Act: act, Why: reason})
}
