package storm

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"math/bits"
	"net/http"
	"strconv"
	"time"

	"penstock/storm/wire"
)

// lineEntry is what a buyer looks at in his entry.
type lineEntry struct {
	Entry, State, Pass string
	PollAfterSeconds   float64
	// of the problem that refuses it
	Type, Challenge string
	Bits            int
}

// standInLine has a buyer join the line of the sale, or look at his entry there, and leaves in b.due when to look again. With
// a pass he goes on to attempt; where there is none to be had, due is zero.
func (s *storm) standInLine(ctx context.Context, b *buyer) {
	if b.tries == 0 && b.entry == "" {
		s.arrive()
	}
	req := wire.Request{Method: "GET", Path: s.salePath + "/line/" + b.entry, Token: b.who.Token, From: b.who.address}
	if b.entry == "" {
		req.Method, req.Path, req.Body = "POST", s.salePath+"/line", s.wish(b)
	}
	var resp wire.Response
	var e lineEntry
	err := s.client.Do(ctx, &req, &resp)
	if err == nil {
		err = json.Unmarshal(resp.Body, &e)
	}
	now := s.cfg.Clock.Now()
	b.tries++
	switch {
	case err != nil, resp.Status == http.StatusTooManyRequests, resp.Status >= 500:
		b.due = now.Add(b.backoff(resp.RetryAfter))
	case resp.Status == http.StatusForbidden && e.Challenge != "":
		b.challenge, b.nonce, b.due = e.Challenge, work(e.Challenge, e.Bits), now
	case resp.Status/100 != 2:
		s.meter.turned.Add(1)
		b.due = time.Time{}
	case e.Pass != "":
		b.entry, b.pass, b.due, b.next, b.tries = e.Entry, e.Pass, now, toAttempt, 0
		b.lined = true
	case e.State == "waiting" || e.State == "pot":
		b.entry, b.due = e.Entry, now.Add(max(time.Duration(e.PollAfterSeconds*float64(time.Second)), 50*time.Millisecond))
	default:
		b.due = time.Time{}
	}
}

// wish is the body that a buyer joins with.
func (s *storm) wish(b *buyer) []byte {
	body := append([]byte(`{"sku":`), quote(b.sku)...)
	if b.challenge != "" {
		body = append(append(append(body, `,"proof":{"challenge":`...), quote(b.challenge)...), `,"nonce":"`+b.nonce+`"}`...)
	}
	return append(body, '}')
}

// work finds a nonce: SHA-256 of challenge:nonce begins with so many zero bits.
func work(challenge string, zero int) string {
	for n := 0; ; n++ {
		nonce := strconv.Itoa(n)
		sum := sha256.Sum256([]byte(challenge + ":" + nonce))
		got := 0
		for _, c := range sum {
			if got += bits.LeadingZeros8(c); c != 0 {
				break
			}
		}
		if got >= zero {
			return nonce
		}
	}
}
