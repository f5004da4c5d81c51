package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"penstock/errs"
	"penstock/limit"
	"penstock/stock"
	"penstock/stock/driver"
)

// instant is an Attempter that costs nothing.
type instant struct{ a stock.Answer }

func (i instant) Attempt(context.Context, stock.Request) stock.Answer { return i.a }

// bareHandler is the ceiling: net/http with a bearer check by comparison, the JSON in and the JSON out, and nothing else.
func bareHandler(status int, contentType string, out []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			http.Error(w, "", http.StatusUnauthorized)
			return
		}
		body, err := io.ReadAll(r.Body)
		var in struct {
			SKU      string `json:"sku"`
			Quantity int64  `json:"quantity"`
		}
		if err != nil || json.Unmarshal(body, &in) != nil || in.Quantity != 1 {
			http.Error(w, "", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = w.Write(out)
	})
}

// BenchmarkAttempt is the whole attempt path over loopback connections, with a pass and both limits on and a room that answers
// at once, beside a bare handler that reads and writes the same JSON. Compare the two of one run.
func BenchmarkAttempt(b *testing.B) {
	for _, kind := range []string{"won", "sold-out"} {
		answer := stock.Answer{State: stock.Lost, Reason: errs.SoldOut, Attempt: &driver.Attempt{ID: 1}}
		if kind == "won" {
			answer = won(stock.Request{Sale: "flash", User: "ann", Key: "k1"})
		}
		o := Options{IP: limit.Rate{Calls: limit.MaxCalls, Per: 1e9}, User: limit.Rate{Calls: limit.MaxCalls, Per: 1e9}, Attempts: instant{answer}}
		s := setup(b, o, nil)
		w := s.attempt(oneItem)
		b.Run(kind+"/bare", func(b *testing.B) {
			drive(b, bareHandler(w.Code, w.Header().Get("Content-Type"), w.Body.Bytes()), s.pass)
		})
		b.Run(kind+"/gateway", func(b *testing.B) {
			s.g.o.Observer = nobody{}
			drive(b, s.g, s.pass)
		})
	}
}

// sink takes an answer and forgets it.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(int)             {}
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkAttemptChain is what the chain and the codec cost without a connection.
func BenchmarkAttemptChain(b *testing.B) {
	o := Options{IP: limit.Rate{Calls: limit.MaxCalls, Per: 1e9}, User: limit.Rate{Calls: limit.MaxCalls, Per: 1e9}}
	o.Attempts = instant{won(stock.Request{Sale: "flash", User: "ann", Key: "k1"})}
	s := setup(b, o, nil)
	s.g.o.Observer = nobody{}
	body := strings.NewReader(oneItem)
	r := httptest.NewRequest("POST", "/v1/sales/flash/attempts", body)
	r.Header.Set("Authorization", "Bearer "+s.pass)
	r.Header.Set("Idempotency-Key", `"k1"`)
	w := &sink{header: http.Header{}}
	b.ReportAllocs()
	before := processor(b)
	for b.Loop() {
		body.Reset(oneItem)
		clear(w.header)
		s.g.ServeHTTP(w, r)
	}
	b.ReportMetric(float64(processor(b)-before)/float64(b.N), "cpu-ns/op")
}

// drive sends b.N attempts over 64 connections and waits for each answer.
func drive(b *testing.B, h http.Handler, token string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	srv := Server(h, ServerOptions{})
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	defer func() { srv.Close(); <-served }()
	request := fmt.Appendf(nil, "POST /v1/sales/flash/attempts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nIdempotency-Key: \"k1\"\r\nContent-Length: %d\r\n\r\n%s",
		token, len(oneItem), oneItem)
	const conns = 64
	b.ReportAllocs()
	b.ResetTimer()
	before := processor(b)
	var wg sync.WaitGroup
	for g := range conns {
		wg.Go(func() {
			if err := client(ln.Addr().String(), request, (b.N-g+conns-1)/conns); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(processor(b)-before)/float64(b.N), "cpu-ns/op")
}

// processor is the processor time this process has used, which other processes of the machine do not blur.
func processor(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func client(addr string, request []byte, n int) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	in := bufio.NewReader(c)
	for range n {
		if _, err := c.Write(request); err != nil {
			return err
		}
		if err := readAnswer(in); err != nil {
			return err
		}
	}
	return nil
}

// readAnswer reads one answer without making garbage.
func readAnswer(in *bufio.Reader) error {
	length := 0
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) == 2 {
			_, err = in.Discard(length)
			return err
		}
		const name = "Content-Length: "
		if len(line) > len(name) && string(line[:len(name)]) == name {
			length = 0
			for _, c := range line[len(name) : len(line)-2] {
				length = length*10 + int(c-'0')
			}
		}
	}
}
