package hostile

import (
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// slowly opens clients that take their time, while others are served as if they were not there, and returns how many it opened.
// Those who are slow with a header are cut after the time that a header may take.
func (v *victim) slowly() int {
	const each = 100
	var wg sync.WaitGroup
	var cut, endless atomic.Int64
	begin := "POST /v1/sales/flash/attempts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + v.tokens[0] + "\r\nContent-Type: application/json\r\nIdempotency-Key: \"slow\"\r\n"
	long := "X-A: b\r\n"
	stop := make(chan struct{})
	for range each {
		wg.Go(func() { // a byte of a header now and then
			if v.drip("GET /v1/sales HTTP/1.1\r\nHost: x\r\n", long, stop) {
				cut.Add(1)
			}
		})
		wg.Go(func() { // nothing at all
			if v.drip("", "", stop) {
				cut.Add(1)
			}
		})
		wg.Go(func() { // a body that does not end, as fast as it is taken
			if v.pour(begin + "Transfer-Encoding: chunked\r\n\r\n") {
				endless.Add(1)
			}
		})
	}
	var reading sync.WaitGroup
	for range each { // asks for much and reads nothing
		reading.Go(func() {
			if c, err := net.DialTimeout("tcp", v.at["public"], patience); err == nil {
				defer c.Close()
				_ = c.SetWriteDeadline(time.Now().Add(time.Second)) // what the server does not take it need not have
				_, _ = c.Write([]byte(strings.Repeat("GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n", 200)))
				<-stop
			}
		})
	}
	// Meanwhile others are served.
	var worst time.Duration
	served := 0
	for end := time.Now().Add(8 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		c := &client{addr: v.at["public"]}
		begun := time.Now()
		a, err := c.send(request{method: "GET", bytes: []byte("GET /v1/sales HTTP/1.1\r\nHost: x\r\n\r\n")})
		c.hangUp()
		if err != nil || a.status != 200 {
			v.t.Errorf("beside slow clients: %d %v", a.status, err)
			break
		}
		worst = max(worst, time.Since(begun))
		served++
	}
	close(stop)
	wg.Wait()
	reading.Wait()
	v.t.Logf("measured: beside slow clients %d others were served, the slowest in %v; %d of %d slow headers were cut, %d of %d endless bodies refused", served, worst.Round(time.Millisecond), cut.Load(), 2*each, endless.Load(), each)
	if worst > 20*time.Second || cut.Load() != 2*each || endless.Load() != each {
		v.t.Error("slow clients hold up the server")
	}
	return 4 * each
}

// drip sends a beginning and then a piece every half second, until the server hangs up, which it reports, or the time is over.
func (v *victim) drip(begin, piece string, stop <-chan struct{}) (cut bool) {
	c, err := net.DialTimeout("tcp", v.at["public"], patience)
	if err != nil {
		return false
	}
	defer c.Close()
	_, _ = c.Write([]byte(begin))
	buf := make([]byte, 4096)
	for {
		select {
		case <-stop:
			return false
		default:
		}
		_ = c.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
		if n, err := c.Read(buf); n == 0 && err != nil && !os.IsTimeout(err) {
			return true
		}
		_, _ = c.Write([]byte(piece))
	}
}

// pour sends chunks until the server refuses the body and closes, which it reports.
func (v *victim) pour(begin string) (refused bool) {
	c := &client{addr: v.at["public"]}
	if c.dial() != nil {
		return false
	}
	defer c.hangUp()
	_ = c.conn.SetDeadline(time.Now().Add(patience))
	_, _ = c.conn.Write([]byte(begin))
	chunk := []byte("4000\r\n" + strings.Repeat(" ", 0x4000) + "\r\n")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if _, err := c.conn.Write(chunk); err != nil {
				return
			}
		}
	}()
	a, err := readAnswer(c.in, "POST")
	c.conn.Close()
	<-done
	return err == nil && a.status == 413 || err != nil // a reset may overtake the answer
}
