package upstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"

	"penstock/breaker"
	"penstock/errs"
)

// side is an upstream as one route uses it.
type side struct {
	*pool
	breaker Breaker // nil for none
}

// errLate ends a try that took too long, errOverall all tries.
var (
	errLate    = errors.New("the try took too long")
	errOverall = errors.New("the call took too long")
	errNobody  = errors.New("no process of the upstream can take calls")
)

// send makes the tries of a call and tells the breaker how they ended.
func (s *side) send(j *job, out *http.Request) (*http.Response, error) {
	if s.breaker == nil {
		return j.tries(s.pool, out)
	}
	half := s.breaker.State() != breaker.Closed
	done, err := s.breaker.Allow()
	if err != nil {
		s.d.Observe(s.name, "breaker")
		return nil, unavailable(err, "the service behind this call is failing; it was not asked")
	}
	begun := time.Now()
	answer, err := j.tries(s.pool, out)
	failure := err
	if err == nil && failing(answer) {
		failure = errors.New(answer.Status)
	}
	if j.ctx.Err() != nil && !errors.Is(context.Cause(j.ctx), errOverall) && !half {
		failure = nil // the caller has gone; that says nothing about the upstream, but a trial that it broke off did not succeed
	}
	done(failure, time.Since(begun))
	return answer, err
}

// failing reports an answer that says that the upstream does not work.
func failing(a *http.Response) bool {
	return a.StatusCode >= 500 && a.StatusCode != http.StatusNotImplemented || a.Header.Get("Grpc-Status") == grpcUnavailable
}

// result is how a try ended.
type result struct {
	answer *http.Response
	err    error
	n      int // of the try
	target *target
	sent   bool // something may have reached the upstream
	cancel context.CancelCauseFunc
}

func (r result) failed() bool { return r.err != nil || failing(r.answer) }

// attempt is the tries of one call at one upstream.
type attempt struct {
	*job
	pool    *pool
	out     *http.Request
	results chan result
	running []result // with n and cancel only
	tried   []*target
	lost    bool // a try was sent and not answered
	sent    bool
}

// tries sends a call until it is answered or may not be sent again.
func (j *job) tries(p *pool, out *http.Request) (*http.Response, error) {
	p.budget.call()
	most := 1 + j.route.Retries.Times
	a := &attempt{job: j, pool: p, out: out, results: make(chan result, most+1)}
	if !a.launch() {
		p.d.Observe(p.name, "nobody")
		return nil, unavailable(errNobody, "no process of the service behind this call can take it; it was not executed")
	}
	var hedge <-chan time.Time
	if j.route.Hedge > 0 && j.safe && !j.upgrade {
		t := time.NewTimer(time.Duration(j.route.Hedge))
		defer t.Stop()
		hedge = t.C
	}
	for {
		select {
		case <-hedge:
			hedge = nil
			if p.budget.take() && a.launch() {
				p.d.Observe(p.name, "hedge")
			}
		case r := <-a.results:
			a.ended(r)
			if !r.failed() {
				a.giveUpOthers()
				return r.answer, nil
			}
			if len(a.running) > 0 {
				r.discard()
				continue // the hedge may do better
			}
			if len(a.tried) >= most || !a.again(r) {
				return a.end(r)
			}
			r.discard()
			p.d.Observe(p.name, "retry")
			if !a.launch() {
				return a.end(result{err: errNobody})
			}
		}
	}
}

func (r result) discard() {
	if r.answer != nil {
		r.answer.Body.Close()
	}
	r.cancel(context.Canceled)
}

// again waits for the next try, if there may be one: for what may be executed twice, and for what surely was not executed once.
// An upstream that says when to come back is not asked before.
func (a *attempt) again(r result) bool {
	repeatable := a.repeat || !r.sent && !a.sent
	answered := r.err == nil && (r.answer.Header.Get("Retry-After") != "" || r.answer.StatusCode == http.StatusInternalServerError)
	if !repeatable || answered || a.upgrade && r.sent || a.ctx.Err() != nil || !a.pool.budget.take() {
		return false
	}
	base := uint64(10*time.Millisecond) << len(a.tried)
	t := time.NewTimer(time.Duration(a.pool.d.Random() % base)) // spread, so that those who failed together do not come together
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-a.ctx.Done():
		return false
	}
}

// end says how the tries ended. An answer that something went wrong is none when an earlier try may have been executed.
func (a *attempt) end(r result) (*http.Response, error) {
	switch {
	case r.err == nil && a.lost && !a.safe:
		r.discard()
		return nil, unknown(errors.New(r.answer.Status))
	case r.err == nil:
		return r.answer, nil
	case r.cancel != nil:
		r.cancel(context.Canceled)
	}
	cause := context.Cause(a.ctx)
	if errors.Is(cause, errDrain) || errors.Is(cause, errExpired) {
		return nil, unavailable(cause, "the stream cannot begin now")
	}
	if cause != nil && !errors.Is(cause, errOverall) && (a.safe || a.sent) {
		return nil, context.Canceled // nobody hears it
	}
	if !a.sent {
		return nil, unavailable(r.err, "the service behind this call could not be reached; it was not executed")
	}
	return nil, a.lostAnswer(r.err)
}

