package storm

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"penstock/internal/ident"
)

// row is one line of an export.
type row = map[string]any

// shop is a shop in memory that tells the truth, unless a fault is set. Claims are its orders.
type shop struct {
	t      *testing.T
	mu     sync.Mutex
	now    func() time.Time
	ids    *ident.Generator
	seq    int
	free   int
	offer  int
	held   int
	sold   int
	keys   map[string]*deal
	deals  []*deal
	ledger []row
	calls  int

	// faults, by number of the attempt
	hangUp   func(n int) bool // executes and closes the connection
	hide     func(n int) bool // says unknown and never anything else of this key
	forget   func(n int) bool // acknowledges and forgets
	busy     func(n int) bool // not executed
	noStock  func(n int) bool // says that nothing is free
	oversell int
	stale    bool // passes have run out
}

type deal struct {
	id, user, key, state string
	events               []row
	hidden               bool
	ref                  string
	created              time.Time
}

const price = 1999

func newShop(t *testing.T, stock int) *shop {
	s := &shop{t: t, now: time.Now, ids: ident.NewGenerator(1, 0), free: stock, offer: stock, keys: map[string]*deal{}}
	s.note("offer", "", stock)
	return s
}

func (s *shop) note(kind, ref string, delta int) {
	s.seq++
	s.ledger = append(s.ledger, row{"seq": s.seq, "sale": "s1", "sku": "cup", "delta": delta, "kind": kind, "ref": ref, "at": s.now().UTC()})
}

// serve returns the URL of a server that is both listeners at once.
func (s *shop) serve() string {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/sales/s1", func(w http.ResponseWriter, _ *http.Request) {
		s.json(w, 200, row{"startsAt": s.now().Add(-time.Second), "serverTime": s.now(), "items": []row{{"sku": "cup"}}})
	})
	mux.HandleFunc("POST /v1/sales/s1/pass", func(w http.ResponseWriter, r *http.Request) {
		s.json(w, 201, row{"pass": "pass-" + who(r)})
	})
	mux.HandleFunc("POST /v1/sales/s1/attempts", s.attempt)
	mux.HandleFunc("GET /v1/sales/s1/attempts/{key}", s.look)
	mux.HandleFunc("POST /v1/orders/{order}/payments", func(w http.ResponseWriter, r *http.Request) { s.finish(w, r, "paid") })
	mux.HandleFunc("POST /v1/orders/{order}/cancellation", func(w http.ResponseWriter, r *http.Request) { s.finish(w, r, "cancelled") })
	mux.HandleFunc("GET /admin/v1/", s.admin)
	srv := httptest.NewServer(mux)
	s.t.Cleanup(srv.Close)
	return srv.URL
}

func who(r *http.Request) string {
	return strings.TrimPrefix(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "pass-")
}

func (s *shop) json(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		s.t.Log(err)
	}
}

func (s *shop) problem(w http.ResponseWriter, status int, name string) {
	s.json(w, status, row{"type": "/problems/" + name, "status": status})
}

func planned(f func(int) bool, n int) bool { return f != nil && f(n) }

func (s *shop) attempt(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || string(body) != `{"sku":"cup","quantity":1}` || r.Header.Get("X-Forwarded-For") == "" {
		s.t.Errorf("attempt with body %s from %q, %v", body, r.Header.Get("X-Forwarded-For"), err)
	}
	if s.stale && strings.Contains(r.Header.Get("Authorization"), "pass-") {
		s.problem(w, 401, "unauthenticated")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	n := s.calls
	scope := who(r) + "/" + strings.Trim(r.Header.Get("Idempotency-Key"), `"`)
	if d := s.keys[scope]; d != nil {
		w.Header().Set("Idempotency-Replayed", "true")
		s.tellDeal(w, 201, d)
		return
	}
	switch {
	case planned(s.busy, n):
		s.problem(w, 503, "reduced-capacity")
	case planned(s.noStock, n):
		s.problem(w, 409, "stock-held")
	case s.free+s.oversell == 0 && s.held == 0:
		s.problem(w, 409, "sold-out")
	case s.free+s.oversell == 0:
		s.problem(w, 409, "stock-held")
	case planned(s.forget, n):
		s.tellDeal(w, 201, &deal{id: s.ids.Next(s.now(), 1).String()})
	default:
		d := s.win(scope)
		d.hidden = planned(s.hide, n)
		if planned(s.hangUp, n) {
			panic(http.ErrAbortHandler)
		}
		s.tellDeal(w, 201, d)
	}
}

func (s *shop) win(scope string) *deal {
	user, key, _ := strings.Cut(scope, "/")
	d := &deal{id: s.ids.Next(s.now(), ident.SlotOf(user)).String(), user: user, key: key, created: s.now().UTC()}
	s.keys[scope] = d
	s.deals = append(s.deals, d)
	s.free, s.held = s.free-1, s.held+1
	s.note("hold", d.id, -1)
	s.move(d, "accepted")
	s.move(d, "pending_payment")
	return d
}

func (s *shop) move(d *deal, to string) {
	d.events = append(d.events, row{"order": d.id, "n": len(d.events) + 1, "at": s.now().UTC(), "from": d.state, "to": to})
	d.state = to
}

func (s *shop) tellDeal(w http.ResponseWriter, status int, d *deal) {
	if d.hidden {
		s.json(w, 202, row{"state": "unknown"})
		return
	}
	s.json(w, status, row{"state": "won", "order": d.id, "amount": price})
}

func (s *shop) look(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.keys[who(r)+"/"+r.PathValue("key")]
	if d == nil {
		s.problem(w, 404, "not-found")
		return
	}
	s.tellDeal(w, 200, d)
}

// finish pays or cancels an order.
func (s *shop) finish(w http.ResponseWriter, r *http.Request, to string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.deals, func(d *deal) bool { return d.id == r.PathValue("order") && d.user == who(r) })
	if i < 0 {
		s.problem(w, 404, "not-found")
		return
	}
	d := s.deals[i]
	switch {
	case d.state != "pending_payment" && d.state != to:
		s.problem(w, 409, "illegal-transition")
		return
	case d.state == to:
	case to == "paid":
		s.held, s.sold = s.held-1, s.sold+1
		d.ref = "tx-" + d.id
		s.note("sell", d.id, 1)
		s.move(d, to)
	default:
		s.held, s.free = s.held-1, s.free+1
		s.note("release", d.id, 1)
		s.move(d, to)
	}
	s.json(w, map[string]int{"paid": 201, "cancelled": 200}[to], row{"id": d.id, "state": "captured", "order": d.id})
}

