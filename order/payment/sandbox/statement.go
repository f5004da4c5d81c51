package sandbox

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"

	"penstock/errs"
	"penstock/internal/ident"
)

// StatementLine is one amount that the sandbox moved on a day.
type StatementLine struct {
	Type     string    `json:"type"` // capture or refund
	Ref      string    `json:"ref"`
	Payment  string    `json:"payment"`
	Refund   string    `json:"refund,omitempty"`
	Amount   int64     `json:"amount"`
	Currency string    `json:"currency"`
	State    string    `json:"state"`
	At       time.Time `json:"at"`
}

const statementPage = 500

// Statement hands every amount that was moved in [from, to) to f: captures, then refunds, each by id. It reads in pages.
func (s *Service) Statement(ctx context.Context, from, to time.Time, f func(StatementLine) error) error {
	if now := s.o.Clock.Now().Add(time.Millisecond); to.After(now) { // what is due now has moved
		to = now
	}
	for _, part := range []movement{
		{`SELECT id, id, CASE outcome WHEN 'wrong_amount' THEN amount+1 ELSE amount END, currency, made+after_ms FROM charges
			WHERE id>? AND outcome<>'fail' AND made+after_ms>=? AND made+after_ms<=? ORDER BY id LIMIT ?`, "capture", "captured"},
		{`SELECT r.id, r.payment, r.amount, c.currency, r.at FROM refunds r JOIN charges c ON c.id=r.payment
			WHERE r.id>? AND r.at>=? AND r.at<=? ORDER BY r.id LIMIT ?`, "refund", "refunded"},
	} {
		for after := ident.ID(0); ; {
			lines, last, err := s.page(ctx, part, after, [2]time.Time{from, to})
			if err != nil {
				return err
			}
			for _, l := range lines {
				if err := f(l); err != nil {
					return err
				}
			}
			if after = last; len(lines) < statementPage {
				break
			}
		}
	}
	return nil
}

// movement is one type of line, with the query of its rows.
type movement struct{ query, kind, state string }

func (s *Service) page(ctx context.Context, m movement, after ident.ID, span [2]time.Time) (lines []StatementLine, last ident.ID, err error) {
	rows, err := s.db.R().QueryContext(ctx, m.query, int64(after), span[0].UnixMilli(), span[1].UnixMilli()-1, statementPage)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		l := StatementLine{Type: m.kind, State: m.state}
		var pay ident.ID
		var at int64
		if err := rows.Scan(&last, &pay, &l.Amount, &l.Currency, &at); err != nil {
			return nil, 0, err
		}
		l.Payment, l.At, l.Ref = pay.String(), time.UnixMilli(at).UTC(), charge{id: pay}.ref()
		if m.kind == "refund" {
			l.Refund, l.Ref = last.String(), "sbr_"+strconv.FormatInt(int64(last), 36)
		}
		lines = append(lines, l)
	}
	return lines, last, rows.Err()
}

// getStatement answers CSV, or NDJSON with ?format=ndjson. A statement that breaks off breaks the connection.
func (s *Service) getStatement(w http.ResponseWriter, r *http.Request) {
	day, err := time.Parse(time.DateOnly, r.URL.Query().Get("day"))
	if err != nil {
		s.problem(w, errs.New(errs.Invalid, "day must be a day in UTC, such as 2026-11-11"))
		return
	}
	write, end := csvLines(w)
	kind := "text/csv; charset=utf-8"
	if r.URL.Query().Get("format") == "ndjson" {
		enc := json.NewEncoder(w)
		write, end, kind = func(l StatementLine) error { return enc.Encode(l) }, func() error { return nil }, "application/x-ndjson"
	}
	w.Header().Set("Content-Type", kind)
	if err = s.Statement(r.Context(), day, day.Add(24*time.Hour), write); err == nil {
		err = end()
	}
	if err != nil {
		s.o.Logger.Warn("statement broke off", "error", err)
		panic(http.ErrAbortHandler)
	}
}

func csvLines(w io.Writer) (write func(StatementLine) error, end func() error) {
	out := csv.NewWriter(w)
	headed := false
	head := func() {
		if !headed {
			headed = true
			_ = out.Write([]string{"type", "ref", "payment", "refund", "amount", "currency", "state", "at"}) // end tells
		}
	}
	return func(l StatementLine) error {
			head()
			return out.Write([]string{l.Type, l.Ref, l.Payment, l.Refund, strconv.FormatInt(l.Amount, 10), l.Currency, l.State, l.At.Format(time.RFC3339Nano)})
		}, func() error {
			head()
			out.Flush()
			return out.Error()
		}
}
