package payment

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"penstock/errs"
	"penstock/internal/ident"
	"penstock/order"
)

// ID is the id of a payment or a refund.
type ID = ident.ID

// Case is something about a payment that somebody should look at, or late money. Ref, Amount and Currency are what is at stake:
// what the provider said it took, or what should go back (then Ref is our refund).
type Case struct {
	Seq      int64
	Payment  ident.ID
	Kind     string
	Ref      string
	Amount   int64
	Currency string
	Detail   string
	At       time.Time
	// Action is what ended the case, "" while it is open: one of the actions, an outcome of late money, or "by-itself". Who "" is
	// the machine.
	Action, Who, Reason string
	ClosedAt            time.Time
}

// Open reports whether somebody still has to look.
func (c Case) Open() bool { return c.Action == "" }

// Actions that resolve a case.
const (
	ActRefund = "refund"
	ActAccept = "accept"
	ActRetry  = "retry"
)

// Action is a legal act on a case, with its effect in words.
type Action struct{ Name, Effect string }

// Actions returns what an operator may do, nothing for a case that is closed.
func (c Case) Actions() []Action {
	if !c.Open() {
		return nil
	}
	sum := fmt.Sprintf("%d %s (minor units)", c.Amount, c.Currency)
	accept := Action{ActAccept, "marks the case as handled; moves no money, no order and no stock"}
	outside := Action{ActAccept, "books " + sum + " as given back by other means than the provider, and ends the refund"}
	again := Action{ActRetry, "asks the provider for the same refund of " + sum + " again, by the same id"}
	back := Action{ActRefund, "gives " + sum + " back through the provider; the order stays as it is"}
	switch c.Kind {
	case CaseMismatch, CaseSecondCapture:
		return []Action{back, accept}
	case CaseLate:
		return []Action{back, {ActRetry, "claims the units again if the sale, the stock and the limit allow it; then the order is paid"}, accept}
	case CaseRefundRefused, CaseRefundWaiting:
		return []Action{again, outside}
	case CaseSilent:
		return []Action{{ActRetry, "asks the provider now what became of the payment"}, accept}
	case CaseRefundBooks:
		return []Action{{ActRetry, "tells the order of its refunds again"}, accept}
	}
	return []Action{accept}
}

// CaseQuery selects cases. The zero value is the open ones.
type CaseQuery struct {
	After int64
	Limit int
	// All says that closed cases are wanted too; Kind "" means every kind.
	All  bool
	Kind string
}

const caseColumns = `cases.seq, payment, kind, ref, amount, currency, detail, cases.at,
	coalesce(action, ''), coalesce(who, ''), coalesce(reason, ''), coalesce(closings.at, 0)`

const caseTables = ` FROM cases LEFT JOIN closings ON closings.seq=cases.seq `

// Cases returns up to limit cases with Seq > after, oldest first, open and closed.
func (p *Payments) Cases(ctx context.Context, after int64, limit int) ([]Case, error) {
	return p.ListCases(ctx, CaseQuery{After: after, Limit: limit, All: true})
}

// ListCases returns up to Limit cases with Seq > After, oldest first.
func (p *Payments) ListCases(ctx context.Context, q CaseQuery) ([]Case, error) {
	where, args := []string{"cases.seq>?"}, []any{q.After}
	if !q.All {
		where = append(where, "closings.seq IS NULL")
	}
	if q.Kind != "" {
		where, args = append(where, "kind=?"), append(args, q.Kind)
	}
	rows, err := p.db.Query(ctx, `SELECT `+caseColumns+caseTables+`WHERE `+strings.Join(where, " AND ")+` ORDER BY cases.seq LIMIT ?`, append(args, q.Limit)...)
	all, err := collect(rows, err, scanCase)
	if err != nil {
		return nil, fmt.Errorf("read payment cases: %w", err)
	}
	return all, nil
}