func (s *shop) admin(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if who(r) != "operator" {
		s.problem(w, 401, "unauthenticated")
		return
	}
	switch path := strings.TrimPrefix(r.URL.Path, "/admin/v1/"); path {
	case "drained":
		s.json(w, 200, row{"drained": true})
	case "sales":
		s.json(w, 200, row{"items": []row{{"id": "s1", "startsAt": s.now().Add(-time.Hour), "endsAt": s.now().Add(time.Hour),
			"items": []row{{"sku": "cup", "price": price, "currency": "EUR", "limitPerUser": 1}}}}})
	case "stock":
		s.json(w, 200, row{"items": []row{{"sale": "s1", "sku": "cup", "offered": s.offer, "available": s.free, "held": s.held, "sold": s.sold, "withdrawn": 0, "version": s.seq}}})
	default:
		s.export(w, strings.TrimPrefix(path, "export/"))
	}
}

func (s *shop) export(w http.ResponseWriter, name string) {
	enc := json.NewEncoder(w)
	put := func(rows ...row) {
		for _, r := range rows {
			if err := enc.Encode(r); err != nil {
				s.t.Error(err)
			}
		}
	}
	if name == "stock-ledger" {
		put(s.ledger...)
	}
	for _, d := range s.deals {
		switch name {
		case "claims":
			state := map[string]string{"paid": "sold", "cancelled": "released"}[d.state]
			if state == "" {
				state = "held"
			}
			put(row{"order": d.id, "user": d.user, "sale": "s1", "sku": "cup", "quantity": 1, "key": d.key, "state": state, "at": d.created})
		case "orders":
			id, err := ident.Parse(d.id)
			if err != nil {
				s.t.Error(err)
			}
			put(row{"id": d.id, "user": d.user, "sale": "s1", "key": d.key, "items": []row{{"sku": "cup", "quantity": 1, "price": price}}, "amount": price,
				"currency": "EUR", "state": d.state, "version": len(d.events), "createdAt": d.created, "payBefore": d.created.Add(time.Hour), "shard": id.Slot() % 8, "table": 0})
		case "order-events":
			put(d.events...)
		case "payments":
			if d.ref != "" {
				put(row{"id": d.id, "order": d.id, "provider": "sandbox", "providerRef": d.ref, "state": "captured", "amount": price, "currency": "EUR"})
			}
		}
	}
}

// config is a stampede on the shop, ten buyers for each unit by default, with every habit.
func (s *shop) config(url string, users int) Config {
	return Config{
		URL: url, AdminURL: url, AdminToken: "operator", Sale: "s1", Users: users, Rate: 4000, Seed: int64(users),
		Identity: func(n int) (Identity, error) {
			u := "buyer-" + strconv.Itoa(n)
			return Identity{User: u, Token: u}, nil
		},
		Pay: 0.7, Cancel: 0.2, Retry: 1, Double: 0.1, Pass: 0.5, Think: time.Millisecond, Linger: 300 * time.Millisecond,
		Settle: 3 * time.Second, Timeout: 2 * time.Second, Conns: 32, Outcomes: map[string]float64{"capture": 1},
		Route: func(slot int) (int, int) { return slot % 8, 0 },
	}
}

func (s *shop) String() string {
	return fmt.Sprintf("offered %d, free %d, held %d, sold %d", s.offer, s.free, s.held, s.sold)
}
