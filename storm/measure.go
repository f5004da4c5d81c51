package storm

import (
	"sync"
	"sync/atomic"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"penstock/check/history"
)

// Kind is what an answer to an attempt was.
type Kind uint8

// Kinds of answers: Won names an order, Lost is a final no, Refused a definite no that is not final, Shed a server that is too
// busy (not executed), NoAnswer everything that may have happened.
const (
	Won Kind = iota
	Lost
	Refused
	Shed
	NoAnswer
	kinds
)

func (k Kind) String() string { return [...]string{"won", "lost", "refused", "shed", "unknown"}[k] }

func kindOf(o history.Outcome, problem string) Kind {
	switch {
	case o == history.Ack:
		return Won
	case o == history.Unknown:
		return NoAnswer
	case problem == "reduced-capacity":
		return Shed
	case history.Final(problem):
		return Lost
	}
	return Refused
}

// Counts are answers by kind.
type Counts [kinds]int64

// Total is how many answers there were.
func (c Counts) Total() (n int64) {
	for _, v := range c {
		n += v
	}
	return n
}

// minus returns the counts since an earlier moment.
func (c Counts) minus(before Counts) Counts {
	for i := range c {
		c[i] -= before[i]
	}
	return c
}

// Latency is percentiles in milliseconds.
type Latency struct {
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

const (
	longest = int64(10 * time.Minute / time.Microsecond)
	digits  = 3
)

// meter counts and times answers. Safe for concurrent use.
type meter struct {
	answers [kinds]atomic.Int64
	tallies // by buyer and by act

	mu       sync.Mutex
	all      *hdr.Histogram // µs
	won, no  *hdr.Histogram
	interval *hdr.Histogram
}

// tallies count buyers, not calls.
type tallies struct {
	arrived, winners, losers, paid, cancelled, walked, replayed, turned atomic.Int64
	lastArrival                                                         atomic.Int64 // ns after the start
}

func newMeter() *meter {
	h := func(digits int) *hdr.Histogram { return hdr.New(1, longest, digits) }
	return &meter{all: h(digits), won: h(digits), no: h(digits), interval: h(2)}
}

// saw records an answer to an attempt and how long after its due time it came.
func (m *meter) saw(k Kind, took time.Duration) {
	m.answers[k].Add(1)
	us := min(max(int64(took/time.Microsecond), 1), longest)
	m.mu.Lock()
	defer m.mu.Unlock()
	// The value is inside the histogram's range, so recording cannot fail.
	_ = m.all.RecordValue(us)
	_ = m.interval.RecordValue(us)
	switch k {
	case Won:
		_ = m.won.RecordValue(us)
	case Lost, Refused:
		_ = m.no.RecordValue(us)
	}
}

func (m *meter) counts() (c Counts) {
	for i := range c {
		c[i] = m.answers[i].Load()
	}
	return c
}

func percentiles(h *hdr.Histogram) Latency {
	ms := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1000 }
	if h.TotalCount() == 0 {
		return Latency{}
	}
	return Latency{P50: ms(50), P99: ms(99), P999: ms(99.9), Max: float64(h.Max()) / 1000}
}

// latencies returns the percentiles of all answers, of wins and of noes.
func (m *meter) latencies() (all, won, no Latency) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return percentiles(m.all), percentiles(m.won), percentiles(m.no)
}

// lap returns the percentiles since the last call.
func (m *meter) lap() Latency {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := percentiles(m.interval)
	m.interval.Reset()
	return l
}
