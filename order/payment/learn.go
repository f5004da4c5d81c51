package payment

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"time"

	"penstock/errs"
	"penstock/internal/ident"
)

// Kinds of case that somebody must look at, and of late money, which mends itself.
const (
	// CaseMismatch: another amount or currency was captured than was asked for.
	CaseMismatch = "mismatch"
	// CaseReference: a provider used the transaction id of one payment for another.
	CaseReference = "reference-reused"
	// CaseSecondCapture: a provider reports a second transaction for a payment that was captured before.
	CaseSecondCapture = "second-capture"
	// CaseRefundRefused: the provider will not give money back that must go back.
	CaseRefundRefused = "refund-refused"
	// CaseRefundBooks: the order's refunded amount is not what its refunds add up to.
	CaseRefundBooks = "refund-books"
	// CaseLate: money came after the claim was released. Unless that is left to an operator, it claims again or goes back by
	// itself, and the case is closed from the start.
	CaseLate = "late"
	// CaseSilent: the provider has left a payment open for longer than CaseAfter.
	CaseSilent = "silent"
	// CaseRefundWaiting: the provider has left a refund open for longer than CaseAfter.
	CaseRefundWaiting = "refund-waiting"
	// CaseSecondPayment: a second payment of an order was captured; it goes back by itself.
	CaseSecondPayment = "second-payment"
)

// maxName is the longest id of a message, of a transaction and of a currency that is believed, in bytes.
const maxName = 255

// Callback verifies what a provider reports and applies it. A repeat of a message that was applied has no effect and is not an
// error. nil means that the report is durable; paying the order follows from it, also after a crash.
//
// Errors: [errs.NotFound] for a provider or a payment that does not exist; [errs.BadSignature] for what is not genuine, stale
// or not readable. Nothing changes on an error.
func (p *Payments) Callback(ctx context.Context, provider string, header http.Header, body []byte) error {
	prov, ok := p.deps.Providers[provider]
	if !ok {
		return errs.New(errs.NotFound, "there is no payment provider %q", provider)
	}
	ev, err := prov.Event(header, body)
	if err != nil {
		return errs.Wrap(errs.BadSignature, err, "the callback's signature, timestamp or form is not acceptable")
	}
	_, err = p.learn(ctx, provider, ev)
	return err
}

// learn makes what a provider said durable, exactly once, and goes on from there. Only a failure to store it is an error.
func (p *Payments) learn(ctx context.Context, provider string, ev Event) (row, error) {
	var r row
	var did effect
	if max(len(ev.ID), len(ev.Ref), len(ev.Currency)) > maxName {
		return r, errs.New(errs.BadSignature, "%s reports an id, a transaction or a currency of over %d bytes", provider, maxName)
	}
	err := p.db.Do(ctx, slot(ev.Payment), func(tx Tx) (err error) {
		r, did, err = p.note(tx, provider, ev)
		return err
	})
	if err != nil {
		return r, err
	}
	if did.missing {
		return r, errs.New(errs.NotFound, "%s reports payment %s, which is not known", provider, ev.Payment)
	}
	p.report(r, did)
	p.o.Told()
	switch {
	case did.refund != 0:
		err = p.resumeRefund(ctx, did.refund)
	case did.captured:
		r, err = p.settle(ctx, r)
	}
	p.logged(r.ID, r.Order, err)
	return r, nil
}

// effect is what a provider's word did.
type effect struct {
	missing, captured, failed bool
	// raised is the kind of a new case, or "".
	raised string
	// refund is the refund that was opened because the money may not stay, or 0.
	refund ident.ID
}

func (p *Payments) report(r row, did effect) {
	if did.raised != "" {
		p.o.Logger.Error("payment case", "kind", did.raised, "payment", r.ID.String(), "orderId", r.Order.String(), "provider", r.Provider)
		p.o.Raised(did.raised)
	}
	if did.failed || did.raised == CaseMismatch || did.raised == CaseReference {
		p.o.Ended(r.Provider, false)
	}
}

