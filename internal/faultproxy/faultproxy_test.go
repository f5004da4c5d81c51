package faultproxy

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A passing proxy carries both directions and their ends.
func TestPass(t *testing.T) {
	t.Parallel()
	e := setup(t)
	c := e.dial(t)
	e.say(t, c, "one")
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(c); err != nil || len(b) != 0 {
		t.Errorf("after the end came %q, %v", b, err)
	}
}

// Refusing cuts what is open and refuses what comes; passing again serves on the same port.
func TestRefuse(t *testing.T) {
	t.Parallel()
	e := setup(t)
	c := e.dial(t)
	e.say(t, c, "one")
	e.proxy.Refuse()
	e.cut(t, c)
	if _, err := net.Dial("tcp", e.proxy.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial: %v", err)
	}
	e.proxy.Pass()
	e.say(t, e.dial(t), "two")
}

// Resetting cuts what is open and what comes; followed by passing it cuts once.
func TestReset(t *testing.T) {
	t.Parallel()
	e := setup(t)
	c := e.dial(t)
	e.say(t, c, "one")
	e.proxy.Reset()
	e.cut(t, c)
	e.cutAtOnce(t)
	e.proxy.Pass()
	e.say(t, e.dial(t), "two")
}

// A black hole takes requests, new connections and their ends without a word. What it held arrives when it is over.
func TestBlackHole(t *testing.T) {
	t.Parallel()
	e := setup(t)
	old := e.dial(t)
	e.say(t, old, "one")
	e.proxy.BlackHole()
	fresh := e.dial(t)
	for _, c := range []*net.TCPConn{old, fresh} {
		e.send(t, c, "two")
		e.silent(t, c)
	}
	if n := e.lines.Load(); n != 1 {
		t.Errorf("the server read %d lines, want 1", n)
	}
	e.proxy.Pass()
	for _, c := range []*net.TCPConn{old, fresh} {
		e.hear(t, c, "two")
	}
}

// A delay holds for requests and for replies.
func TestDelay(t *testing.T) {
	t.Parallel()
	e := setup(t)
	c := e.dial(t)
	e.say(t, c, "one")
	const d = 50 * time.Millisecond
	e.proxy.Delay(d)
	start := time.Now()
	e.say(t, c, "two")
	if took := time.Since(start); took < 2*d {
		t.Errorf("a round trip took %v, want at least %v", took, 2*d)
	}
}

// With replies dropped the server has done what was asked, and the client never learns of it, not even later.
func TestDropReplies(t *testing.T) {
	t.Parallel()
	e := setup(t)
	c := e.dial(t)
	e.say(t, c, "one")
	e.proxy.DropReplies()
	e.send(t, c, "two")
	e.silent(t, c)
	if n, lost := e.lines.Load(), e.proxy.Dropped(); n != 2 || lost != int64(len("two\n")) {
		t.Errorf("the server read %d lines and %d bytes were dropped, want 2 and 4", n, lost)
	}
	e.proxy.Pass()
	e.cut(t, c)
	e.say(t, e.dial(t), "three")
}

// A limit tears the reply that crosses it.
func TestLimit(t *testing.T) {
	t.Parallel()
	e := setup(t)
	c := e.dial(t)
	e.say(t, c, "one")
	e.proxy.Limit(6)
	e.say(t, c, "two")
	e.send(t, c, "three")
	if b, err := io.ReadAll(c); err == nil && string(b) != "th" {
		t.Errorf("got %q, want a torn reply", b)
	}
}

// A dead target looks like a reset, and the proxy outlives it.
func TestTargetGone(t *testing.T) {
	t.Parallel()
	e := setup(t)
	e.server.Close()
	e.cutAtOnce(t)
}

// env is an echoing line server behind a proxy.
type env struct {
	proxy  *Proxy
	server net.Listener
	lines  atomic.Int64
}

func setup(t *testing.T) *env {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	e := &env{server: l, proxy: New(t, l.Addr().String())}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go e.echo(c)
		}
	}()
	return e
}

func (e *env) echo(c net.Conn) {
	defer c.Close()
	in := bufio.NewScanner(c)
	for in.Scan() {
		e.lines.Add(1)
		if _, err := io.WriteString(c, in.Text()+"\n"); err != nil {
			return
		}
	}
}

func (e *env) dial(t *testing.T) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", e.proxy.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(60 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

func (e *env) say(t *testing.T, c net.Conn, line string) {
	t.Helper()
	e.send(t, c, line)
	e.hear(t, c, line)
}

func (e *env) send(t *testing.T, c net.Conn, line string) {
	t.Helper()
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

func (e *env) hear(t *testing.T, c net.Conn, line string) {
	t.Helper()
	b := make([]byte, len(line)+1)
	if _, err := io.ReadFull(c, b); err != nil || strings.TrimSpace(string(b)) != line {
		t.Fatalf("heard %q, %v; want %q", b, err, line)
	}
}

// silent wants a read to time out, and restores the deadline.
func (e *env) silent(t *testing.T, c net.Conn) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 8)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read %d bytes, %v; want silence", n, err)
	}
	if err := c.SetReadDeadline(time.Now().Add(60 * time.Second)); err != nil {
		t.Fatal(err)
	}
}

// cut wants the connection ended by a reset or at least without data.
func (e *env) cut(t *testing.T, c net.Conn) {
	t.Helper()
	if n, err := c.Read(make([]byte, 8)); n > 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read %d bytes, %v; want a cut", n, err)
	}
}

// cutAtOnce wants a new connection to be reset, be it before the client knows that it is connected.
func (e *env) cutAtOnce(t *testing.T) {
	t.Helper()
	c, err := net.Dial("tcp", e.proxy.Addr())
	if errors.Is(err, syscall.ECONNRESET) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(60 * time.Second)); err != nil {
		t.Fatal(err)
	}
	e.cut(t, c)
}
