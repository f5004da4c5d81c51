package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"penstock/auth"
)

// figures are the rates of each contestant, one per round.
type figures struct {
	echoWin, win, commit   []float64
	echoRefuse, refuse     []float64
	drain                  []float64 // orders per second written while the wins ran
	winBody, refuseBody    int
	echoWinBody, echoRBody int
	wins                   int64
}

// bench is one run: the server, its peers and the passes of its buyers.
type bench struct {
	o      options
	dir    string
	server *server
	ring   *auth.Ring
	echo   *exec.Cmd
	echoAt string
	bare   *groupCommit
	buyers int64 // users so far; each attempts once
	f      figures
}

const warm = 300 * time.Millisecond

func run(o options) error {
	dir, err := os.MkdirTemp(".", "bench-run-")
	if err != nil {
		return err
	}
	if !o.keep {
		defer os.RemoveAll(dir)
	}
	b := &bench{o: o, dir: dir}
	if err := b.open(); err != nil {
		return err
	}
	defer b.close()
	empty, err := b.server.rss()
	if err != nil {
		return err
	}
	for i := range o.rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", i+1, o.rounds)
		if err := b.round(); err != nil {
			return err
		}
	}
	b.report(os.Stdout)
	if o.claims == 0 {
		return nil
	}
	return b.million(empty)
}

func (b *bench) open() error {
	var err error
	data := filepath.Join(b.dir, "data")
	if b.server, err = startServer(b.o.binary, data); err != nil {
		return err
	}
	if b.ring, err = auth.Open(filepath.Join(data, "keys.json"), auth.Options{}); err != nil {
		return err
	}
	if b.bare, err = openGroupCommit(b.dir); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	b.echo = exec.Command(self, "-echo", "127.0.0.1:0")
	b.echo.Stderr = os.Stderr
	out, err := b.echo.StdoutPipe()
	if err != nil {
		return err
	}
	if err := b.echo.Start(); err != nil {
		return err
	}
	if b.echoAt, err = bufio.NewReader(out).ReadString('\n'); err != nil {
		return fmt.Errorf("the bare peer did not start: %w", err)
	}
	b.echoAt = strings.TrimSpace(b.echoAt)
	if err := b.server.offer("bench", 1_000_000_000); err != nil {
		return err
	}
	return b.sellOut()
}

func (b *bench) close() {
	errs := errors.Join(b.server.stop(), b.echo.Process.Kill())
	if errs != nil {
		fmt.Fprintln(os.Stderr, "bench: stop:", errs)
	}
}

// sellOut makes a sale whose only unit is bought and paid for.
func (b *bench) sellOut() error {
	if err := b.server.offer("bench-out", 1); err != nil {
		return err
	}
	pass, err := b.ring.MintPass("first", "bench-out", time.Now(), time.Hour)
	if err != nil {
		return err
	}
	token, err := b.userToken("first")
	if err != nil {
		return err
	}
	var a struct{ Order string }
	code, err := b.server.call(http.MethodPost, b.server.Public+"/v1/sales/bench-out/attempts", pass, wish{"sku-1", 1}, &a)
	if err != nil || code != http.StatusCreated {
		return fmt.Errorf("buy the only unit: %d %w", code, err)
	}
	var raw json.RawMessage
	code, err = b.server.call(http.MethodPost, b.server.Public+"/v1/orders/"+a.Order+"/payments", token, map[string]string{"method": "sandbox"}, &raw)
	if err != nil || code != http.StatusCreated {
		return fmt.Errorf("pay for the only unit: %d %s %w", code, raw, err)
	}
	return b.server.drain()
}

func (b *bench) userToken(user string) (string, error) {
	out, err := exec.Command(b.o.binary, "token", "--data", filepath.Join(b.dir, "data"), "--user", user).Output()
	return strings.TrimSpace(string(out)), err
}

// round runs every contestant once. The order writer runs beside the wins; what it leaves is drained before the next one.
func (b *bench) round() error {
	if err := b.peer("/win", http.StatusCreated, &b.f.echoWin, &b.f.echoWinBody); err != nil {
		return err
	}
	if err := b.wins(); err != nil {
		return err
	}
	t, err := b.bare.run(b.o.slice)
	if err != nil {
		return err
	}
	b.f.commit = append(b.f.commit, t.rate())
	if err := b.peer("/refuse", http.StatusConflict, &b.f.echoRefuse, &b.f.echoRBody); err != nil {
		return err
	}
	return b.refusals()
}

