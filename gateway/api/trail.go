package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"penstock/reconcile"
	"penstock/stock/driver"
)

// AuditRow is one act of an operator: who, when, why, before and after.
type AuditRow struct {
	Seq    string          `json:"seq"`
	At     time.Time       `json:"at"`
	Who    string          `json:"who"`
	Act    string          `json:"act"`
	Object string          `json:"object"`
	Why    string          `json:"why"`
	Before json.RawMessage `json:"before"`
	After  json.RawMessage `json:"after"`
	ID     string          `json:"id,omitempty"`
}

func wireAudit(a driver.Audit) AuditRow {
	return AuditRow{
		Seq: strconv.FormatUint(a.Seq, 10), At: moment(a.At), Who: a.Who, Act: a.Act, Object: a.Object, Why: a.Why,
		Before: rawJSON(a.Before), After: rawJSON(a.After), ID: a.ID,
	}
}

func rawJSON(s string) json.RawMessage {
	if !json.Valid([]byte(s)) {
		return json.RawMessage("null")
	}
	return json.RawMessage(s)
}

// Difference is one disagreement between two records of the same thing.
type Difference struct {
	Kind     string    `json:"kind"`
	Object   string    `json:"object"`
	Expected string    `json:"expected"`
	Found    string    `json:"found"`
	Repaired bool      `json:"repaired"`
	At       time.Time `json:"at"`
	// Explanation is a sentence: what was expected, what was found, what to do.
	Explanation string `json:"explanation" doc:"what was expected, what was found, and what to do"`
}

func wireDifference(d reconcile.Difference) Difference {
	return Difference{
		Kind: d.Kind, Object: d.Object, Expected: d.Expected, Found: d.Found, Repaired: d.Repaired, At: moment(d.At), Explanation: d.Explain(),
	}
}

// Gap is what of one kind of difference a comparison left out.
type Gap struct {
	Kind  string `json:"kind"`
	Count int64  `json:"count" doc:"how many may differ, or do, and are not listed"`
	Why   string `json:"why" doc:"why, and what to do"`
}

type comparison struct {
	Body struct {
		Page[Difference]
		Complete bool  `json:"complete" doc:"whether everything was compared and listed: false when there are gaps, and then no differences do not mean that all records agree"`
		Waiting  int64 `json:"waiting" doc:"messages that were on their way to the orders, parked ones included; while there are any, orders may be behind their claims"`
		Gaps     []Gap `json:"gaps" nullable:"false" doc:"what was left out, by kind"`
	}
}

type drainedOutput struct {
	Body struct {
		Drained  bool             `json:"drained"`
		InFlight map[string]int64 `json:"inFlight"`
		Outboxes []OutboxLag      `json:"outboxes,omitempty" doc:"messages that some reader of the bus has not got yet, by outbox"`
	}
}

// OutboxLag is what of an outbox some reader of the bus has not got yet.
type OutboxLag struct {
	Source        string  `json:"source"`
	Topic         string  `json:"topic"`
	Waiting       int64   `json:"waiting" doc:"messages; of the stock's journal, entries"`
	OldestSeconds float64 `json:"oldestSeconds" doc:"age of the oldest of them, 0 when there is none"`
}

func (s *surface) trailCalls() {
	register(s, operator("report-differences", http.MethodGet, "/reconcile", "Compare stock, orders, ledger and gate"), s.report)
	register(s, operator("repair-differences", http.MethodPost, "/reconcile", "Mend what is safe to mend"), s.repair)
	register(s, operator("list-audit", http.MethodGet, "/audit", "The trail of operators' acts, oldest first or newest first; a page may be short, or empty, and yet have a next"), s.listAudit)
	register(s, operator("get-drained", http.MethodGet, "/drained", "Whether no work is in flight"), s.drained)
}

func (s *surface) report(ctx context.Context, _ *struct{}) (*comparison, error) {
	return compared(s.d.Reconcile.Report(ctx))
}

func (s *surface) repair(ctx context.Context, in *struct{ Body *Reason }) (*comparison, error) {
	return compared(s.d.Reconcile.Repair(ctx, acting(ctx), in.Body.text()))
}

func compared(r reconcile.Report, err error) (*comparison, error) {
	if err != nil {
		return nil, err
	}
	out := &comparison{}
	out.Body.Items = each(r.Differences, wireDifference)
	out.Body.Complete, out.Body.Waiting = len(r.Gaps) == 0, r.Waiting
	out.Body.Gaps = each(r.Gaps, func(g reconcile.Gap) Gap { return Gap(g) })
	return out, nil
}

func (s *surface) listAudit(ctx context.Context, in *AuditQuery) (*listOf[AuditRow], error) {
	rows, next, err := s.trail(ctx, in)
	if err != nil {
		return nil, err
	}
	return &listOf[AuditRow]{Page[AuditRow]{Items: each(rows, wireAudit), Next: next}}, nil
}

func (s *surface) drained(ctx context.Context, _ *struct{}) (*drainedOutput, error) {
	inFlight, err := s.d.Drained(ctx)
	if err != nil {
		return nil, err
	}
	out := &drainedOutput{}
	out.Body.Drained, out.Body.InFlight = true, map[string]int64{}
	for name, n := range inFlight {
		out.Body.InFlight[name] = n
		out.Body.Drained = out.Body.Drained && n == 0
	}
	if s.d.Outboxes != nil {
		if out.Body.Outboxes, err = s.d.Outboxes(ctx); err != nil {
			return nil, err
		}
	}
	return out, nil
}
