package redisgate_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"penstock/errs"
	"penstock/internal/faultproxy"
	"penstock/stock"
	"penstock/stock/gate/redisgate"
)

// buyer is one user with one key.
type buyer struct {
	user   string
	won    stock.ID
	answer stock.Answer
}

// crowd is a storm: every buyer tries until the answer is a win, final, or he gives up.
type crowd struct {
	r      *rig
	sale   string
	buyers []*buyer
	mu     sync.Mutex
	worst  time.Duration
	think  time.Duration // between two buyers of a worker, so that the storm lasts
}

func newCrowd(r *rig, n int) *crowd {
	c := &crowd{r: r, sale: "s"}
	for i := range n {
		c.buyers = append(c.buyers, &buyer{user: fmt.Sprintf("buyer-%d", i)})
	}
	return c
}

func (c *crowd) run(workers int) {
	queue := make(chan *buyer)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for b := range queue {
				c.try(w, b)
				<-time.After(c.think)
			}
		})
	}
	for _, b := range c.buyers {
		queue <- b
	}
	close(queue)
	wg.Wait()
}

// try asks up to three times, each time on the next instance.
func (c *crowd) try(w int, b *buyer) {
	for i := range 3 {
		start := time.Now()
		b.answer = c.r.ask((w+i)%len(c.r.instances), c.sale, b.user, "k")
		took := time.Since(start)
		c.mu.Lock()
		c.worst = max(c.worst, took)
		c.mu.Unlock()
		if b.answer.State == stock.Won {
			b.won = b.answer.Attempt.ID
			return
		}
		if b.answer.Reason == errs.SoldOut {
			return
		}
	}
}

// check is truth: exactly the units are taken, once each, and every key has one answer for ever, on every instance.
func (c *crowd) check(units int64) {
	c.r.t.Helper()
	t := c.r.t
	l := c.r.level(c.sale)
	if l.Held != units || l.Available != 0 {
		t.Errorf("sold %d of %d, %d left: %+v", l.Held, units, l.Available, l)
	}
	ids := map[stock.ID]string{}
	won := int64(0)
	for _, b := range c.buyers {
		for in := range c.r.instances {
			a := c.r.ask(in, c.sale, b.user, "k")
			if b.won != 0 && a.Reason == errs.StockHeld { // without its mark, which is lost with Redis, a win of a moment ago is not known everywhere
				c.r.within(patience, b.user+" is told of the win", func() bool {
					a = c.r.ask(in, c.sale, b.user, "k")
					return a.Reason != errs.StockHeld
				})
			}
			switch {
			case b.won != 0 && (a.State != stock.Won || a.Attempt.ID != b.won || !a.Replayed):
				t.Errorf("%s won %v and is now told %v %v", b.user, b.won, a.State, a.Reason)
			case a.State == stock.Unknown:
				t.Errorf("%s is told unknown in quiet times", b.user)
			case a.State == stock.Won:
				b.won = a.Attempt.ID
			}
		}
		if b.won != 0 {
			if other, ok := ids[b.won]; ok {
				t.Errorf("%s and %s have the same order", b.user, other)
			}
			ids[b.won] = b.user
			won++
		}
	}
	if won != units {
		t.Errorf("%d buyers know of a win, %d units are held", won, units)
	}
}

// fault is what happens to Redis in the middle of a storm, and what ends it.
type fault struct {
	name string
	do   func(t *testing.T, s *server, p *faultproxy.Proxy) (heal func())
}

func proxied(set func(*faultproxy.Proxy)) func(*testing.T, *server, *faultproxy.Proxy) func() {
	return func(_ *testing.T, _ *server, p *faultproxy.Proxy) func() {
		set(p)
		return p.Pass
	}
}

var faults = []fault{
	{"nothing", func(*testing.T, *server, *faultproxy.Proxy) func() { return func() {} }},
	{"flushed", func(t *testing.T, s *server, _ *faultproxy.Proxy) func() {
		s.do(t, "FLUSHALL")
		return func() { s.do(t, "FLUSHALL") }
	}},
	{"scripts forgotten", func(t *testing.T, s *server, _ *faultproxy.Proxy) func() {
		s.do(t, "SCRIPT", "FLUSH")
		return func() {}
	}},
	{"killed and back empty", func(t *testing.T, s *server, _ *faultproxy.Proxy) func() {
		s.Kill(t)
		return func() { s.Start(t) }
	}},
	{"paused", func(t *testing.T, s *server, _ *faultproxy.Proxy) func() {
		s.Pause(t)
		return func() { s.Resume(t) }
	}},
	{"refused", proxied((*faultproxy.Proxy).Refuse)},
	{"black hole", proxied((*faultproxy.Proxy).BlackHole)},
	{"reset", proxied((*faultproxy.Proxy).Reset)},
	{"reply lost", proxied((*faultproxy.Proxy).DropReplies)},
	{"slow", proxied(func(p *faultproxy.Proxy) { p.Delay(120 * time.Millisecond) })},
	{"out of memory", func(t *testing.T, s *server, _ *faultproxy.Proxy) func() {
		s.do(t, "CONFIG", "SET", "maxmemory", "1")
		return func() { s.do(t, "CONFIG", "SET", "maxmemory", "0") }
	}},
}

// Whatever happens to Redis in the middle of a storm of two instances, of which one may not even notice: exactly the units are
// sold, each answer is kept, nobody is held up by Redis for long, and the gate becomes useful again. How soon is logged.
func TestStorm(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			p := faultproxy.New(t, s.Addr())
			r := open(t, 2, redisgate.Options{Every: quick, Attempt: 500 * time.Millisecond}, "redis://"+p.Addr(), s.URL())
			const units = 300
			r.create("s", units, 1)
			r.useful("s")
			c := newCrowd(r, 900)
			third := len(c.buyers) / 3
			all := c.buyers
			c.buyers = all[:third/4]
			c.run(16)
			heal := f.do(t, s, p)
			c.buyers, c.think = all[third/4:2*third], 20*time.Millisecond
			c.run(32)
			heal()
			healed := time.Now()
			c.buyers = all[2*third:]
			c.run(32)
			r.useful("s")
			back := time.Since(healed)
			c.buyers = all
			r.within(patience, "the rest is sold", func() bool {
				c.buyers = []*buyer{{user: fmt.Sprint("late-", len(all))}}
				if r.level("s").Available == 0 {
					return true
				}
				c.run(1)
				all = append(all, c.buyers...)
				return false
			})
			c.buyers = slices.Clip(all)
			c.check(units)
			t.Logf("longest answer %v, useful again %v after the end of the fault", c.worst, back)
			if c.worst > time.Minute {
				t.Errorf("an attempt took %v", c.worst)
			}
		})
	}
}
