package crash

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// outcome is what one call told its buyer.
type outcome int

const (
	unknown outcome = iota // 202, key-in-progress, time-out, reset, other 5xx: it may have happened
	won                    // ACK: an order is named
	lost                   // NACK, final: bound to the key
	refused                // NACK, not executed: nothing is bound
)

func (o outcome) String() string { return [...]string{"unknown", "won", "lost", "refused"}[o] }

// answer is one line of a buyer's log. Reason is the last element of the problem's type.
type answer struct {
	Outcome outcome
	Status  int
	Reason  string
	Order   string
	ID      string
	Body    string
	Amount  int64
	unsent  bool // no connection: the server has never seen the call
	// sent and got are by the buyer's clock; got is zero when no answer came.
	sent, got time.Time
}

// try is one (user, key) with everything its buyer was told, in order.
type try struct {
	User, Key, token string
	Answers          []answer
	// payment is the payment that the server took for the order, or "".
	payment string
}

// final is what the buyer may rely on: a win, else a final no, else unknown if anything was, else refused. An unknown ends as
// a refusal when the sale itself (not a limit, not an overload) later turned the same key away: a key that had been executed
// would have got its answer again.
func (p *try) final() outcome {
	best := refused
	for _, a := range p.Answers {
		switch {
		case a.Outcome == won:
			return won
		case a.Outcome == lost:
			best = lost
		case a.Outcome == unknown && best == refused:
			best = unknown
		case a.turnedAway() && best == unknown:
			best = refused
		}
	}
	return best
}

// turnedAway reports a refusal by the sale, which comes after the look at the key.
func (a answer) turnedAway() bool {
	return a.Outcome == refused && (a.Status == http.StatusConflict || a.Status == http.StatusForbidden)
}

// crowd is many buyers at one sale. While the server is down they wait at the door.
type crowd struct {
	t       *testing.T
	sale    string
	tokens  []string
	perUser int
	http    *http.Client

	mu       sync.Mutex
	base     string        // address of the running server
	open     bool          // the door
	door     chan struct{} // closed while the door is open
	tries    []*try
	next     int
	strange  []string  // answers that no buyer should ever see
	recent   []outcome // the latest last
	answered atomic.Int64
	stopped  chan struct{}
	done     sync.WaitGroup
}

const workers = 24

// gather makes a crowd with a token per user; each user tries perUser times, each time with a key of its own.
func gather(t *testing.T, s *server, users, perUser int) *crowd {
	t.Helper()
	c := &crowd{
		t: t, sale: "flash", perUser: perUser, http: client(workers), door: make(chan struct{}), stopped: make(chan struct{}),
		tokens: tokens(t, s.dir, "--user", "u", "--count", fmt.Sprint(users)),
	}
	if len(c.tokens) != users {
		t.Fatalf("penstock token --count %d printed %d tokens", users, len(c.tokens))
	}
	return c
}

// rush lets the workers run until halt.
func (c *crowd) rush() {
	for range workers {
		c.done.Go(func() {
			for p := c.take(); p != nil; p = c.take() {
				c.insist(p)
			}
		})
	}
	c.t.Cleanup(c.halt)
}

// insist makes the call of a try. A call that could not even be sent is nothing to log: it is made again when the server is
// back.
func (c *crowd) insist(p *try) {
	for {
		a := c.attempt(p)
		if !a.unsent {
			c.note(p, a)
			if a.Outcome == won && strings.HasSuffix(p.Key, "5") {
				c.pay(p, a.Order)
			}
			return
		}
		select {
		case <-c.stopped:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// halt stops the workers and waits for the calls in flight.
func (c *crowd) halt() {
	c.mu.Lock()
	select {
	case <-c.stopped:
	default:
		close(c.stopped)
	}
	c.mu.Unlock()
	c.done.Wait()
}

// enter opens the door to a server; leave shuts it.
func (c *crowd) enter(s *server) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.base = "http://" + s.at.Public
	if !c.open {
		c.open = true
		close(c.door)
	}
}

func (c *crowd) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open {
		c.open = false
		c.door = make(chan struct{})
	}
}

// take waits at the door for the next try; nil when all have been had or the crowd was halted.
func (c *crowd) take() *try {
	c.mu.Lock()
	door := c.door
	c.mu.Unlock()
	select {
	case <-c.stopped:
		return nil
	case <-door:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.stopped:
		return nil
	default:
	}
	n := c.next
	if n >= len(c.tokens)*c.perUser {
		return nil
	}
	c.next++
	u := n % len(c.tokens)
	p := &try{User: fmt.Sprintf("u-%d", u+1), Key: fmt.Sprintf("k-%d", n), token: c.tokens[u]}
	c.tries = append(c.tries, p)
	return p
}

func (c *crowd) note(p *try, a answer) {
	c.mu.Lock()
	p.Answers = append(p.Answers, a)
	if c.recent = append(c.recent, a.Outcome); len(c.recent) > 4096 {
		c.recent = slices.Clone(c.recent[len(c.recent)-1024:])
	}
	if a.Status >= 500 && a.Status != http.StatusServiceUnavailable {
		c.strange = append(c.strange, fmt.Sprintf("%s %s: %d %s", p.User, p.Key, a.Status, a.Body))
	}
	c.mu.Unlock()
	c.answered.Add(1)
}

// until waits for n more answers, or until the server has ended.
func (c *crowd) until(s *server, n int64) bool {
	goal := c.answered.Load() + n
	return s.poll(func() bool { return c.answered.Load() >= goal })
}

// last reports whether the n latest answers were all of the given kinds.
func (c *crowd) last(n int, kinds ...outcome) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.recent) < n {
		return false
	}
	for _, o := range c.recent[len(c.recent)-n:] {
		if !slices.Contains(kinds, o) {
			return false
		}
	}
	return true
}

