package storm

import (
	"context"
	"time"
)

// Levels are the units of the sale by state, all SKUs together.
type Levels struct {
	Offered   int64 `json:"offered"`
	Available int64 `json:"available"`
	Held      int64 `json:"held"`
	Sold      int64 `json:"sold"`
}

// Point is one moment of the stampede.
type Point struct {
	// At is seconds since the first arrival was due; Span is seconds since the point before.
	At   float64 `json:"at"`
	Span float64 `json:"span"`
	// Answers are those since the point before; Due the arrivals that should have come by now, Arrived those that came.
	Answers Counts  `json:"answers"`
	Due     int64   `json:"due"`
	Arrived int64   `json:"arrived"`
	Latency Latency `json:"latency_ms"`
	// Stock is what the admin API said; nil while it did not answer.
	Stock *Levels `json:"stock,omitempty"`
}

// Phase says what the stampede is doing.
type Phase string

// Phases.
const (
	Preparing Phase = "preparing"
	Storming  Phase = "storming"
	Settling  Phase = "settling"
	Checking  Phase = "checking"
	Done      Phase = "done"
)

// Progress is what a picture shows. Points is the series so far; it only grows and must not be changed.
type Progress struct {
	Phase    Phase
	Note     string
	Elapsed  time.Duration
	Arrivals int64 // how many will come
	Total    Counts
	Buyers   Buyers
	Points   []Point
	Rate     float64
}

// Buyers counts buyers by what became of them.
type Buyers struct {
	Arrived    int64 `json:"arrived"`
	Won        int64 `json:"won"`
	Lost       int64 `json:"lost"`
	Paid       int64 `json:"paid"`
	Cancelled  int64 `json:"cancelled"`
	WalkedAway int64 `json:"walked_away"`
}

const sampleEvery = 250 * time.Millisecond

// sample takes a point about four times a second, one at the beginning and one when ctx ends, and tells the picture.
func (s *storm) sample(ctx context.Context) {
	for {
		s.point(context.WithoutCancel(ctx))
		t := s.cfg.Clock.NewTimer(sampleEvery)
		select {
		case <-t.C():
		case <-ctx.Done():
			t.Stop()
			s.point(context.WithoutCancel(ctx))
			return
		}
	}
}

func (s *storm) point(ctx context.Context) {
	now := s.cfg.Clock.Now()
	p := Point{At: now.Sub(s.start).Seconds(), Latency: s.meter.lap(), Arrived: s.meter.arrived.Load()}
	total := s.meter.counts()
	p.Answers = total.minus(s.counted)
	s.counted = total
	p.Due = min(int64(s.cfg.Rate*max(p.At, 0)), int64(s.cfg.arrivals()))
	if n := len(s.points); n > 0 {
		p.Span = p.At - s.points[n-1].At
	} else {
		p.Span = p.At
	}
	if rows, err := s.levels(ctx); err == nil {
		p.Stock = &Levels{}
		for i := range rows {
			p.Stock.Offered += rows[i].Offered - rows[i].Withdrawn
			p.Stock.Available += rows[i].Available
			p.Stock.Held += rows[i].Held
			p.Stock.Sold += rows[i].Sold
		}
	}
	s.points = append(s.points, p)
	s.tell(total)
}

func (s *storm) tell(total Counts) {
	phase := s.phase.Load().(Phase)
	s.cfg.Progress(Progress{
		Phase: phase, Elapsed: s.cfg.Clock.Now().Sub(s.start), Arrivals: int64(s.cfg.arrivals()), Total: total,
		Buyers: s.meter.buyers(), Points: s.points, Rate: s.cfg.Rate,
	})
}

func (m *meter) buyers() Buyers {
	return Buyers{
		Arrived: m.arrived.Load(), Won: m.winners.Load(), Lost: m.losers.Load(), Paid: m.paid.Load(),
		Cancelled: m.cancelled.Load(), WalkedAway: m.walked.Load(),
	}
}
