package upstream

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"penstock/internal/clock"
)

// pool is an upstream with its processes. It outlives the sets that leave its settings alone.
type pool struct {
	name    string
	spec    Upstream
	d       Deps
	targets []*target
	budget  *budget
	trip    *http.Transport
	plain   *http.Transport // HTTP/1.1, for upgrades

	mu   sync.Mutex
	stop context.CancelFunc
	done sync.WaitGroup
}

// target is a process of an upstream.
type target struct {
	at       Target
	inFlight atomic.Int64
	sick     atomic.Bool // by active checks
	out      ejection
}

func newPool(name string, spec Upstream, d Deps) (*pool, error) {
	p := &pool{name: name, spec: spec, d: d, budget: newBudget(spec.RetryBudget)}
	for _, t := range spec.Targets {
		p.targets = append(p.targets, &target{at: t})
	}
	var protocols, one http.Protocols
	one.SetHTTP1(true)
	switch {
	case spec.Protocol == "http1":
		protocols.SetHTTP1(true)
	case spec.Protocol == "http2":
		protocols.SetHTTP2(true)
		protocols.SetUnencryptedHTTP2(spec.Targets[0].Scheme == "http")
	default:
		protocols.SetHTTP1(true)
		protocols.SetHTTP2(true)
	}
	trust, err := spec.TLS.config(d.Dir)
	if err != nil {
		return nil, bad("upstreams."+name+".tls", "tls: {ca: ca.pem}", "%v", err)
	}
	p.trip, p.plain = p.transport(&protocols, trust), p.transport(&one, trust)
	return p, nil
}

func (p *pool) transport(protocols *http.Protocols, trust *tls.Config) *http.Transport {
	connect := p.spec.Connect.or(2 * time.Second)
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: connect, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig:        trust.Clone(),
		TLSHandshakeTimeout:    connect,
		Protocols:              protocols,
		MaxConnsPerHost:        cmp.Or(p.spec.Connections, 256),
		MaxIdleConnsPerHost:    cmp.Or(p.spec.Connections, 256),
		IdleConnTimeout:        30 * time.Second,
		DisableCompression:     true, // what the caller asked for passes as it is
		MaxResponseHeaderBytes: 64 << 10,
		// A connection that swallows everything would take all calls with it.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 3 * time.Second, WriteByteTimeout: 10 * time.Second},
	}
}

func (t TLS) config(dir string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.Name}
	if t.CA != "" {
		pem, err := os.ReadFile(in(dir, t.CA))
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate", t.CA)
		}
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(in(dir, t.Cert), in(dir, t.Key))
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// in is a path relative to the policy file.
func in(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// pick chooses of two random processes that can take calls the one with less in flight, one that was not tried yet if there is
// one; nil when there is none at all.
func (p *pool) pick(tried []*target) *target {
	now := p.d.Clock.Now()
	var fresh, stale []*target
	for _, t := range p.targets {
		switch {
		case t.sick.Load() || t.out.ejected(now):
		case contains(tried, t):
			stale = append(stale, t)
		default:
			fresh = append(fresh, t)
		}
	}
	from := fresh
	if len(from) == 0 {
		from = stale
	}
	switch len(from) {
	case 0:
		return nil
	case 1:
		return from[0]
	}
	r := p.d.Random()
	i := int(r % uint64(len(from)))
	j := int((r >> 32) % uint64(len(from)-1))
	if j >= i {
		j++
	}
	if from[j].inFlight.Load() < from[i].inFlight.Load() {
		return from[j]
	}
	return from[i]
}

func contains(all []*target, t *target) bool {
	for _, other := range all {
		if other == t {
			return true
		}
	}
	return false
}

// tell counts how a call of a process ended, and takes the process out when it fails too often.
func (p *pool) tell(t *target, failed bool) {
	now := p.d.Clock.Now()
	if !failed {
		t.out.good()
		return
	}
	out := 0
	for _, other := range p.targets {
		if other != t && (other.sick.Load() || other.out.ejected(now)) {
			out++
		}
	}
	most := int(p.spec.Ejection.Most.or(50) / 100 * float64(len(p.targets)))
	if t.out.failed(now, p.spec.Ejection, out < most && out+1 < len(p.targets)) {
		p.d.Logger.Warn("a process of an upstream is left out: its calls fail", "upstream", p.name, "target", t.at.String())
	}
}

// ejection is whether a process is left out because its calls failed.
type ejection struct {
	mu    sync.Mutex
	row   int // failures in a row
	times int // in a row that it was left out
	until time.Time
}

func (e *ejection) ejected(now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return now.Before(e.until)
}

func (e *ejection) good() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.row, e.times = 0, 0
}

