package crash

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"penstock/check/history"
)

// operator is the operator's side of one server.
type operator struct {
	s     *server
	token string
	http  *http.Client
}

func operate(s *server) *operator {
	s.t.Helper()
	return &operator{s: s, token: tokens(s.t, s.dir, "--user", "op", "--role", "operator")[0], http: client(4)}
}

func (o *operator) call(method, path string, body any) (int, []byte) {
	o.s.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		o.s.t.Fatal(err)
	}
	req, err := http.NewRequest(method, "http://"+o.s.at.Admin+path, bytes.NewReader(b))
	if err != nil {
		o.s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+o.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := o.http.Do(req)
	if err != nil {
		o.s.t.Fatalf("%s %s: %v\n%s", method, path, err, tail(o.s.log.String()))
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		o.s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, out
}

// offer puts a sale on that is open for an hour. Its unpaid holds stay for the whole test.
func (o *operator) offer(stock, limit int) {
	o.s.t.Helper()
	now := time.Now().UTC()
	code, body := o.call(http.MethodPost, "/admin/v1/sales", map[string]any{
		"id": "flash", "title": "flash", "startsAt": now.Add(-time.Second), "endsAt": now.Add(time.Hour), "paymentWindowSeconds": 3600,
		"items": []map[string]any{{"sku": "sku-1", "title": "one", "price": 199, "currency": "EUR", "stock": stock, "limitPerUser": limit}},
	})
	if code != http.StatusCreated && code != http.StatusOK {
		o.s.t.Fatalf("create the sale: %d %s", code, body)
	}
}

type level struct {
	Offered, Available, Held, Sold, Withdrawn int
}

func (o *operator) level() level {
	o.s.t.Helper()
	code, body := o.call(http.MethodGet, "/admin/v1/stock?sale=flash", nil)
	var v struct{ Items []level }
	if err := json.Unmarshal(body, &v); code != http.StatusOK || err != nil || len(v.Items) != 1 {
		o.s.t.Fatalf("stock: %d %v %s", code, err, body)
	}
	return v.Items[0]
}

// drain waits until no work is in flight.
func (o *operator) drain() {
	o.s.t.Helper()
	var last []byte
	ok := o.s.poll(func() bool {
		code, body := o.call(http.MethodGet, "/admin/v1/drained", nil)
		var v struct{ Drained bool }
		last = body
		return code == http.StatusOK && json.Unmarshal(body, &v) == nil && v.Drained
	})
	if !ok {
		o.s.t.Fatalf("not drained within %v: %s", patience, last)
	}
}

// row is what the exports of orders and claims have in common.
type row struct {
	ID, Order, User, Key, State string
	Quantity                    int
}

func (o *operator) export(name string) []row {
	o.s.t.Helper()
	code, body := o.call(http.MethodGet, "/admin/v1/export/"+name, nil)
	if code != http.StatusOK {
		o.s.t.Fatalf("export %s: %d %s", name, code, body)
	}
	var rows []row
	lines := bufio.NewScanner(bytes.NewReader(body))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r row
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			o.s.t.Fatalf("export %s: %v: %s", name, err, lines.Text())
		}
		rows = append(rows, r)
	}
	return rows
}

// judge settles every unknown and holds what the buyers were told against the export, then asks penstock check.
func judge(s *server, c *crowd, stock, limit int) {
	t := s.t
	t.Helper()
	c.halt()
	c.settle(s)
	o := operate(s)
	o.drain()
	orders := map[string][]row{}
	for _, r := range o.export("orders") {
		orders[r.User+"\x00"+r.Key] = append(orders[r.User+"\x00"+r.Key], r)
	}
	payments := map[string]row{}
	for _, r := range o.export("payments") {
		payments[r.ID] = r
	}
	wins := 0
	for _, p := range c.tries {
		mine := orders[p.User+"\x00"+p.Key]
		delete(orders, p.User+"\x00"+p.Key)
		if f := fault(p, mine); f != "" {
			t.Error(f)
		} else if f := moneyFault(p, mine, payments); f != "" {
			t.Error(f)
		}
		if p.final() == won {
			wins++
		}
	}
	for _, r := range orders {
		t.Errorf("order %s of %s (key %s) was never asked for", r[0].ID, r[0].User, r[0].Key)
	}
	units(t, o, wins, stock, limit)
	for _, line := range c.strange {
		t.Errorf("an answer that should not be: %s", line)
	}
	c.sample(t)
	c.check(s, o)
	t.Logf("measured: buyers were told %v of %d tries; stock %+v", c.counts(), len(c.tries), o.level())
}