// note is the transaction of learn. A message that was seen before does nothing.
func (p *Payments) note(tx Tx, provider string, ev Event) (row, effect, error) {
	r, err := load(tx, ev.Payment)
	if errors.Is(err, sql.ErrNoRows) || err == nil && r.Provider != provider {
		return row{}, effect{missing: true}, nil
	}
	if err != nil {
		return row{}, effect{}, err
	}
	if ev.ID != "" {
		fresh, err := tx.Insert(`INSERT INTO callbacks (provider, id, at) VALUES (?, ?, ?)`, provider, ev.ID, p.nowMS())
		if err != nil || !fresh {
			return r, effect{}, err
		}
	}
	var did effect
	switch ev.Status {
	case Declined:
		if r.State != Pending {
			return r, did, nil
		}
		did.failed, r.Why = true, ev.Why
		if r, err = p.move(tx, r, Failed, false); err == nil {
			err = errors.Join(p.closeKind(tx, r.ID, CaseSilent, ""), p.say(tx, EventFailed, r, nil))
		}
	case Taken:
		if did, err = p.take(tx, &r, ev.Result); err == nil {
			err = p.closeKind(tx, r.ID, CaseSilent, "")
		}
	}
	return r, did, err
}

// take decides what captured money means: it pays the order, or it goes back, or somebody must look.
func (p *Payments) take(tx Tx, r *row, res Result) (did effect, err error) {
	if res.Ref != "" { // the provider has it, whatever it turns out to mean
		if err = p.moved(tx, *r, moneyCapture, res); err != nil {
			return did, err
		}
	}
	if r.State != Pending && r.State != Failed {
		if res.Ref == r.ProviderRef || r.ProviderRef == "" {
			return did, nil
		}
		did.raised, err = p.raise(tx, *r, CaseSecondCapture, res, "another transaction of this payment is already captured")
		return did, err
	}
	var other int64
	err = tx.Scan(`SELECT coalesce(max(id), 0) FROM payments WHERE provider=? AND ref=? AND ref<>'' AND id<>?`, []any{r.Provider, res.Ref, int64(r.ID)}, &other)
	if err != nil {
		return did, err
	}
	if other != 0 || res.Ref == "" {
		detail := "the provider named no transaction"
		if other != 0 {
			detail = "the transaction id belongs to payment " + ident.ID(other).String()
		}
		did.raised, err = p.raise(tx, *r, CaseReference, res, detail)
		if err == nil {
			*r, err = p.move(tx, *r, Mismatch, false)
		}
		return did, err
	}
	r.ProviderRef, r.Captured = res.Ref, res.Amount
	if res.Amount != r.Amount || res.Currency != r.Currency {
		did.raised, err = p.raise(tx, *r, CaseMismatch, res, fmt.Sprintf("asked for %d %s", r.Amount, r.Currency))
		if err == nil {
			*r, err = p.move(tx, *r, Mismatch, false)
		}
		if err == nil {
			err = p.say(tx, EventCaptured, *r, nil)
		}
		return did, err
	}
	var payer int64
	if err = tx.Scan(`SELECT coalesce(max(id), 0) FROM payments WHERE ord=? AND payer=1`, []any{int64(r.Order)}, &payer); err != nil {
		return did, err
	}
	if payer == 0 {
		r.payer, did.captured = true, true
		*r, err = p.move(tx, *r, Captured, true)
	} else {
		did.raised = CaseSecondPayment
		*r, did.refund, err = p.giveBack(tx, *r, "order was paid by payment "+ident.ID(payer).String())
	}
	if err == nil {
		err = p.say(tx, EventCaptured, *r, nil)
	}
	return did, err
}

// giveBack opens the refund of everything that was captured.
func (p *Payments) giveBack(tx Tx, r row, why string) (row, ident.ID, error) {
	r, err := p.move(tx, r, Refunding, false)
	if err != nil {
		return r, 0, err
	}
	id, err := p.ids.next(p.o.Clock.Now(), r.ID.Slot())
	if err != nil {
		return r, 0, err
	}
	err = p.insertRefund(tx, refundRow{
		id: id, order: r.Order, payment: r.ID, body: []byte{}, auto: automatic, amount: r.Captured, why: why, trace: r.trace,
	})
	return r, id, err
}

// move writes the row in its new state; unfinished says that the recovery loop has to look at it again.
func (p *Payments) move(tx Tx, r row, to State, unfinished bool) (row, error) {
	now := p.o.Clock.Now()
	r.State, r.At = to, ms(now.UnixMilli())
	var next any
	if unfinished {
		r.next = now.Add(p.o.QueryAfter)
		next = r.next.UnixMilli()
	}
	_, err := tx.Exec(`UPDATE payments SET state=?, ref=?, captured=?, payer=?, late=?, at=?, next_at=?, tries=0 WHERE id=?`,
		string(to), r.ProviderRef, r.Captured, r.payer, r.Late, r.At.UnixMilli(), next, int64(r.ID))
	if !unfinished {
		r.next = time.Time{}
	}
	return r, err
}
