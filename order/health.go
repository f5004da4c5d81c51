package order

import "time"

// health tells whether a database keeps whoever waits for it. Its times are real: what it measures is I/O, not business.
type health struct {
	began  time.Time // when the batch that is being written began
	failed time.Time // when the last batch failed after keeping its callers; zero when the last one did not
}

// cool is how long a database that has kept its callers for nothing is left alone.
const cool = time.Second

func (h *health) begin() { h.began = time.Now() }

func (h *health) end(failed bool, patience time.Duration) {
	now := time.Now()
	switch {
	case !failed:
		h.failed = time.Time{}
	case now.Sub(h.began) > patience/3:
		h.failed = now // one that fails at once costs nobody anything
	}
}

// stuck reports whether the batch being written takes longer than patience, or the last one did for nothing.
func (h *health) stuck(busy bool, patience time.Duration) bool {
	now := time.Now()
	return busy && now.Sub(h.began) > patience || !h.failed.IsZero() && now.Sub(h.failed) < cool
}

// patience is how long to wait now: a database that has failed slowly gets a tenth.
func (h *health) patience(usual time.Duration) time.Duration {
	if h.failed.IsZero() {
		return usual
	}
	return usual / 10
}
