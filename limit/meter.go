package limit

import (
	"time"

	"penstock/limit/driver"
)

// meter measures one counter by a plan, in cells that belong to the counter. n is how many instances share the plan while they
// cannot ask each other: each takes an n-th, rounded up.
type meter struct {
	plan   driver.Plan
	window window // of a sliding window
	// every is how long one call fills a bucket of size calls, in nanoseconds, rounded up. The only cell of a bucket is when it
	// will have run empty.
	every, size int64
}

func meterOf(p driver.Plan) meter {
	m := meter{plan: p, window: windowOf(Rate{Calls: p.Calls, Per: p.Per})}
	if p.Algorithm != SlidingWindow {
		m.every = (int64(p.Per) + int64(p.Calls) - 1) / int64(p.Calls)
		m.size = int64(p.Burst)
		m.window.cells = 1
	}
	if p.Algorithm == LeakyBucket {
		m.size++ // who waits, and who goes on
	}
	return m
}

// share is an n-th, rounded up.
func share(of, n int64) int64 { return (of + n - 1) / n }

// look says what the counter would answer, and changes nothing.
func (m *meter) look(cells []int64, now, n int64) driver.Answer {
	if m.every == 0 {
		w := m.window
		w.calls = int(share(int64(w.calls), n))
		r := w.look(cells, now)
		return driver.Answer{Remaining: r.Remaining, Reset: r.Reset, Retry: r.RetryAfter}
	}
	every, size := m.every*n, share(m.size, n)
	level := max(cells[0]-now, 0)
	if over := level - (size-1)*every; over > 0 {
		return driver.Answer{Reset: time.Duration(over), Retry: time.Duration(over)}
	}
	a := driver.Answer{Remaining: int((size*every - level - every) / every), Reset: time.Duration(level%every + every)}
	if level%every > 0 {
		a.Reset -= time.Duration(every)
	}
	if m.plan.Algorithm == LeakyBucket {
		a.Wait = time.Duration(level)
	}
	return a
}

// count adds a call, whether there is room or not.
func (m *meter) count(cells []int64, now, n int64) {
	if m.every == 0 {
		m.window.count(cells, now)
		return
	}
	cells[0] = max(cells[0], now) + m.every*n
}

// keep is after how long without a call the counter is as good as new; a bucket shared by n takes every*(n-1) longer.
func (m *meter) keep() int64 {
	if m.every == 0 {
		return int64(m.plan.Span())
	}
	return m.size * m.every
}

// whole is what the headers say that the quota is.
func (m *meter) whole() (limit int, in time.Duration) {
	if m.every == 0 {
		return m.plan.Calls, m.plan.Per
	}
	return int(m.size), time.Duration(m.size * m.every)
}
