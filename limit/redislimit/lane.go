package redislimit

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"penstock/limit/driver"
)

const (
	// backlog is how many batches may wait; calls beyond that are not asked about.
	backlog = 16
	// maxCounters is how many counters one script may have: Lua hands over no more than 8000 values at once.
	maxCounters = 4000
	maxPlans    = 255
	maxAsks     = 255
	answerSize  = 20
	// slack is how much later than it was sent a call may reach Redis for its word about the time to be true.
	slack = 100 * time.Millisecond
)

// waiter is one call on its way through Redis. answers are written before done is closed, and only read by the caller after.
type waiter struct {
	asks    []driver.Ask
	answers []driver.Answer
	since   time.Time
	err     error
	done    chan struct{}
}

// lane gathers calls: while one batch is on its way, the next gathers. An idle lane has no goroutine.
type lane struct {
	r       *Redis
	mu      sync.Mutex
	waiting []*waiter
	running bool
}

var (
	errBacklog = errors.New("redislimit: too many calls wait")
	errAnswer  = errors.New("redislimit: an answer that cannot be read")
)

// Take implements driver.Driver.
func (r *Redis) Take(ctx context.Context, asks []driver.Ask, answers []driver.Answer) error {
	switch {
	case r.gone.Load():
		return ErrGone
	case len(asks) == 0:
		return nil
	case len(asks) > maxAsks:
		return fmt.Errorf("redislimit: %d counters in one call, at most %d", len(asks), maxAsks)
	}
	w := &waiter{asks: asks, answers: make([]driver.Answer, len(asks)), since: r.opt.Clock.Now(), done: make(chan struct{})}
	l := &r.lane
	l.mu.Lock()
	if len(l.waiting) >= backlog*r.opt.MaxBatch {
		l.mu.Unlock()
		return errBacklog
	}
	l.waiting = append(l.waiting, w)
	if !l.running {
		l.running = true
		go l.run()
	}
	l.mu.Unlock()
	select {
	case <-w.done:
		copy(answers, w.answers)
		return w.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run calls until nobody waits.
func (l *lane) run() {
	for {
		l.mu.Lock()
		n, counters := 0, 0
		for n < min(len(l.waiting), l.r.opt.MaxBatch) {
			if counters += len(l.waiting[n].asks); counters > maxCounters && n > 0 {
				break
			}
			n++
		}
		batch := l.waiting[:n]
		l.waiting = l.waiting[n:]
		if n == 0 {
			l.waiting, l.running = nil, false
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		l.r.judge(batch)
	}
}

// judge has a batch judged. Whatever goes wrong, everybody is answered, and who waited too long for his turn is not kept longer.
func (r *Redis) judge(batch []*waiter) {
	start := r.opt.Clock.Now()
	err := ErrGone
	if !r.gone.Load() && start.Sub(batch[0].since) <= r.opt.Deadline {
		b := r.encode(batch)
		ctx, cancel := context.WithTimeout(context.Background(), r.opt.Deadline)
		var text string
		if text, err = r.exec(ctx, r.lua.take, b.keys, []string{string(b.plans), string(b.calls)}).ToString(); err == nil {
			err = b.decode(text)
		}
		cancel()
		if err != nil {
			r.lost(err)
		}
		r.opt.OnCall(Call{Batch: len(batch), Took: r.opt.Clock.Now().Sub(start), Err: err})
	}
	for _, w := range batch {
		if w.err == nil {
			w.err = err
		}
		close(w.done)
	}
}

// batch is what the script is told.
type batch struct {
	keys         []string
	plans, calls []byte
	sent         []*waiter
}

func (r *Redis) encode(waiters []*waiter) *batch {
	b := &batch{keys: make([]string, 1, 1+2*len(waiters)), calls: make([]byte, 0, 10*len(waiters))}
	b.keys[0] = r.base + "clock"
	keys, plans := map[driver.Ask]int{}, map[driver.Plan]int{}
	for _, w := range waiters {
		for i := range w.asks {
			if _, ok := plans[w.asks[i].Plan]; !ok && len(plans) < maxPlans {
				plans[w.asks[i].Plan] = len(plans)
				b.plan(w.asks[i].Plan, r.opt.Margin)
			} else if !ok {
				w.err = errBacklog // more rates than one script can tell apart
			}
		}
		if w.err != nil {
			continue
		}
		b.sent, b.calls = append(b.sent, w), append(b.calls, byte(len(w.asks)))
		for i := range w.asks {
			at, ok := keys[w.asks[i]]
			if !ok {
				at = len(keys)
				keys[w.asks[i]] = at
				b.keys = append(b.keys, r.key(&w.asks[i]))
			}
			b.calls = append(binary.BigEndian.AppendUint16(b.calls, uint16(at)), byte(plans[w.asks[i].Plan]))
		}
	}
	return b
}

func (b *batch) plan(p driver.Plan, margin time.Duration) {
	ttl := (p.Span() + margin).Milliseconds() + 1
	b.plans = append(b.plans, byte(p.Algorithm))
	for _, v := range [...]float64{float64(p.Calls), float64(p.Per) / 1e3, float64(p.Burst), float64(ttl)} {
		b.plans = binary.BigEndian.AppendUint64(b.plans, math.Float64bits(v))
	}
}

// key names a counter by its plan too: a count means nothing under another.
func (r *Redis) key(a *driver.Ask) string {
	k := append(make([]byte, 0, 128), r.base...)
	k = append(k, "wtl"[a.Plan.Algorithm%3])
	k = append(strconv.AppendInt(k, int64(a.Plan.Calls), 36), '/')
	k = append(strconv.AppendInt(k, int64(a.Plan.Per), 36), '+')
	k = append(strconv.AppendInt(k, int64(a.Plan.Burst), 36), ':')
	return string(append(k, a.Key...))
}

// decode hands out what the script said.
func (b *batch) decode(text string) error {
	want := 0
	for _, w := range b.sent {
		want += len(w.asks) * answerSize
	}
	if len(text) != want {
		return errAnswer
	}
	in := []byte(text)
	for _, w := range b.sent {
		for i := range w.answers {
			remaining := int32(binary.BigEndian.Uint32(in))
			a := driver.Answer{Remaining: int(remaining), Reset: micros(in[4:]), Wait: micros(in[12:])}
			if remaining < 0 {
				a = driver.Answer{Reset: a.Reset, Retry: max(a.Reset, time.Microsecond)}
			}
			w.answers[i], in = a, in[answerSize:]
		}
	}
	return nil
}

// micros reads microseconds, rounded up to whole ones.
func micros(b []byte) time.Duration {
	return time.Duration(math.Ceil(math.Float64frombits(binary.BigEndian.Uint64(b)))) * time.Microsecond
}

// exec runs a script and tells it how long ago, at most, this process knows another one to have run.
func (r *Redis) exec(ctx context.Context, s *rueidis.Lua, keys, args []string) rueidis.RedisResult {
	c, err := r.client.Redis()
	if err != nil {
		return rueidis.NewErrorResult(err)
	}
	now := max(int64(r.opt.Clock.Now().Sub(r.start)), 1)
	passed := ""
	if sent := r.sent.Load(); sent > 0 {
		passed = num((time.Duration(now-sent) + slack).Microseconds())
	}
	res := s.Exec(ctx, c, keys, append([]string{passed}, args...))
	if res.Error() == nil {
		r.sent.Store(now)
	}
	return res
}

func num(n int64) string { return strconv.FormatInt(n, 10) }