// latest counts the n latest answers by kind.
func (c *crowd) latest(n int) map[outcome]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	kinds := map[outcome]int{}
	for _, o := range c.recent[max(0, len(c.recent)-n):] {
		kinds[o]++
	}
	return kinds
}

// spent reports whether every buyer has had all tries.
func (c *crowd) spent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.next >= len(c.tokens)*c.perUser
}

// attempt makes the call of a try and says what it told the buyer.
func (c *crowd) attempt(p *try) answer {
	c.mu.Lock()
	base := c.base
	c.mu.Unlock()
	req, err := http.NewRequest(http.MethodPost, base+"/v1/sales/"+c.sale+"/attempts", strings.NewReader(`{"sku":"sku-1","quantity":1}`))
	if err != nil {
		c.t.Error(err)
		return answer{}
	}
	return c.do(req, p, p.Key)
}

func (c *crowd) do(req *http.Request, p *try, key string) answer {
	req.GetBody = nil // or net/http itself sends a call with a key again after a reset, and the log would not know
	req.Header.Set("Authorization", "Bearer "+p.token)
	if key != "" {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", `"`+key+`"`)
	}
	began := time.Now()
	a := read(c.http.Do(req))
	a.sent = began
	if a.Status != 0 {
		a.got = time.Now()
	}
	return a
}

// pay asks for a payment of an order that was won and remembers what the server took.
func (c *crowd) pay(p *try, order string) {
	c.mu.Lock()
	base := c.base
	c.mu.Unlock()
	req, err := http.NewRequest(http.MethodPost, base+"/v1/orders/"+order+"/payments", strings.NewReader(`{"method":"sandbox"}`))
	if err != nil {
		c.t.Error(err)
		return
	}
	a := c.do(req, p, "pay-"+p.Key)
	c.mu.Lock()
	if a.Status == http.StatusCreated {
		p.payment = a.ID
	}
	c.mu.Unlock()
}

// lookup asks what the key is bound to.
func (c *crowd) lookup(p *try) answer {
	req, err := http.NewRequest(http.MethodGet, c.base+"/v1/sales/"+c.sale+"/attempts/"+p.Key, nil)
	if err != nil {
		c.t.Error(err)
		return answer{}
	}
	return c.do(req, p, "")
}

// final are the reasons that bind a key.
var final = map[string]bool{"sold-out": true, "limit-reached": true}

func read(resp *http.Response, err error) answer {
	if err != nil {
		return answer{Body: err.Error(), unsent: errors.Is(err, syscall.ECONNREFUSED)}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return answer{Status: resp.StatusCode, Body: err.Error()}
	}
	var v struct {
		ID, State, Order, Reason, Type string
		Amount                         int64
		Executed                       *bool
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return answer{Status: resp.StatusCode, Body: fmt.Sprintf("not JSON: %q", b)}
	}
	a := answer{Status: resp.StatusCode, ID: v.ID, Order: v.Order, Amount: v.Amount, Body: string(bytes.TrimSpace(b))}
	a.Reason = v.Type[strings.LastIndexByte(v.Type, '/')+1:]
	if v.Reason != "" {
		a.Reason = v.Reason
	}
	switch {
	case v.Order != "" && v.State == "won":
		a.Outcome = won
	case final[a.Reason]:
		a.Outcome = lost
	case a.Status == http.StatusAccepted || a.Reason == "key-in-progress" || v.State == "unknown":
		a.Outcome = unknown
	case a.Status >= 500 || a.Status == http.StatusTooManyRequests:
		if v.Executed != nil && !*v.Executed {
			a.Outcome = refused
		}
	case a.Status >= 400:
		a.Outcome = refused
	}
	return a
}

// settle asks again, under the same key, until each unknown is known.
func (c *crowd) settle(s *server) {
	c.t.Helper()
	for _, p := range c.tries {
		if p.final() != unknown {
			continue
		}
		var a answer
		known := s.poll(func() bool {
			a = c.attempt(p)
			return a.Outcome == won || a.Outcome == lost || a.turnedAway()
		})
		c.note(p, a)
		if !known {
			c.t.Fatalf("%s %s never settled; last: %d %s", p.User, p.Key, a.Status, a.Body)
		}
	}
}

// counts sums up the log.
func (c *crowd) counts() map[outcome]int {
	n := map[outcome]int{}
	for _, p := range c.tries {
		n[p.final()]++
	}
	return n
}
