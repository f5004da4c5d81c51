//go:build linux

package main

import (
	"fmt"
	"strconv"
	"time"
)

// contest is what fresh buyers attempt somewhere, each once, each with a pass of its own.
type contest struct {
	// figure is the name of the rate; its highest value so far says how many buyers are enough.
	figure string
	addrs  []string
	sale   string
	status int
	others []int
	// warm is how long it runs before it counts; 0 means warm.
	warm time.Duration
}

// attempts runs a contest for a slice.
func (b *bench) attempts(c contest) (tally, error) {
	c.warm = max(c.warm, warm)
	enough := int(max(20_000, 2.5*b.f.most(c.figure, 60_000)*(b.o.slice+c.warm).Seconds()))
	passes, err := b.passes(c.sale, enough)
	if err != nil {
		return tally{}, err
	}
	t, err := b.load(c, "/v1/sales/"+c.sale+"/attempts", func(n int64) string {
		if n >= int64(enough) {
			return ""
		}
		return passes[n]
	}).run(c.warm, b.o.slice)
	if err == nil && t.asked() >= int64(enough) {
		err = fmt.Errorf("%d buyers were not enough", enough)
	}
	if err != nil {
		return t, fmt.Errorf("%s: %w", c.figure, err)
	}
	return t, nil
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
func (b *bench) load(c contest, path string, pass func(int64) string) load {
	head := "POST " + path + " HTTP/1.1\r\nHost: " + c.addrs[0] + "\r\nContent-Type: application/json\r\nAuthorization: Bearer "
	const body = `{"sku":"sku-1","quantity":1}`
	return load{addrs: c.addrs, conns: b.o.conns, status: c.status, others: c.others, next: func(buf []byte, n int64) []byte {
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