func scanCase(s scanner) (c Case, err error) {
	var at, closed int64
	err = s.Scan(&c.Seq, &c.Payment, &c.Kind, &c.Ref, &c.Amount, &c.Currency, &c.Detail, &at, &c.Action, &c.Who, &c.Reason, &closed)
	c.At = ms(at)
	if closed != 0 {
		c.ClosedAt = ms(closed)
	}
	return c, err
}

// CaseView is a case with what is known of the payment, the order and the provider now.
type CaseView struct {
	Case
	Pay Payment
	// Order is as it is now; zero, with OrderError, when it cannot be read.
	Order      order.Order
	OrderError string
	// Said is what the provider answers now about the payment.
	Said string
}

// CaseBySeq returns a case with all that is known. It asks the provider, which takes at most CallTimeout. errs.NotFound.
func (p *Payments) CaseBySeq(ctx context.Context, seq int64) (CaseView, error) {
	c, err := p.caseBySeq(ctx, seq)
	if err != nil {
		return CaseView{}, err
	}
	v := CaseView{Case: c}
	pay, err := p.ByID(ctx, c.Payment)
	if err != nil || pay == nil {
		return v, fmt.Errorf("read payment %s of case %d: %w", c.Payment, seq, err)
	}
	v.Pay = *pay
	if v.Order, err = p.deps.Orders.Get(ctx, "", pay.Order); err != nil {
		v.OrderError = err.Error()
	}
	res, err := p.call(ctx, pay.Provider, "query", func(ctx context.Context, prov Provider) (Result, error) { return prov.Query(ctx, pay.ID) })
	switch {
	case err != nil:
		v.Said = "unknown: " + err.Error()
	case res.Status == Taken:
		v.Said = fmt.Sprintf("taken: %d %s as %s", res.Amount, res.Currency, res.Ref)
	default:
		v.Said = res.Status.String()
	}
	return v, nil
}

func (p *Payments) caseBySeq(ctx context.Context, seq int64) (Case, error) {
	c, err := scanCase(storeRow{ctx, p.db, `SELECT ` + caseColumns + caseTables + `WHERE cases.seq=?`, []any{seq}})
	if errors.Is(err, sql.ErrNoRows) {
		return c, errs.New(errs.NotFound, "there is no case %d", seq)
	}
	if err != nil {
		return c, fmt.Errorf("read case %d: %w", seq, err)
	}
	return c, nil
}

// Resolution is what an operator does about a case.
type Resolution struct {
	Seq                 int64
	Action, Who, Reason string
}

// Resolve does what an operator decided and returns the case as it is then. A retry leaves the case open until what it is about
// has come to its end. Repeating the act that closed a case changes nothing.
//
// Errors: [errs.NotFound], [errs.Invalid] (no such action on this kind, no reason), [errs.IllegalTransition] (closed by another
// act, or the retry came to nothing), [errs.Unknown] (it goes on; look at the case again).
func (p *Payments) Resolve(ctx context.Context, q Resolution) (Case, error) {
	c, err := p.caseBySeq(ctx, q.Seq)
	if err != nil {
		return c, err
	}
	if q.Reason == "" {
		return c, invalid("/reason", "say why")
	}
	if !c.Open() {
		if c.Action == q.Action {
			return c, nil
		}
		return c, errs.New(errs.IllegalTransition, "case %d is closed: %s", c.Seq, c.Action)
	}
	var names []string
	for _, a := range c.Actions() {
		names = append(names, a.Name)
	}
	if !slices.Contains(names, q.Action) {
		return c, invalid("/action", "a case of kind "+c.Kind+" takes one of "+strings.Join(names, ", "))
	}
	switch q.Action {
	case ActRefund:
		err = p.refundCase(ctx, c, q)
	case ActRetry:
		err = p.retryCase(ctx, c)
	default:
		err = p.acceptCase(ctx, c, q)
	}
	if err != nil {
		return c, err
	}
	return p.caseBySeq(ctx, q.Seq)
}

func invalid(pointer, detail string) error {
	e := errs.New(errs.Invalid, "the resolution cannot be used")
	e.Fields = []errs.Field{{Pointer: pointer, Detail: detail}}
	return e
}
