//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// load drives one server over keep-alive connections, one call at a time on each, as fast as answers come.
type load struct {
	addrs []string // the connections are dealt out to them in turn
	conns int
	// next appends the request of the n-th call, counted over all connections. It returns nil when there is none left.
	next func(buf []byte, n int64) []byte
	// status is what every answer must be, but for those in others, which are counted apart.
	status int
	others []int
}

// tally is what a run of a load measured.
type tally struct {
	answers int64
	took    time.Duration
	body    int           // bytes of the last answer's body
	others  map[int]int64 // answers with other statuses, warm-up and end included
	total   int64         // answers with the status, warm-up and end included
}

func (t tally) rate() float64 { return float64(t.answers) / t.took.Seconds() }

// asked is how many calls were answered in all.
func (t tally) asked() int64 {
	n := t.total
	for _, more := range t.others {
		n += more
	}
	return n
}

// doubtful says how many answers had other statuses; "" when none had.
func (t tally) doubtful() string {
	out := ""
	for _, status := range slices.Sorted(maps.Keys(t.others)) {
		if n := t.others[status]; n > 0 {
			out += fmt.Sprintf(", %d × %d", n, status)
		}
	}
	return out
}

// drivers is how many threads drive connections. One thread can write and read about 300,000 small calls a second; more
// would only take the server's cores.
const drivers = 1

// run drives for warm plus length and counts the answers of length. Requests stop at the end, answers are still read.
func (l load) run(warm, length time.Duration) (tally, error) {
	var n, answered atomic.Int64
	var stop atomic.Bool
	var body atomic.Int64
	others := map[int]*atomic.Int64{}
	for _, status := range l.others {
		others[status] = new(atomic.Int64)
	}
	errs := make(chan error, drivers)
	var wg sync.WaitGroup
	for range drivers {
		wg.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			d := driver{load: l, n: &n, answered: &answered, stop: &stop, body: &body, byStatus: others}
			if err := d.drive(l.conns / drivers); err != nil {
				errs <- err
				stop.Store(true)
			}
		})
	}
	time.Sleep(warm)
	from, began := answered.Load(), time.Now()
	time.Sleep(length)
	t := tally{answers: answered.Load() - from, took: time.Since(began)}
	stop.Store(true)
	wg.Wait()
	t.body, t.total, t.others = int(body.Load()), answered.Load(), map[int]int64{}
	for status, count := range others {
		t.others[status] = count.Load()
	}
	select {
	case err := <-errs:
		return t, err
	default:
		return t, nil
	}
}

// driver is one thread and its connections.
type driver struct {
	load
	n, answered, body *atomic.Int64
	stop              *atomic.Bool
	byStatus          map[int]*atomic.Int64
	epoll             int
	busy              int
}

// conn is one connection: the answer as far as it has arrived, and the buffer of its requests.
type conn struct {
	fd      int
	in, out []byte
}

func (d *driver) drive(conns int) error {
	var err error
	if d.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	defer unix.Close(d.epoll)
	byFD := map[int32]*conn{}
	defer func() {
		for _, c := range byFD {
			unix.Close(c.fd)
		}
	}()
	for i := range conns {
		c, err := d.dial(d.addrs[i%len(d.addrs)])
		if err != nil {
			return err
		}
		byFD[int32(c.fd)] = c
		if err := d.send(c); err != nil {
			return err
		}
	}
	events := make([]unix.EpollEvent, conns)
	for d.busy > 0 {
		n, err := unix.EpollWait(d.epoll, events, 10_000)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("epoll: %w", err)
		}
		if n == 0 {
			return fmt.Errorf("no answer for 10 s with %d calls in flight", d.busy)
		}
		for _, e := range events[:n] {
			if err := d.receive(byFD[e.Fd]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *driver) dial(addr string) (*conn, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", addr, err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	err = errors.Join(
		unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.EpollCtl(d.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connect to %s: %w", addr, err), unix.Close(fd))
	}
	return &conn{fd: fd, in: make([]byte, 0, 4096), out: make([]byte, 0, 2048)}, nil
}

func (d *driver) send(c *conn) error {
	if d.stop.Load() {
		return nil
	}
	c.out = d.next(c.out[:0], d.n.Add(1)-1)
	if c.out == nil {
		return nil
	}
	d.busy++
	for b := c.out; len(b) > 0; {
		n, err := unix.Write(c.fd, b)
		if err != nil {
			return fmt.Errorf("write: %w", err)
		}
		b = b[n:]
	}
	return nil
}

func (d *driver) receive(c *conn) error {
	n, err := unix.Read(c.fd, c.in[len(c.in):cap(c.in)])
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if n == 0 {
		return fmt.Errorf("the server closed a connection after %q", c.in)
	}
	c.in = c.in[:len(c.in)+n]
	head := bytes.Index(c.in, []byte("\r\n\r\n"))
	if head < 0 {
		return nil
	}
	length, err := contentLength(c.in[:head+2])
	if err != nil {
		return err
	}
	if len(c.in) < head+4+length {
		return nil
	}
	status, _ := strconv.Atoi(string(c.in[9:12]))
	switch other := d.byStatus[status]; {
	case status == d.status:
		d.body.Store(int64(length))
		d.answered.Add(1)
	case other != nil:
		other.Add(1)
	default:
		return fmt.Errorf("answer %d, want %d: %s", status, d.status, c.in)
	}
	d.busy--
	c.in = c.in[:0]
	return d.send(c)
}

// lengthFields are the two spellings that servers use.
var lengthFields = [][]byte{[]byte("\r\nContent-Length: "), []byte("\r\ncontent-length: ")}

func contentLength(head []byte) (int, error) {
	field := lengthFields[0]
	i := bytes.Index(head, field)
	if i < 0 {
		field = lengthFields[1]
		i = bytes.Index(head, field)
	}
	if i < 0 {
		return 0, fmt.Errorf("an answer without Content-Length: %q", head)
	}
	n := 0
	for _, b := range head[i+len(field):] {
		if b < '0' || b > '9' {
			break
		}
		n = n*10 + int(b-'0')
	}
	return n, nil
}
