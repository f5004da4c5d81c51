package wire

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// Request is one call.
type Request struct {
	Method, Path string
	// Token is the bearer token, or "".
	Token string
	// Key is the idempotency key, or "".
	Key string
	// From is the client's address for X-Forwarded-For, or "".
	From string
	Body []byte
}

// Response is one answer. It is reused: keep no part of Body.
type Response struct {
	Status int
	// Body is the whole body.
	Body []byte
	// RetryAfter is the header in seconds; 0 means that there was none.
	RetryAfter time.Duration
	// Replayed is true when the answer was marked as a replay.
	Replayed bool
	// Conn is the number of the connection that was used.
	Conn  int
	close bool
}

func (r *Response) reset(conn int) { *r = Response{Body: r.Body[:0], Conn: conn} }

// MaxBody is the longest body that is read, in bytes.
const MaxBody = 4 << 20

type conn struct {
	raw    net.Conn
	in     *bufio.Reader
	out    []byte
	number int
}

func newConn(raw net.Conn, number int) *conn {
	return &conn{raw: raw, in: bufio.NewReaderSize(raw, 4<<10), number: number}
}

func (k *conn) close() error { return k.raw.Close() }

func (k *conn) exchange(c *Client, req *Request, resp *Response) error {
	if err := k.raw.SetDeadline(time.Now().Add(c.opt.Timeout)); err != nil {
		return err
	}
	k.out = req.append(k.out[:0], c)
	if _, err := k.raw.Write(k.out); err != nil {
		return err
	}
	for {
		if err := k.head(resp); err != nil {
			return err
		}
		if resp.Status >= 200 {
			return nil
		}
		resp.reset(k.number) // an interim answer
	}
}

func (req *Request) append(b []byte, c *Client) []byte {
	b = append(append(b, req.Method...), ' ')
	b = append(append(b, c.prefix...), req.Path...)
	b = append(append(b, " HTTP/1.1\r\nHost: "...), c.host...)
	if req.Token != "" {
		b = append(append(b, "\r\nAuthorization: Bearer "...), req.Token...)
	}
	if req.Key != "" {
		b = append(append(append(b, "\r\nIdempotency-Key: \""...), req.Key...), '"')
	}
	if req.From != "" {
		b = append(append(b, "\r\nX-Forwarded-For: "...), req.From...)
	}
	if req.Method != "GET" {
		b = append(b, "\r\nContent-Type: application/json\r\nContent-Length: "...)
		b = strconv.AppendInt(b, int64(len(req.Body)), 10)
	}
	return append(append(b, "\r\n\r\n"...), req.Body...)
}

var errMalformed = errors.New("malformed HTTP answer")

// head reads the status line, the headers and the body.
func (k *conn) head(resp *Response) error {
	line, err := k.line()
	if err != nil {
		return err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return errMalformed
	}
	resp.close = line[7] == '0'
	if resp.Status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return errMalformed
	}
	length, chunked := -1, false
	for {
		line, err := k.line()
		if err != nil {
			return err
		}
		if len(line) == 0 {
			break
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return errMalformed
		}
		value = bytes.TrimSpace(value)
		switch {
		case is(name, "content-length"):
			if length, err = strconv.Atoi(string(value)); err != nil || length < 0 || length > MaxBody {
				return errMalformed
			}
		case is(name, "transfer-encoding"):
			chunked = is(value, "chunked")
		case is(name, "connection"):
			resp.close = resp.close || is(value, "close")
		case is(name, "retry-after"):
			if n, err := strconv.Atoi(string(value)); err == nil && n > 0 {
				resp.RetryAfter = time.Duration(n) * time.Second
			}
		case is(name, "idempotency-replayed"):
			resp.Replayed = is(value, "true")
		}
	}
	return k.body(resp, length, chunked)
}

func (k *conn) body(resp *Response, length int, chunked bool) error {
	switch {
	case resp.Status < 200 || resp.Status == 204 || resp.Status == 304:
		return nil
	case chunked:
		return k.chunks(resp)
	case length >= 0:
		return k.fill(resp, length)
	}
	resp.close = true
	rest, err := io.ReadAll(io.LimitReader(k.in, MaxBody))
	resp.Body = append(resp.Body, rest...)
	return err
}

func (k *conn) fill(resp *Response, n int) error {
	at := len(resp.Body)
	if at+n > MaxBody {
		return fmt.Errorf("body is longer than %d bytes", MaxBody)
	}
	resp.Body = append(resp.Body, make([]byte, n)...)
	_, err := io.ReadFull(k.in, resp.Body[at:])
	return err
}

func (k *conn) chunks(resp *Response) error {
	for {
		line, err := k.line()
		if err != nil {
			return err
		}
		size, _, _ := bytes.Cut(line, []byte(";"))
		n, err := strconv.ParseUint(string(bytes.TrimSpace(size)), 16, 31)
		if err != nil {
			return errMalformed
		}
		if n > 0 {
			if err := k.fill(resp, int(n)); err != nil {
				return err
			}
		}
		for { // the end of the chunk, or the trailers
			line, err := k.line()
			if err != nil {
				return err
			}
			if len(line) == 0 {
				break
			}
			if n > 0 {
				return errMalformed
			}
		}
		if n == 0 {
			return nil
		}
	}
}

// line reads a line without its end. It is valid until the next read.
func (k *conn) line() ([]byte, error) {
	line, err := k.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, errMalformed
	}
	if err != nil {
		return nil, err
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

// is compares without regard to case; want is in lower case.
func is(b []byte, want string) bool {
	if len(b) != len(want) {
		return false
	}
	for i := range want {
		c := b[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != want[i] {
			return false
		}
	}
	return true
}
