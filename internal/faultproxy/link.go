package faultproxy

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// link is one client's connection and the one to the server that was made for it.
type link struct {
	proxy          *Proxy
	client, server *net.TCPConn
	gone           chan struct{}
	once           sync.Once
	lossy          atomic.Bool
	// limited is the limit that replies count against, and the bytes that passed under it. Only the goroutine of replies uses it.
	limited chan struct{}
	passed  int64
}

// serve runs one connection to its end.
func (p *Proxy) serve(client *net.TCPConn) {
	l := &link{proxy: p, client: client, gone: make(chan struct{})}
	if !p.add(l) {
		l.reset()
		return
	}
	defer p.remove(l)
	if !l.held() {
		return
	}
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		l.reset()
		return
	}
	p.mu.Lock()
	l.server = server.(*net.TCPConn)
	p.mu.Unlock()
	select {
	case <-l.gone: // reset while dialling
		server.Close()
		return
	default:
	}
	requests := make(chan struct{})
	p.running.Go(func() {
		defer close(requests)
		l.copy(l.server, l.client, false)
	})
	l.copy(l.client, l.server, true)
	<-requests
	l.client.Close()
	l.server.Close()
}

// add makes a connection known, unless it came too late for the mode.
func (p *Proxy) add(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.mode.kind {
	case refuse, reset, closed:
		return false
	}
	p.links[l] = true
	return true
}

func (p *Proxy) remove(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

// reset ends both sides at once: the peers see a reset, not an orderly end.
func (l *link) reset() {
	l.once.Do(func() {
		close(l.gone)
		for _, c := range []*net.TCPConn{l.client, l.server} {
			if c != nil {
				_ = c.SetLinger(0) // of a connection that its peer has ended there is nothing to reset
				c.Close()
			}
		}
	})
}

// copy carries one direction until its end, which it passes on as a half-close.
func (l *link) copy(to, from *net.TCPConn, replies bool) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !l.carry(to, buffer[:n], replies) {
			return
		}
		if err != nil {
			if l.held() {
				_ = to.CloseWrite() // the other side may have ended first
			}
			return
		}
	}
}

// held waits for the end of a black hole. It is false when the connection is gone.
func (l *link) held() bool {
	for {
		m := l.proxy.current()
		if m.kind != blackHole {
			return true
		}
		select {
		case <-m.changed:
		case <-l.gone:
			return false
		}
	}
}

// carry passes a piece on as the mode has it. It is false when the connection is gone.
func (l *link) carry(to *net.TCPConn, piece []byte, replies bool) bool {
	if !l.held() {
		return false
	}
	m := l.proxy.current()
	switch {
	case m.kind == delay:
		select {
		case <-time.After(m.delay):
		case <-l.gone:
			return false
		}
	case m.kind == dropReplies && replies:
		l.lossy.Store(true)
		l.proxy.dropped.Add(int64(len(piece)))
		if l.proxy.current().changed != m.changed { // the next mode came before it could see the loss
			l.reset()
			return false
		}
		return true
	case m.kind == limit && replies:
		return l.tear(to, piece, m)
	}
	if l.lossy.Load() && replies {
		l.reset()
		return false
	}
	_, err := to.Write(piece)
	return err == nil
}

// tear passes what the limit leaves, then ends the connection.
func (l *link) tear(to *net.TCPConn, piece []byte, m mode) bool {
	if l.limited != m.changed {
		l.limited, l.passed = m.changed, 0
	}
	n := min(int64(len(piece)), m.bytes-l.passed)
	l.passed += n
	if _, err := to.Write(piece[:n]); err != nil {
		return false
	}
	if n < int64(len(piece)) {
		// an orderly end lets the client read what came before; a reset could throw it away
		l.client.Close()
		l.server.Close()
		return false
	}
	return true
}
