package console

import (
	"cmp"
	"math"
	"slices"
	"time"

	"penstock/errs"
)

// Answers is what a sale's buyers were told lately, by this process.
type Answers struct {
	// PerSecond is by kind, over the last second.
	PerSecond Kinds `json:"perSecond"`
	// Latency is of the last five seconds; nil when nobody was answered.
	Latency *Latency `json:"latencyMs" nullable:"true"`
	// Reasons are those of the last minute's refusals, most frequent first.
	Reasons []Reason `json:"reasons"`
	// Total is how many answers were given since the watch began.
	Total int64 `json:"total"`
}

// Kinds counts answers by kind: Lost is final, Refused may be tried again, Throttled were too fast, Shed are those that the server
// could not take; none of the last three was executed. Failed are errors of ours.
type Kinds struct {
	Won       float64 `json:"won"`
	Lost      float64 `json:"lost"`
	Refused   float64 `json:"refused"`
	Throttled float64 `json:"throttled"`
	Shed      float64 `json:"shed"`
	Unknown   float64 `json:"unknown"`
	Failed    float64 `json:"failed"`
}

// Latency is in milliseconds, from the first byte of a request to the end of its answer.
type Latency struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

// Reason is why buyers got nothing.
type Reason struct {
	Reason errs.Code `json:"reason"`
	N      int64     `json:"n"`
}

const topReasons = 6

// sums is what the counts were at a moment.
type sums struct {
	at    time.Time
	won   int64
	codes []int64
	took  [buckets]int64
}

func (c *counts) snapshot() sums {
	s := sums{won: c.won.Load(), codes: make([]int64, len(c.codes))}
	for i := range c.codes {
		s.codes[i] = c.codes[i].Load()
	}
	for i := range c.took {
		s.took[i] = c.took[i].Load()
	}
	return s
}

// window remembers a minute of sums, one a second. It belongs to one goroutine.
type window struct {
	m    *Meter
	c    *counts
	past []sums // oldest first
}

const (
	rateOver    = time.Second
	latencyOver = 5 * time.Second
	reasonsOver = time.Minute
)

func (w *window) keep(at time.Time, s sums) {
	s.at = at
	if n := len(w.past); n > 0 && at.Sub(w.past[n-1].at) < rateOver {
		return
	}
	w.past = append(w.past, s)
	for len(w.past) > 1 && at.Sub(w.past[1].at) >= reasonsOver {
		w.past = slices.Delete(w.past, 0, 1)
	}
}

// before returns the youngest sums that are at least d old, else the oldest.
func (w *window) before(at time.Time, d time.Duration) *sums {
	for i := len(w.past) - 1; i > 0; i-- {
		if at.Sub(w.past[i].at) >= d {
			return &w.past[i]
		}
	}
	return &w.past[0]
}

// read tells what happened lately.
func (w *window) read() Answers {
	at, now := w.m.now(), w.c.snapshot()
	second := w.before(at, rateOver)
	a := Answers{Total: now.won, PerSecond: w.kinds(&now, second, at.Sub(second.at)), Latency: latency(&now, w.before(at, latencyOver)), Reasons: w.reasons(&now, w.before(at, reasonsOver))}
	for _, n := range now.codes {
		a.Total += n
	}
	w.keep(at, now)
	return a
}

func (w *window) kinds(now, then *sums, over time.Duration) (k Kinds) {
	per := 1 / max(over, rateOver/4).Seconds()
	for i, c := range w.m.names {
		if n := now.codes[i] - then.codes[i]; n > 0 {
			*k.of(c) += float64(n) * per
		}
	}
	k.Won = float64(now.won-then.won) * per
	for _, f := range []*float64{&k.Won, &k.Lost, &k.Refused, &k.Throttled, &k.Shed, &k.Unknown, &k.Failed} {
		*f = math.Round(*f*10) / 10
	}
	return k
}

// of says which kind an answer with a code is.
func (k *Kinds) of(c errs.Code) *float64 {
	switch {
	case c == errs.SoldOut || c == errs.LimitReached:
		return &k.Lost
	case c == errs.Unknown:
		return &k.Unknown
	case c == errs.QuotaExceeded:
		return &k.Throttled
	case c == errs.ReducedCapacity:
		return &k.Shed
	case c.Status() >= 500:
		return &k.Failed
	}
	return &k.Refused
}

func latency(now, then *sums) *Latency {
	var took [buckets]int64
	var all int64
	for i := range took {
		took[i] = now.took[i] - then.took[i]
		all += took[i]
	}
	if all == 0 {
		return nil
	}
	return &Latency{P50: quantile(&took, all, 0.5), P99: quantile(&took, all, 0.99)}
}

// quantile returns the upper end of the bucket that the quantile lies in.
func quantile(took *[buckets]int64, all int64, q float64) float64 {
	rank := int64(math.Ceil(q * float64(all)))
	for i, n := range took {
		if rank -= n; rank <= 0 {
			return float64(upTo(i).Microseconds()) / 1000
		}
	}
	return float64(upTo(buckets-1).Microseconds()) / 1000
}

func (w *window) reasons(now, then *sums) []Reason {
	all := []Reason{}
	for i, c := range w.m.names {
		if n := now.codes[i] - then.codes[i]; n > 0 {
			all = append(all, Reason{c, n})
		}
	}
	slices.SortFunc(all, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Reason, b.Reason))
	})
	return all[:min(len(all), topReasons)]
}
