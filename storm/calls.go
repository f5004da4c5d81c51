package storm

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"time"

	"penstock/check/history"
	"penstock/check/ndjson"
	"penstock/storm/wire"
)

// answer is what a call told its buyer.
type answer struct {
	outcome history.Outcome
	status  int
	problem string
	state   string
	order   string
	amount  int64
	after   time.Duration
}

// read takes from a body what a buyer looks at.
func (a *answer) read(body []byte) {
	if len(body) == 0 || body[0] != '{' {
		return
	}
	err := ndjson.Fields(body, func(name []byte, v ndjson.Value) (err error) {
		switch string(name) {
		case "state":
			a.state = v.Text()
		case "order":
			a.order = v.Text()
		case "amount":
			a.amount, err = v.Int()
		case "type":
			t := v.Text()
			a.problem = t[strings.LastIndexByte(t, '/')+1:]
		case "reason":
			a.problem = v.Text()
		}
		return err
	})
	if err != nil {
		*a = answer{status: a.status, after: a.after}
	}
}

// call writes the call down, makes it, and writes down the answer.
func (s *storm) call(ctx context.Context, op history.Op, b *buyer, req *wire.Request) answer {
	rec := history.Record{
		Phase: history.Send, Seed: s.cfg.Seed, Call: s.calls.Add(1), Sale: s.cfg.Sale, User: b.who.User, Key: b.key, Op: op,
		SKU: b.sku, Qty: s.cfg.Quantity, TSend: s.cfg.Clock.Now(), Order: b.order,
	}
	s.log.Write(&rec)
	req.Token, req.From = b.who.Token, b.who.address
	if b.pass != "" && (op == history.Buy || op == history.Ask) {
		req.Token = b.pass
	}
	resp := s.responses.Get().(*wire.Response)
	defer s.responses.Put(resp)
	var a answer
	if err := s.client.Do(ctx, req, resp); err == nil {
		a.status, a.after = resp.Status, resp.RetryAfter
		a.read(resp.Body)
		rec.Replayed, rec.Client = resp.Replayed, resp.Conn
	}
	a.outcome = history.Classify(op, a.status, a.problem, a.state, a.order)
	rec.Phase, rec.TRecv, rec.Status, rec.Problem, rec.State = history.Recv, s.cfg.Clock.Now(), a.status, a.problem, a.state
	rec.Order, rec.Amount = a.order, a.amount
	s.log.Write(&rec)
	if rec.Replayed {
		s.meter.replayed.Add(1)
	}
	return a
}

func (s *storm) attempt(ctx context.Context, b *buyer) answer {
	body := append([]byte(`{"sku":`), quote(b.sku)...)
	body = append(strconv.AppendInt(append(body, `,"quantity":`...), s.cfg.Quantity, 10), '}')
	return s.call(ctx, history.Buy, b, &wire.Request{Method: "POST", Path: s.salePath + "/attempts", Key: b.key, Body: body})
}

func (s *storm) ask(ctx context.Context, b *buyer) answer {
	return s.call(ctx, history.Ask, b, &wire.Request{Method: "GET", Path: s.salePath + "/attempts/" + url.PathEscape(b.key)})
}

func (s *storm) pay(ctx context.Context, b *buyer) answer {
	body := `{"method":"sandbox"}`
	if b.outcome != "" {
		body = `{"method":"sandbox","outcome":` + string(quote(b.outcome)) + `}`
	}
	key := b.key + "-pay-" + strconv.Itoa(b.payments)
	return s.call(ctx, history.Pay, b, &wire.Request{Method: "POST", Path: "/v1/orders/" + b.order + "/payments", Key: key, Body: []byte(body)})
}

func (s *storm) cancel(ctx context.Context, b *buyer) answer {
	return s.call(ctx, history.Cancel, b, &wire.Request{Method: "POST", Path: "/v1/orders/" + b.order + "/cancellation", Key: b.key + "-cancel", Body: []byte("{}")})
}

// exchange turns a token into a pass; an identity whose exchange fails keeps its token.
func (s *storm) exchange(ctx context.Context, p *person) {
	var resp wire.Response
	req := wire.Request{Method: "POST", Path: s.salePath + "/pass", Token: p.Token, From: p.address, Body: []byte("{}")}
	if err := s.client.Do(ctx, &req, &resp); err != nil || resp.Status/100 != 2 {
		s.noPass.Add(1)
		return
	}
	var pass struct{ Pass string }
	if err := json.Unmarshal(resp.Body, &pass); err == nil && pass.Pass != "" {
		p.pass = pass.Pass
		s.passes.Add(1)
		return
	}
	s.noPass.Add(1)
}

func quote(s string) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		return []byte(`""`)
	}
	return b
}
