package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"penstock/errs"
)

// writePatience is how long one write to a caller may take.
const writePatience = 30 * time.Second

var (
	errDrain   = errors.New("the server is about to stop")
	errExpired = errors.New("the caller may not go on")
)

// paced gives each write of a stream its own time, so that the stream may last while a caller that does not read may not.
type paced struct {
	http.ResponseWriter
	conn     *http.ResponseController
	switched func()
}

// Hijack implements http.Hijacker.
func (p *paced) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, b, err := p.conn.Hijack()
	if err == nil {
		p.switched()
	}
	return c, b, err
}

// Write implements io.Writer.
func (p *paced) Write(b []byte) (int, error) {
	_ = p.conn.SetWriteDeadline(time.Now().Add(writePatience))
	return p.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (p *paced) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// recheck is the pause between two questions whether a caller may go on.
const recheck = 3 * time.Second

// endWith ends a stream when the server stops, the token that opened it is over, or its caller may not go on. The function it returns
// lets go.
func (j *job) endWith(cancel context.CancelCauseFunc) func() {
	d, done := j.route.d, make(chan struct{})
	go func() {
		for {
			wait := recheck
			if end := j.caller.Expires; !end.IsZero() {
				wait = min(wait, end.Sub(d.Clock.Now()))
			}
			t := d.Clock.NewTimer(max(wait, 0))
			select {
			case <-d.Drain:
				cancel(errDrain)
			case <-done:
			case <-t.C():
				if end := j.caller.Expires; (end.IsZero() || d.Clock.Now().Before(end)) && d.Still(j.in) == nil {
					continue
				}
				cancel(errExpired)
			}
			t.Stop()
			return
		}
	}()
	return sync.OnceFunc(func() { close(done) })
}

// stream lets an event stream end in good order: when we end it, or when it has been silent for too long.
func (j *job) stream(body io.ReadCloser) io.ReadCloser {
	idle := j.route.Idle.or(5 * time.Minute)
	s := &streamBody{ReadCloser: body, ctx: j.ctx, idle: idle}
	s.timer = time.AfterFunc(idle, func() { s.silent.Store(true); body.Close() })
	return s
}

// mayUpgrade refuses what is no WebSocket, and pages of other sites: browsers send cookies along with theirs.
func (j *job) mayUpgrade() error {
	h := j.in.Header
	if !strings.EqualFold(h.Get("Upgrade"), "websocket") || !strings.Contains(strings.ToLower(h.Get("Connection")), "upgrade") || len(h["Upgrade"]) != 1 {
		return errs.New(errs.Invalid, "this call opens a WebSocket: send Connection: Upgrade and Upgrade: websocket")
	}
	if origins := h["Origin"]; len(origins) > 0 {
		u, err := url.Parse(origins[0])
		if len(origins) > 1 || err != nil || u.Host != j.in.Host && !slices.Contains(j.route.Origins, origins[0]) {
			return errs.New(errs.Forbidden, "pages of this site may not open the WebSocket")
		}
	}
	j.upgrade = true
	return nil
}

// streamBody is the body of an event stream.
type streamBody struct {
	io.ReadCloser
	ctx    context.Context
	idle   time.Duration
	timer  *time.Timer
	silent atomic.Bool
}

// Read implements io.Reader. An end that we want is one in good order: the caller connects again and goes on.
func (s *streamBody) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if n > 0 {
		s.timer.Reset(s.idle)
	}
	cause := context.Cause(s.ctx)
	if err != nil && (s.silent.Load() || errors.Is(cause, errDrain) || errors.Is(cause, errExpired)) {
		err = io.EOF
	}
	return n, err
}

// Close implements io.Closer.
func (s *streamBody) Close() error { s.timer.Stop(); return s.ReadCloser.Close() }
