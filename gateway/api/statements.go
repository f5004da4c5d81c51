package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"penstock/errs"
	"penstock/order/payment"
	"penstock/order/payment/statement"
)

// Statements is what the calls about providers' statements need.
type Statements interface {
	// Compare says where lines and our ledger disagree; apply first learns from them what was not known.
	Compare(ctx context.Context, who, provider string, lines []statement.Line, apply bool) ([]statement.Difference, error)
	Moved(ctx context.Context, s payment.Span) ([]payment.Money, error)
}

// StatementLines are lines of a provider's statement.
type StatementLines struct {
	Provider string          `json:"provider" minLength:"1" maxLength:"32"`
	Lines    []StatementLine `json:"lines" maxItems:"500" nullable:"false"`
	Apply    bool            `json:"apply,omitempty" doc:"learn from lines that were not heard of: bank lines are kept, other providers are asked about their payments"`
}

// StatementLine is one amount that a provider says it moved.
type StatementLine statement.Line

// StatementDifference is one disagreement between a statement and our ledger, with what to do about it.
type StatementDifference statement.Difference

// LedgerEntry is an amount that a provider moved, as we learned it.
type LedgerEntry struct {
	Provider string    `json:"provider"`
	Type     string    `json:"type" enum:"capture,refund"`
	Ref      string    `json:"ref" doc:"the provider's transaction of a capture, our id of a refund"`
	Payment  string    `json:"payment"`
	Amount   int64     `json:"amount" doc:"minor units of currency"`
	Currency string    `json:"currency"`
	At       time.Time `json:"at"`
	Seq      string    `json:"seq"`
}

// LedgerQuery names a provider and a day in UTC.
type LedgerQuery struct {
	PageQuery
	Provider string `query:"provider" required:"true" maxLength:"32"`
	Day      string `query:"day" required:"true" doc:"such as 2026-11-11, in UTC"`
}

func (s *surface) statementCalls() {
	op := operator("compare-statement", http.MethodPost, "/statements", "Compare lines of a provider's statement with our ledger")
	op.Description = "Answers with the differences and what to do about each. Without apply nothing changes, and the audit trail has no row of it."
	register(s, op, s.compareStatement)
	register(s, operator("list-ledger", http.MethodGet, "/ledger", "What a provider moved on a day, as we learned it, oldest first"), s.listLedger)
}

func (s *surface) compareStatement(ctx context.Context, in *struct{ Body StatementLines }) (*listOf[StatementDifference], error) {
	found, err := s.d.Statements.Compare(ctx, acting(ctx), in.Body.Provider,
		each(in.Body.Lines, func(l StatementLine) statement.Line { return statement.Line(l) }), in.Body.Apply)
	if err != nil {
		return nil, err
	}
	return &listOf[StatementDifference]{Page[StatementDifference]{
		Items: each(found, func(d statement.Difference) StatementDifference { return StatementDifference(d) }),
	}}, nil
}

func (s *surface) listLedger(ctx context.Context, in *LedgerQuery) (*listOf[LedgerEntry], error) {
	after, err := afterCursor(in.Cursor)
	if err != nil {
		return nil, err
	}
	day, err := time.Parse(time.DateOnly, in.Day)
	if err != nil {
		e := errs.New(errs.Invalid, "the request does not follow the schema")
		e.Fields = []errs.Field{{Detail: "query day: write it as 2026-11-11"}}
		return nil, e
	}
	rows, err := s.d.Statements.Moved(ctx, payment.Span{Provider: in.Provider, From: day, To: day.Add(24 * time.Hour), After: int64(after), Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	out := &listOf[LedgerEntry]{Page[LedgerEntry]{Items: each(rows, wireMoney)}}
	if n := len(rows); n > 0 && n == in.Limit {
		out.Body.Next = strconv.FormatInt(rows[n-1].Seq, 10)
	}
	return out, nil
}

func wireMoney(m payment.Money) LedgerEntry {
	return LedgerEntry{
		Provider: m.Provider, Type: m.Kind, Ref: m.Ref, Payment: m.Payment.String(), Amount: m.Amount, Currency: m.Currency, At: moment(m.At),
		Seq: strconv.FormatInt(m.Seq, 10),
	}
}