func (e *ejection) failed(now time.Time, s Ejection, may bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.row++
	if e.row < cmp.Or(s.Failures, 5) || !may || now.Before(e.until) {
		return false
	}
	e.times = min(e.times+1, 10)
	// After its time one failure is enough to leave it out again.
	e.row, e.until = cmp.Or(s.Failures, 5)-1, now.Add(time.Duration(e.times)*s.For.or(10*time.Second))
	return true
}

// budget counts calls, not what is in flight: when everything fails at once nothing is in flight for long, and a budget of
// concurrent retries would allow one for each.
type budget struct {
	mu   sync.Mutex
	each float64
	left float64
}

// reserve is how many retries there may be before any call, and after a long peace.
const reserve = 10

func newBudget(p *Percent) *budget {
	each := p.or(10) / 100
	if each == 0 {
		return &budget{}
	}
	return &budget{each: each, left: reserve}
}

func (b *budget) call() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = min(b.left+b.each, reserve)
}

func (b *budget) take() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// start begins the active checks, once.
func (p *pool) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stop != nil || p.spec.Health == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	for _, t := range p.targets {
		p.done.Go(func() { p.watch(ctx, t) })
	}
}

// retire ends the checks; calls in flight go on.
func (p *pool) retire() {
	p.mu.Lock()
	if p.stop != nil {
		p.stop()
		p.stop = nil
	}
	p.mu.Unlock()
	p.done.Wait()
	p.trip.CloseIdleConnections()
	p.plain.CloseIdleConnections()
}

// watch asks a process how it is. A process is well until it is known not to be.
func (p *pool) watch(ctx context.Context, t *target) {
	for row := 0; ; {
		well := p.ask(ctx, t)
		if ctx.Err() != nil {
			return
		}
		if well == !t.sick.Load() {
			row = 0
		} else {
			row++
		}
		if need := cmp.Or(p.spec.Health.Down, 3); !t.sick.Load() && row >= need {
			t.sick.Store(true)
			p.d.Logger.Warn("a process of an upstream is left out: its health check fails", "upstream", p.name, "target", t.at.String())
			row = 0
		} else if need := cmp.Or(p.spec.Health.Up, 2); t.sick.Load() && row >= need {
			t.sick.Store(false)
			p.d.Logger.Info("a process of an upstream is back", "upstream", p.name, "target", t.at.String())
			row = 0
		}
		timer := p.d.Clock.NewTimer(p.spec.Health.Every.or(5 * time.Second))
		select {
		case <-timer.C():
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

func (p *pool) ask(ctx context.Context, t *target) bool {
	ctx, cancel := context.WithTimeout(ctx, p.spec.Health.Timeout.or(time.Second))
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, t.at.String()+p.spec.Health.Path, nil)
	if err != nil {
		return false
	}
	answer, err := p.trip.RoundTrip(r)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 4<<10)) // lets the connection be used again
	return answer.StatusCode/100 == 2
}

// TargetState is a process as operators see it.
type TargetState struct {
	Upstream string `json:"upstream"`
	Target   string `json:"target"`
	Healthy  bool   `json:"healthy"`
	Ejected  bool   `json:"ejected"`
	InFlight int64  `json:"inFlight"`
}

func (p *pool) states(c clock.Clock) (all []TargetState) {
	for _, t := range p.targets {
		all = append(all, TargetState{p.name, t.at.String(), !t.sick.Load(), t.out.ejected(c.Now()), t.inFlight.Load()})
	}
	return all
}
