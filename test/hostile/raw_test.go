package hostile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// trap is the request that smuggling would bring in: its path is in its answer.
const trap = "GET /v1/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"

// raw is a connection's worth of bytes.
type raw struct {
	name, bytes string
	// first is the status of the first answer: of 4xx, any.
	first int
	// answers is how many there may be: more means that the server saw a request where none is.
	answers int
}

// raws are messages whose framing is ambiguous or broken. RFC 9112, 6.3 and 11.2: a server must not find a second request in what
// another hop takes for a body, so it refuses, or it answers once and closes.
func raws(token string) []raw {
	head := "POST /v1/sales/flash/attempts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\nContent-Type: application/json\r\nIdempotency-Key: \"raw\"\r\n"
	length := func(s string) string { return fmt.Sprintf("Content-Length: %d\r\n", len(s)) }
	chunked := "Transfer-Encoding: chunked\r\n"
	end := "0\r\n\r\n"
	many := strings.Repeat("X-A: b\r\n", 5000)
	return []raw{
		{"two in a row are two", "GET /v1/sales HTTP/1.1\r\nHost: x\r\n\r\n" + trap, 200, 2}, // the control: pipelining as it should be
		{"CL.TE", head + length(end+trap) + chunked + "\r\n" + end + trap, 400, 1},
		{"TE.CL", head + chunked + "Content-Length: 4\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n", len(trap), trap) + end, 400, 1},
		{"TE, then more", head + chunked + "\r\n" + end + trap, 400, 1},
		{"two lengths", head + "Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}" + trap, 400, 1},
		{"two lengths in one", head + "Content-Length: 2, 40\r\n\r\n{}" + trap, 400, 1},
		{"a negative length", head + "Content-Length: -1\r\n\r\n{}" + trap, 400, 1},
		{"a signed length", head + "Content-Length: +2\r\n\r\n{}" + trap, 400, 1},
		{"a length in hexadecimal", head + "Content-Length: 0x2\r\n\r\n{}" + trap, 400, 1},
		{"a length over all", head + "Content-Length: 99999999999999999999\r\n\r\n{}" + trap, 400, 1},
		{"a huge length", head + "Content-Length: 9223372036854775807\r\n\r\n{}", 413, 1},
		{"TE twice", head + chunked + chunked + "\r\n" + end + trap, 400, 1},
		{"TE identity", head + "Transfer-Encoding: identity\r\n" + length("{}") + "\r\n{}" + trap, 400, 1},
		{"TE of two", head + "Transfer-Encoding: chunked, identity\r\n\r\n" + end + trap, 400, 1},
		{"TE of look", head + "Transfer-Encoding: xchunked\r\n\r\n" + end + trap, 400, 1},
		{"TE with a tab", head + "Transfer-Encoding:\tchunked\r\n" + length(end+trap) + "\r\n" + end + trap, 400, 1},
		{"TE with a space before the colon", head + "Transfer-Encoding : chunked\r\n" + length(end+trap) + "\r\n" + end + trap, 400, 1},
		{"TE in HTTP/1.0", strings.Replace(head, "HTTP/1.1", "HTTP/1.0", 1) + chunked + "\r\n" + end + trap, 400, 1},
		{"a folded line", head + "X-A: b\r\n c: d\r\nTransfer-Encoding:\r\n chunked\r\n" + length(end+trap) + "\r\n" + end + trap, 400, 1},
		{"a bare CR", head + "X-A: b\rTransfer-Encoding: chunked\r\n" + length("{}") + "\r\n{}" + trap, 400, 1},
		{"a NUL", head + "X-A: b\x00\r\n" + length("{}") + "\r\n{}" + trap, 400, 1},
		{"no name", head + ": b\r\n" + length("{}") + "\r\n{}" + trap, 400, 1},
		{"a chunk extension", head + chunked + "\r\n2;a=b\r\n{}\r\n" + end, 400, 1},
		{"a long chunk extension", head + chunked + "\r\n2;" + strings.Repeat("a", 20_000) + "\r\n{}\r\n" + end, 400, 1},
		{"many chunk extensions", head + chunked + "\r\n" + strings.Repeat("1;"+strings.Repeat("x", 900)+"\r\n \r\n", 100) + end + trap, 400, 1},
		{"a chunk that lies", head + chunked + "\r\n1\r\n{}\r\n" + end + trap, 400, 1},
		{"a chunk size over all", head + chunked + "\r\nfffffffffffffffff\r\n{}\r\n" + end, 400, 1},
		{"a negative chunk", head + chunked + "\r\n-2\r\n{}\r\n" + end + trap, 400, 1},
		{"bare LF in chunks", head + chunked + "\r\n2\n{}\n0\n\n" + trap, 400, 1},
		{"a trailer that smuggles", head + chunked + "\r\n2\r\n{}\r\n0\r\nAuthorization: Bearer x\r\nContent-Length: 5\r\n\r\n" + trap, 400, 1},
		{"endless trailers", head + chunked + "\r\n2\r\n{}\r\n0\r\n" + many + many + "\r\n", 400, 1},
		{"many headers", head + many + "\r\n", 431, 1},
		{"one long header", head + "X-A: " + strings.Repeat("b", 100_000) + "\r\n\r\n", 431, 1},
		{"a long target", "GET /" + strings.Repeat("a", 100_000) + " HTTP/1.1\r\nHost: x\r\n\r\n", 431, 1},
		{"no host", "GET /v1/sales HTTP/1.1\r\n\r\n", 400, 1},
		{"two hosts", "GET /v1/sales HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, 1},
		{"no version", "GET /v1/sales\r\n\r\n", 400, 1},
		{"HTTP/9.9", "GET /v1/sales HTTP/9.9\r\nHost: x\r\n\r\n", 505, 1},
		{"HTTP/2 without asking", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", 400, 1},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x00", 200) + "\r\n\r\n", 400, 1},
		{"Redis", "*1\r\n$4\r\nPING\r\n\r\n", 400, 1},
		{"spaces", "GET  /v1/sales  HTTP/1.1\r\nHost: x\r\n\r\n", 400, 1},
		{"a target of everything", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 404, 1},
		{"CONNECT", "CONNECT 127.0.0.1:6379 HTTP/1.1\r\nHost: 127.0.0.1:6379\r\n\r\nPING\r\n", 404, 2},
		{"an absolute target", "GET http://127.0.0.1:6379/x HTTP/1.1\r\nHost: x\r\n\r\n", 404, 1},
		{"an expectation", head + "Expect: 200-maybe\r\n" + length("{}") + "\r\n{}", 417, 1},
		{"gzip", head + "Content-Encoding: gzip\r\n" + length("\x1f\x8b\x08") + "\r\n\x1f\x8b\x08", 415, 1},
		{"a WebSocket", "GET /v1/events HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x85\x00\x00\x00\x00hello", 401, 2},
		{"h2c", "GET /v1/sales HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", 200, 1},
		{"hop-by-hop names", strings.Replace(head, "Host: x", "Host: x\r\nConnection: Authorization, Idempotency-Key, close", 1) + length("{}") + "\r\n{}" + trap, 400, 1},
	}
}