// lostAnswer is what is said when a call was sent and its answer cannot be had.
func (j *job) lostAnswer(err error) error {
	late := errors.Is(err, errLate) || errors.Is(context.Cause(j.ctx), errOverall) || errors.Is(err, context.DeadlineExceeded)
	switch {
	case !j.safe:
		return unknown(err)
	case late:
		return errs.Wrap(errs.UpstreamTimeout, err, "the service behind this call did not answer in time")
	}
	return errs.Wrap(errs.UpstreamFailed, err, "the service behind this call gave no answer that can be used")
}

func unknown(err error) error {
	return errs.Wrap(errs.Unknown, err, "the call was sent on, and its answer was lost: whether it was executed is not known")
}

func unavailable(err error, detail string) error {
	e := errs.Wrap(errs.UpstreamUnavailable, err, "%s", detail)
	e.RetryAfter = time.Second
	if told, ok := errors.AsType[*errs.Error](err); ok {
		e.RetryAfter = max(e.RetryAfter, told.RetryAfter)
	}
	return e
}

// launch starts a try; false when there is no process for it.
func (a *attempt) launch() bool {
	t := a.pool.pick(a.tried)
	if t == nil {
		return false
	}
	ctx, cancel := context.WithCancelCause(a.ctx)
	a.tried = append(a.tried, t)
	r := result{n: len(a.tried), target: t, cancel: cancel}
	a.running = append(a.running, r)
	go a.try(ctx, r, a.request(t))
	return true
}

// request makes the request of one try.
func (a *attempt) request(t *target) *http.Request {
	r := a.out.Clone(context.Background())
	r.URL.Scheme, r.URL.Host, r.Host = t.at.Scheme, t.at.Host, a.host
	r.Body, r.GetBody, r.ContentLength = http.NoBody, nil, int64(len(a.body))
	if len(a.body) > 0 {
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(a.body)), nil }
		r.Body, _ = r.GetBody()
	}
	return r
}

// try makes one request. The time of a try ends with the head of the answer; that of the call goes on.
func (a *attempt) try(ctx context.Context, r result, out *http.Request) {
	var sent atomic.Bool
	// Headers are told before they are written, so that whatever was not told did not leave. Hooks of the proxy above are not
	// for here: several tries would call them at once.
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaderField: func(string, []string) { sent.Store(true) }})
	late := time.AfterFunc(a.route.Try.or(a.route.Timeout.or(defaultTimeout)), func() { r.cancel(errLate) })
	trip := a.pool.trip
	if a.upgrade {
		trip = a.pool.plain
	}
	r.target.inFlight.Add(1)
	answer, err := trip.RoundTrip(out.WithContext(traced))
	if !late.Stop() && err == nil {
		answer.Body.Close()
		err = errLate
	}
	if err != nil {
		r.target.inFlight.Add(-1)
		if cause := context.Cause(ctx); cause != nil {
			err = errors.Join(cause, err)
		}
		r.err = err
	} else {
		r.answer = a.took(answer, r.target, out)
	}
	r.sent = sent.Load()
	a.results <- r
}

// took copies the answer without its trailers, and counts it as in flight until its end.
func (a *attempt) took(answer *http.Response, t *target, out *http.Request) *http.Response {
	kept := *answer
	kept.Request = out.WithContext(a.out.Context())
	free := sync.OnceFunc(func() { t.inFlight.Add(-1) })
	if both, ok := answer.Body.(io.ReadWriteCloser); ok && answer.StatusCode == http.StatusSwitchingProtocols {
		kept.Body = &switched{both, free}
	} else {
		kept.Body = &counted{answer.Body, free, answer}
	}
	kept.Trailer = nil
	return &kept
}

// counted is a body that is in flight until it is closed. whole gets the trailers once it was read.
type counted struct {
	io.ReadCloser
	free  func()
	whole *http.Response
}

func (c *counted) Close() error { c.free(); return c.ReadCloser.Close() }

type switched struct {
	io.ReadWriteCloser
	free func()
}

func (s *switched) Close() error { s.free(); return s.ReadWriteCloser.Close() }

// ended takes a try off those that run, and tells its process how it did. Callers who leave say nothing about it.
func (a *attempt) ended(r result) {
	for i, other := range a.running {
		if other.n == r.n {
			a.running = append(a.running[:i], a.running[i+1:]...)
			break
		}
	}
	a.sent = a.sent || r.sent
	a.lost = a.lost || r.sent && r.err != nil
	outcome := "answered"
	switch {
	case r.err != nil && errors.Is(r.err, errLate):
		outcome = "late"
	case r.err != nil:
		outcome = "failed"
	case failing(r.answer):
		outcome = "error"
	}
	a.pool.d.Observe(a.pool.name, outcome)
	if r.err == nil || errors.Is(r.err, errLate) || errors.Is(r.err, errOverall) || a.ctx.Err() == nil {
		a.pool.tell(r.target, r.failed())
	}
}

// giveUpOthers cancels the tries that somebody else was faster than, and closes what they still bring.
func (a *attempt) giveUpOthers() {
	if len(a.running) == 0 {
		return
	}
	for _, r := range a.running {
		r.cancel(context.Canceled)
	}
	n := len(a.running)
	go func() {
		for range n {
			r := <-a.results
			r.discard()
		}
	}()
}