func (b *bench) peer(path string, status int, rates *[]float64, body *int) error {
	passes, err := b.passes("bench", 1000)
	if err != nil {
		return err
	}
	t, err := b.load(b.echoAt, path, status, func(n int64) string { return passes[n%1000] }).run(warm, b.o.slice)
	if err != nil {
		return fmt.Errorf("bare peer %s: %w", path, err)
	}
	*rates, *body = append(*rates, t.rate()), t.body
	return nil
}

func (b *bench) wins() error {
	profiled := make(chan error, 1)
	if b.o.profile != "" && len(b.f.win) == b.o.rounds-1 {
		go func() { profiled <- b.server.profile(b.o.profile, b.o.slice) }()
	} else {
		profiled <- nil
	}
	t, err := b.attempts("bench", http.StatusCreated)
	if err = errors.Join(err, <-profiled); err != nil {
		return fmt.Errorf("wins: %w", err)
	}
	left, _, err := b.server.inFlight()
	if err != nil {
		return err
	}
	written := t.answers
	for name, n := range left {
		if strings.HasPrefix(name, "bus.") {
			written -= n // messages that the order writer has not got yet
		}
	}
	b.f.win, b.f.winBody = append(b.f.win, t.rate()), t.body
	b.f.drain = append(b.f.drain, float64(max(written, 0))/t.took.Seconds())
	b.f.wins += t.answers
	return b.server.drain()
}

func (b *bench) refusals() error {
	t, err := b.attempts("bench-out", http.StatusConflict)
	if err != nil {
		return fmt.Errorf("refusals: %w", err)
	}
	b.f.refuse, b.f.refuseBody = append(b.f.refuse, t.rate()), t.body
	return nil
}

// attempts lets fresh buyers attempt, each once, each with a pass of its own.
func (b *bench) attempts(sale string, status int) (tally, error) {
	enough := int(150_000 * (b.o.slice + warm).Seconds())
	passes, err := b.passes(sale, enough)
	if err != nil {
		return tally{}, err
	}
	l := b.load(b.server.Public, "/v1/sales/"+sale+"/attempts", status, func(n int64) string {
		if n >= int64(enough) {
			return ""
		}
		return passes[n]
	})
	return l.run(warm, b.o.slice)
}

// passes mints passes for buyers that have not been seen before.
func (b *bench) passes(sale string, n int) ([]string, error) {
	out := make([]string, n)
	now := time.Now()
	for i := range out {
		b.buyers++
		p, err := b.ring.MintPass("buyer-"+strconv.FormatInt(b.buyers, 10), sale, now, time.Hour)
		if err != nil {
			return nil, err
		}
		out[i] = p
	}
	return out, nil
}

// load sends the same request to whoever it measures: pass, key, address of the buyer, body.
func (b *bench) load(addr, path string, status int, pass func(int64) string) load {
	head := "POST " + path + " HTTP/1.1\r\nHost: " + addr + "\r\nContent-Type: application/json\r\nAuthorization: Bearer "
	const body = `{"sku":"sku-1","quantity":1}`
	return load{addr: addr, conns: b.o.conns, status: status, next: func(buf []byte, n int64) []byte {
		p := pass(n)
		if p == "" {
			return nil
		}
		buf = append(append(buf, head...), p...)
		buf = append(buf, "\r\nIdempotency-Key: \"key-"...)
		buf = strconv.AppendInt(buf, n, 10)
		buf = append(buf, "\"\r\nX-Forwarded-For: 10."...)
		buf = strconv.AppendInt(buf, n>>16&255, 10)
		buf = append(strconv.AppendInt(append(buf, '.'), n>>8&255, 10), '.')
		buf = strconv.AppendInt(buf, n&255, 10)
		buf = append(buf, "\r\nContent-Length: "...)
		buf = strconv.AppendInt(buf, int64(len(body)), 10)
		return append(append(buf, "\r\n\r\n"...), body...)
	}}
}