// rawMessages checks that messages which two readers could read differently are refused, or the connection ends with their answer:
// no smuggled request is ever answered, and nothing that is no HTTP moves the server.
func (v *victim) rawMessages(t *testing.T) {
	for _, r := range raws(v.tokens[0]) {
		for _, listener := range []string{"public", "admin"} {
			if listener == "admin" && (r.first == 200 || r.answers == 2) {
				continue // who is asked there needs a token
			}
			t.Run(r.name+" at "+listener, func(t *testing.T) {
				got, err := v.exchange(listener, r.bytes)
				if err != nil {
					t.Fatal(err)
				}
				for i, a := range got {
					if i == 0 && listener == "public" && !fits(a.status, r.first) {
						t.Errorf("first answer %d %s, want %d", a.status, a.body, r.first)
					}
					if a.status >= 500 && a.status != http.StatusHTTPVersionNotSupported && a.status != http.StatusNotImplemented || a.status == http.StatusSwitchingProtocols {
						t.Errorf("answer %d: %d %s", i, a.status, a.body)
					}
					if strings.Contains(string(a.body), "smuggled") && r.answers < 2 {
						t.Errorf("the smuggled request was answered: %s", a.body)
					}
				}
				if len(got) > r.answers {
					t.Errorf("%d answers", len(got))
				}
			})
		}
	}
	if err := v.Nodes[0].Ready(); err != nil {
		t.Error(err)
	}
}

// fits takes for 400 whatever says that the request is wrong.
func fits(got, want int) bool {
	return got == want || want == 400 && (got/100 == 4 || got == http.StatusNotImplemented || got == http.StatusHTTPVersionNotSupported)
}

// exchange sends the bytes and reads all answers until the server closes or has nothing more to say.
func (v *victim) exchange(listener, bytes string) ([]answer, error) {
	conn, err := net.DialTimeout("tcp", v.at[listener], patience)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	go func() {
		_, _ = conn.Write([]byte(bytes)) // the server may close before it has taken all
	}()
	in := bufio.NewReader(conn)
	var all []answer
	for {
		wait := patience
		if len(all) > 0 {
			wait = 300 * time.Millisecond
		}
		if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
			return all, err
		}
		if _, err := in.Peek(1); err != nil {
			if len(all) == 0 && (os.IsTimeout(err) || errors.Is(err, io.EOF)) {
				return nil, fmt.Errorf("no answer: %w", err)
			}
			return all, nil // a reset may overtake the only answer
		}
		a, err := readAnswer(in, "POST")
		if err != nil {
			return all, nil
		}
		all = append(all, a)
		if a.close {
			return all, nil
		}
	}
}