// fault holds one try against the orders under its key.
func fault(p *try, orders []row) string {
	if p.final() != won {
		if len(orders) != 0 {
			return fmt.Sprintf("%s %s was told %v but has order %s", p.User, p.Key, p.Answers, orders[0].ID)
		}
		return ""
	}
	if len(orders) != 1 {
		return fmt.Sprintf("%s %s was told yes and has %d orders: %v", p.User, p.Key, len(orders), p.Answers)
	}
	for _, a := range p.Answers {
		if a.Outcome == won && a.Order != orders[0].ID {
			return fmt.Sprintf("%s %s was told order %s and has %s", p.User, p.Key, a.Order, orders[0].ID)
		}
		if a.Outcome == lost {
			return fmt.Sprintf("%s %s was told yes and a final no: %v", p.User, p.Key, p.Answers)
		}
	}
	return ""
}

// moneyFault holds the payment that the server took from a buyer against the books: it is there, settled, and what it captured
// has paid the order. That a provider's own disk failed may end a payment, but not unseen.
func moneyFault(p *try, orders []row, payments map[string]row) string {
	if p.payment == "" {
		return ""
	}
	paid, known := payments[p.payment]
	switch {
	case !known:
		return fmt.Sprintf("%s %s: payment %s was taken and is not in the books", p.User, p.Key, p.payment)
	case paid.State == "captured" && orders[0].State != "paid", paid.State == "pending":
		return fmt.Sprintf("%s %s: payment %s is %s and order %s is %s", p.User, p.Key, p.payment, paid.State, orders[0].ID, orders[0].State)
	}
	return ""
}

// units checks that the stock adds up and nobody has more than the limit.
func units(t *testing.T, o *operator, wins, stock, limit int) {
	t.Helper()
	l := o.level()
	if l.Offered != stock || l.Offered-l.Withdrawn != l.Available+l.Held+l.Sold || l.Available < 0 {
		t.Errorf("stock does not add up: %+v, %d were offered", l, stock)
	}
	if l.Held+l.Sold != wins {
		t.Errorf("%d units are held or sold, buyers won %d", l.Held+l.Sold, wins)
	}
	per := map[string]int{}
	for _, r := range o.export("claims") {
		if r.State == "held" || r.State == "sold" {
			per[r.User] += r.Quantity
		}
	}
	for user, n := range per {
		if n > limit {
			t.Errorf("%s has %d units, the limit is %d", user, n, limit)
		}
	}
}

// sample asks for some keys by name: the answer must be the one their buyers have.
func (c *crowd) sample(t *testing.T) {
	t.Helper()
	for i := 0; i < len(c.tries); i += 1 + len(c.tries)/200 {
		p := c.tries[i]
		a, want := c.lookup(p), p.final()
		if want == refused || want == lost && a.Status == http.StatusNotFound {
			want = a.Outcome // the refusal of a filter binds nothing; the key may be free
		}
		if a.Outcome != want {
			t.Errorf("%s %s: the key says %v (%d %s), its buyer was told %v", p.User, p.Key, a.Outcome, a.Status, a.Body, p.final())
		}
	}
}

// check runs penstock check against the running server, with the buyers' log.
func (c *crowd) check(s *server, o *operator) {
	s.t.Helper()
	log := filepath.Join(s.t.TempDir(), "history.ndjson")
	if err := c.write(log); err != nil {
		s.t.Fatal(err)
	}
	out, code := s.run("check", "--url", "http://"+s.at.Admin, "--token", o.token, "--history", log)
	if code != 0 || strings.Contains(out, "FAIL") {
		s.t.Errorf("penstock check: exit %d\n%s", code, out)
	}
}

// write saves the log in the form that penstock check reads.
func (c *crowd) write(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	w := history.NewWriter(f)
	call := uint64(0)
	for _, p := range c.tries {
		for _, a := range p.Answers {
			call++
			r := history.Record{
				Phase: history.Send, Call: call, Sale: c.sale, User: p.User, Key: p.Key, Op: history.Buy, SKU: "sku-1", Qty: 1, TSend: a.sent,
			}
			w.Write(&r)
			if a.Status == 0 {
				continue
			}
			r.Phase, r.TRecv, r.Status, r.Problem, r.Order, r.Amount = history.Recv, a.got, a.Status, a.Reason, a.Order, a.Amount
			r.State = a.Outcome.String()
			if a.Outcome == refused {
				r.State = ""
			}
			w.Write(&r)
		}
	}
	return errors.Join(w.Flush(), f.Close())
}
