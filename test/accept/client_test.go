package accept

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var client = &http.Client{
	Timeout:       20 * time.Second,
	Transport:     &http.Transport{MaxIdleConnsPerHost: 32, DisableCompression: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// obj is a JSON object.
type obj = map[string]any

// answer is what came back; status 0 with an error when nothing did.
type answer struct {
	status int
	header http.Header
	body   []byte
	err    error
}

// call is one request; with is a list of header names and values.
func (s *server) call(listener, method, path, token string, body any, with ...string) answer {
	raw, plain := body.([]byte)
	if body != nil && !plain {
		raw, _ = json.Marshal(body)
	}
	req, err := http.NewRequest(method, "http://"+s.address(listener)+path, bytes.NewReader(raw))
	if err != nil {
		return answer{err: err}
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(with); i += 2 {
		req.Header.Set(with[i], with[i+1])
	}
	res, err := client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, got, err}
}

func (s *server) public(method, path, token string, body any, with ...string) answer {
	return s.call("public", method, path, token, body, with...)
}

func (s *server) admin(method, path string, body any, with ...string) answer {
	return s.call("admin", method, path, s.operator, body, with...)
}

func (s *server) attempt(sale, token, key string, body any) answer {
	return s.public("POST", "/v1/sales/"+sale+"/attempts", token, body, "Idempotency-Key", key)
}

func (s *server) pay(order, token, key string, body any) answer {
	return s.public("POST", "/v1/orders/"+order+"/payments", token, body, "Idempotency-Key", key)
}

func (a answer) json() obj {
	var o obj
	d := json.NewDecoder(bytes.NewReader(a.body))
	d.UseNumber()
	d.Decode(&o)
	return o
}

func (a answer) text(name string) string {
	s, _ := a.json()[name].(string)
	return s
}

func (a answer) number(name string) string { return fmt.Sprint(a.json()[name]) }

// problem is the name of the problem type, or "" for none.
func (a answer) problem() string {
	if !strings.HasPrefix(a.header.Get("Content-Type"), "application/problem+json") {
		return ""
	}
	return strings.TrimPrefix(a.text("type"), "/problems/")
}

func (a answer) String() string {
	if a.err != nil {
		return a.err.Error()
	}
	return fmt.Sprintf("%d %s", a.status, a.body)
}

// is fails the test unless the answer has this status and, for a refusal, this problem type.
func (a answer) is(t *testing.T, what string, status int, problem string) answer {
	t.Helper()
	if a.status != status || a.problem() != problem {
		t.Fatalf("%s: got %v, want %d %s", what, a, status, problem)
	}
	return a
}

var counter atomic.Int64

// unique is a name no other test of this run uses.
func unique(prefix string) string { return fmt.Sprintf("%s%d", prefix, counter.Add(1)) }

// item is one line of a sale with SKU "a" at 1999 CNY.
func item(stock, limit int) obj {
	return obj{"sku": "a", "title": "A", "price": 1999, "currency": "CNY", "stock": stock, "limitPerUser": limit}
}

func definition(items ...obj) obj {
	now := time.Now().UTC()
	return obj{
		"title": "test", "startsAt": now.Add(-time.Minute), "endsAt": now.Add(time.Hour),
		"paymentWindowSeconds": 900, "graceSeconds": 0, "items": items,
	}
}

// sale makes a sale and returns its id.
func (s *server) sale(t *testing.T, d obj) string {
	t.Helper()
	return s.admin("POST", "/admin/v1/sales", d).is(t, "create a sale", 201, "").text("id")
}

func one(quantity int) obj { return obj{"sku": "a", "quantity": quantity} }

// won buys and returns the order's id.
func (s *server) won(t *testing.T, sale, token string, quantity int) string {
	t.Helper()
	return s.attempt(sale, token, unique("w"), one(quantity)).is(t, "buy", 201, "").text("order")
}

// reaches waits until the order is in the state.
func (s *server) reaches(t *testing.T, order, token, state string) answer {
	t.Helper()
	var last answer
	eventually(t, "order "+order+" is "+state, func() error {
		last = s.public("GET", "/v1/orders/"+order, token, nil)
		if last.text("state") != state {
			return fmt.Errorf("it answers %v", last)
		}
		return nil
	})
	return last
}

// level is one row of the stock listing.
type level struct {
	Sale, SKU                                 string
	Offered, Available, Held, Sold, Withdrawn int64
}

func (s *server) stock(t *testing.T, sale string) []level {
	t.Helper()
	var page struct{ Items []level }
	a := s.admin("GET", "/admin/v1/stock?sale="+sale, nil)
	if err := json.Unmarshal(a.body, &page); err != nil || a.status != 200 || len(page.Items) == 0 {
		t.Fatalf("stock of %s: %v", sale, a)
	}
	for _, l := range page.Items {
		if l.Available < 0 || l.Available+l.Held+l.Sold != l.Offered-l.Withdrawn {
			t.Fatalf("stock does not add up: %+v", l)
		}
	}
	return page.Items
}

// export returns the rows of an export that the filter keeps; a nil filter keeps all.
func (s *server) export(t *testing.T, name string, keep func(obj) bool) []obj {
	t.Helper()
	a := s.admin("GET", "/admin/v1/export/"+name, nil)
	if a.status != 200 {
		t.Fatalf("export %s: %v", name, a)
	}
	var rows []obj
	d := json.NewDecoder(bytes.NewReader(a.body))
	d.UseNumber()
	for {
		var o obj
		if err := d.Decode(&o); err == io.EOF {
			return rows
		} else if err != nil {
			t.Fatalf("export %s: %v", name, err)
		}
		if keep == nil || keep(o) {
			rows = append(rows, o)
		}
	}
}

func having(name, value string) func(obj) bool {
	return func(o obj) bool { return o[name] == value }
}

// together makes n calls at the same moment.
func together(n int, call func(i int) answer) []answer {
	out, gate, wg := make([]answer, n), make(chan struct{}), sync.WaitGroup{}
	for i := range n {
		wg.Go(func() {
			<-gate
			out[i] = call(i)
		})
	}
	close(gate)
	wg.Wait()
	return out
}

// count sorts answers by status and problem type, such as "201" or "409 stock-held".
func count(answers []answer) map[string]int {
	n := map[string]int{}
	for _, a := range answers {
		if a.err != nil {
			n[a.err.Error()]++
			continue
		}
		n[strings.TrimSpace(fmt.Sprint(a.status, " ", a.problem()))]++
	}
	return n
}
