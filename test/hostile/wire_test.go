package hostile

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// answer is what came back to a request.
type answer struct {
	status int
	header http.Header
	body   []byte
	close  bool
}

const (
	patience  = 20 * time.Second
	maxAnswer = 8 << 20 // bytes of a body that are read
)

// client is a connection that is made anew when it was closed.
type client struct {
	addr string
	conn net.Conn
	in   *bufio.Reader
}

func (c *client) dial() error {
	if c.conn != nil {
		return nil
	}
	conn, err := net.DialTimeout("tcp", c.addr, patience)
	if err != nil {
		return err
	}
	c.conn, c.in = conn, bufio.NewReader(conn)
	return nil
}

func (c *client) hangUp() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// send makes a request and reads its answer. A connection that the server closed in silence between two requests is made anew, once.
func (c *client) send(r request) (answer, error) {
	for try := 0; ; try++ {
		fresh := c.conn == nil
		if err := c.dial(); err != nil {
			return answer{}, err
		}
		if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
			return answer{}, err
		}
		_, wrote := c.conn.Write(r.bytes) // the server may answer and close before it has read all
		a, err := readAnswer(c.in, r.method)
		if err != nil || a.close {
			c.hangUp()
		}
		if err == nil || fresh && (wrote == nil || try > 2) || try > 2 {
			return a, err
		}
	}
}

// readAnswer reads one answer. Of a stream of events the header is enough.
func readAnswer(in *bufio.Reader, method string) (answer, error) {
	resp, err := http.ReadResponse(in, &http.Request{Method: method})
	if err != nil {
		return answer{}, err
	}
	a := answer{status: resp.StatusCode, header: resp.Header, close: resp.Close}
	if resp.Header.Get("Content-Type") == "text/event-stream" {
		a.close = true
		return a, nil
	}
	var body bytes.Buffer
	n, err := io.Copy(&body, io.LimitReader(resp.Body, maxAnswer))
	if n == maxAnswer {
		a.close = true
	}
	a.body = body.Bytes()
	if err != nil && !refusedByServer(a) { // it closes with bytes of ours unread, which may cut off its own
		return a, fmt.Errorf("the answer %d breaks off: %w", a.status, err)
	}
	return a, nil
}
