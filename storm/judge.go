package storm

import (
	"context"
	"fmt"
	"time"

	"penstock/check"
)

// Report is what a stampede showed; it is the object that --json writes. Rates are per second, latencies milliseconds.
type Report struct {
	Verdict    string            `json:"verdict"`
	Invariants []check.Invariant `json:"invariants"`
	// Attempts are calls that tried to buy. Won and Lost are buyers (keys) who were told so; Refused, Shed and Unknown are
	// answers to calls; Unresolved are keys of which at the end still nobody knows.
	Attempts   int64 `json:"attempts"`
	Won        int64 `json:"won"`
	Lost       int64 `json:"lost"`
	Refused    int64 `json:"refused"`
	Shed       int64 `json:"shed"`
	Unknown    int64 `json:"unknown"`
	Unresolved int64 `json:"unresolved"`
	// Latency is of all answers to attempts, from the moment each was due.
	Latency        Latency `json:"latency_ms"`
	LatencyWon     Latency `json:"latency_won_ms"`
	LatencyRefused Latency `json:"latency_refused_ms"`
	OfferedRate    float64 `json:"offered_rate"`
	AchievedRate   float64 `json:"achieved_rate"`
	Seed           int64   `json:"seed"`

	Sale     string           `json:"sale"`
	URL      string           `json:"url"`
	Started  time.Time        `json:"started"`
	Seconds  float64          `json:"seconds"`
	Users    int              `json:"users"`
	Passes   int64            `json:"passes"`
	Replayed int64            `json:"replayed"`
	Conns    int64            `json:"connections"`
	Buyers   Buyers           `json:"buyers"`
	Answers  map[string]int64 `json:"answers"`
	Stock    Levels           `json:"stock"`
	Notes    []string         `json:"notes,omitempty"`
	Figures  map[string]int64 `json:"figures"`
	History  string           `json:"history,omitempty"`
	Points   []Point          `json:"points"`
	Check    check.Report     `json:"-"`
}

// judge reads what the outside can see and holds it against the history.
func (s *storm) judge(ctx context.Context, path string) (Report, error) {
	rep := s.summary()
	verdict, err := check.Run(ctx, s.admin, check.Options{History: path, Route: s.cfg.Route, Clock: s.cfg.Clock})
	if err != nil {
		return rep, err
	}
	rep.Check, rep.Verdict, rep.Invariants, rep.Figures = verdict, verdict.Verdict, verdict.Invariants, verdict.Figures
	rep.Notes = append(rep.Notes, verdict.Notes...)
	if rep.Unresolved > 0 {
		rep.Verdict = check.Fail
		rep.Notes = append(rep.Notes, fmt.Sprintf("%d keys are unresolved: asking about them gave no answer within %v", rep.Unresolved, s.cfg.Settle))
	}
	rows, err := s.levels(ctx)
	if err != nil {
		return rep, err
	}
	for i := range rows {
		rep.Stock.Offered += rows[i].Offered - rows[i].Withdrawn
		rep.Stock.Available += rows[i].Available
		rep.Stock.Held += rows[i].Held
		rep.Stock.Sold += rows[i].Sold
	}
	s.phase.Store(Done)
	s.tell(s.meter.counts())
	return rep, nil
}

// late is the share of the offered rate below which the report says that the generator did not keep up.
const late = 0.98

// summary is what the buyers alone can tell.
func (s *storm) summary() Report {
	m := s.meter
	answers := m.counts()
	rep := Report{
		Verdict: check.NotRun, Attempts: answers.Total(), Won: m.winners.Load(), Lost: m.losers.Load(), Refused: answers[Refused],
		Shed: answers[Shed], Unknown: answers[NoAnswer], Unresolved: s.unresolved(), OfferedRate: s.cfg.Rate, Seed: s.cfg.Seed,
		Sale: s.cfg.Sale, URL: s.cfg.URL, Started: s.start.UTC(), Seconds: s.cfg.Clock.Now().Sub(s.start).Seconds(),
		Users: s.cfg.Users, Passes: s.passes.Load(), Replayed: m.replayed.Load(), Conns: s.client.Dialed(), Buyers: m.buyers(),
		Answers: map[string]int64{}, History: s.cfg.History, Points: s.points,
	}
	for k := range kinds {
		rep.Answers[k.String()] = answers[k]
	}
	rep.Latency, rep.LatencyWon, rep.LatencyRefused = m.latencies()
	if took := max(time.Duration(m.lastArrival.Load()), s.span, 1); s.span > 0 {
		rep.AchievedRate = rep.OfferedRate * float64(s.span) / float64(took) * float64(m.arrived.Load()) / float64(s.cfg.arrivals())
	}
	if rep.AchievedRate < late*rep.OfferedRate {
		rep.Notes = append(rep.Notes, fmt.Sprintf(
			"the generator did not keep up: %.0f arrivals/s instead of %.0f; figures are those of a smaller load", rep.AchievedRate, rep.OfferedRate))
	}
	if n := s.noPass.Load(); n > 0 {
		rep.Notes = append(rep.Notes, fmt.Sprintf("%d of %d passes were not given; those buyers came with their tokens", n, n+s.passes.Load()))
	}
	return rep
}
