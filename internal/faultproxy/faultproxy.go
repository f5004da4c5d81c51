// Package faultproxy stands between a client and a server of a test and spoils their TCP connections on demand.
//
// A proxy passes until told otherwise. A mode holds for the connections that are open and for those to come, from the next bytes
// on, until the next mode:
//
//	Pass         bytes go both ways
//	Refuse       open connections are reset, new ones are refused
//	Reset        open connections are reset, new ones are accepted and reset
//	BlackHole    connections stay open and are accepted, and nothing passes, not even their end; Pass lets go on what was held
//	Delay        every piece of data waits, in both directions
//	DropReplies  requests reach the server, its replies are lost: "applied, but nobody was told"
//	Limit        so many more bytes of replies pass on each connection, then it ends: a reply torn in two
//
// A connection that has lost replies is never used again: the next mode resets it, since its client would take a later reply for
// the lost one. All methods may be called at any time from any goroutine.
package faultproxy

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock/internal/engines/launch"
)

// Proxy listens on a loopback port of its own.
type Proxy struct {
	target, addr string
	dropped      atomic.Int64
	running      sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener // nil while refusing
	mode     mode
	links    map[*link]bool
	err      error // why listening again failed
}

type kind int

const (
	pass kind = iota
	refuse
	reset
	blackHole
	delay
	dropReplies
	limit
	closed
)

// mode is never changed; changed is closed when another one takes its place.
type mode struct {
	kind    kind
	delay   time.Duration
	bytes   int64
	changed chan struct{}
}

// New starts a proxy to the target, "host:port", that ends with the test.
func New(t testing.TB, target string) *Proxy {
	t.Helper()
	ports, err := launch.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{target: target, addr: launch.Loopback(ports[0]), mode: mode{changed: make(chan struct{})}, links: map[*link]bool{}}
	p.Pass()
	t.Cleanup(func() {
		p.become(mode{kind: closed})
		p.running.Wait()
		if p.err != nil {
			t.Errorf("fault proxy: %v", p.err)
		}
	})
	if p.err != nil {
		t.FailNow()
	}
	return p
}

// Addr is where clients connect instead of to the target.
func (p *Proxy) Addr() string { return p.addr }

// Pass lets everything through.
func (p *Proxy) Pass() { p.become(mode{kind: pass}) }

// Refuse resets open connections and lets the port refuse new ones, as when the server's process is gone.
func (p *Proxy) Refuse() { p.become(mode{kind: refuse}) }

// Reset resets open connections, and new ones right after they are accepted. Reset followed by Pass cuts once.
func (p *Proxy) Reset() { p.become(mode{kind: reset}) }

// BlackHole holds everything back, as when packets are dropped on the way. New connections are still accepted.
func (p *Proxy) BlackHole() { p.become(mode{kind: blackHole}) }

// Delay holds every piece of data back for d. A round trip takes twice that longer.
func (p *Proxy) Delay(d time.Duration) { p.become(mode{kind: delay, delay: d}) }

// DropReplies forwards requests and loses what the server answers; see Dropped.
func (p *Proxy) DropReplies() { p.become(mode{kind: dropReplies}) }

// Limit lets n more bytes of replies through on each connection and then ends it.
func (p *Proxy) Limit(n int64) { p.become(mode{kind: limit, bytes: n}) }

// Dropped is the number of reply bytes that were lost so far: once it has grown, the server has done what it was asked.
func (p *Proxy) Dropped() int64 { return p.dropped.Load() }

// become changes the mode and wakes what the last one held back.
func (p *Proxy) become(m mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mode.kind == closed {
		return
	}
	m.changed = make(chan struct{})
	old := p.mode
	p.mode = m
	for l := range p.links {
		if m.kind == refuse || m.kind == reset || m.kind == closed || l.lossy.Load() {
			l.reset()
		}
	}
	switch {
	case (m.kind == refuse || m.kind == closed) && p.listener != nil:
		p.listener.Close()
		p.listener = nil
	case m.kind != refuse && m.kind != closed && p.listener == nil:
		p.listen()
	}
	close(old.changed)
}

func (p *Proxy) listen() {
	l, err := net.Listen("tcp", p.addr)
	if err != nil {
		p.err = err
		return
	}
	p.listener = l
	p.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed by become
			}
			p.running.Go(func() { p.serve(c.(*net.TCPConn)) })
		}
	})
}

func (p *Proxy) current() mode {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mode
}
