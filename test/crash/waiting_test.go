package crash

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// waitingSale puts on a sale of 40 units that keeps a waiting list.
func (o *operator) waitingSale() {
	o.s.t.Helper()
	now := time.Now().UTC()
	code, body := o.call(http.MethodPost, "/admin/v1/sales", map[string]any{
		"id": "flash", "title": "flash", "startsAt": now.Add(-time.Second), "endsAt": now.Add(time.Hour), "paymentWindowSeconds": 3600, "waitingList": true,
		"items": []map[string]any{{"sku": "sku-1", "title": "one", "price": 199, "currency": "EUR", "stock": 40, "limitPerUser": 1}},
	})
	if code != http.StatusCreated {
		o.s.t.Fatalf("create the sale: %d %s", code, body)
	}
}

// as makes a call as a buyer, whatever becomes of it; 0 means that there was no answer.
func as(s *server, h *http.Client, token, method, path, key, body string) (code int, answer map[string]any) {
	req, err := http.NewRequest(method, "http://"+s.at.Public+path, bytes.NewReader([]byte(body)))
	if err != nil {
		s.t.Error(err)
		return 0, nil
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", `"`+key+`"`)
	resp, err := h.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || json.Unmarshal(raw, &answer) != nil {
		return 0, nil
	}
	return resp.StatusCode, answer
}

// Killed while released units are handed to those who wait, the server comes back with each unit handed over once, in the
// order of the list: nobody who was told his place loses it, and check finds nothing wrong.
func TestKilledWhileHandingOver(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	const units, queue = 40, 120
	dir := t.TempDir()
	s := start(t, dir)
	operate(s).waitingSale()
	users, h := tokens(t, dir, "--user", "U", "--count", fmt.Sprint(units+queue)), client(32)
	orders, entries := make([]string, units), make([]string, queue)
	const one = `{"sku":"sku-1","quantity":1}`
	for i := range orders {
		code, won := as(s, h, users[i], http.MethodPost, "/v1/sales/flash/attempts", "k", one)
		if code != http.StatusCreated {
			t.Fatalf("buyer %d: %d %v", i, code, won)
		}
		orders[i] = won["order"].(string)
	}
	for i := range entries {
		code, e := as(s, h, users[units+i], http.MethodPost, "/v1/sales/flash/waiting", "j", one)
		if code != http.StatusCreated {
			t.Fatalf("waiter %d: %d %v", i, code, e)
		}
		entries[i] = e["entry"].(string)
	}
	for round := range 4 {
		var wg sync.WaitGroup
		for i, id := range orders[round*units/4 : (round+1)*units/4] {
			wg.Go(func() {
				as(s, h, users[round*units/4+i], http.MethodPost, "/v1/orders/"+id+"/cancellation", "c", "")
			})
		}
		time.Sleep(time.Duration(rnd.Int64N(int64(40 * time.Millisecond))))
		s.kill()
		wg.Wait()
		s = start(t, dir)
	}
	for i, id := range orders { // whatever was not cancelled is cancelled now
		var last map[string]any
		if !s.poll(func() bool {
			_, last = as(s, h, users[i], http.MethodPost, "/v1/orders/"+id+"/cancellation", "c", "")
			return last["state"] == "cancelled" || strings.HasSuffix(fmt.Sprint(last["type"]), "illegal-transition")
		}) {
			t.Fatalf("order %d is not cancelled: %v", i, last)
		}
	}
	operate(s).drain()
	seen := map[any]bool{}
	for i, entry := range entries {
		code, e := as(s, h, users[units+i], http.MethodGet, "/v1/sales/flash/waiting/"+entry, "", "")
		want := "waiting"
		if i < units {
			want = "offered"
		}
		if code != http.StatusOK || e["state"] != want || want == "waiting" && e["position"] != float64(i-units+1) {
			t.Errorf("entry %d: %d %v, want %s", i, code, e, want)
		}
		if e["order"] != nil && seen[e["order"]] {
			t.Errorf("order %v was handed over twice", e["order"])
		}
		seen[e["order"]] = true
	}
	if l := operate(s).level(); l.Held != units || l.Available != 0 {
		t.Errorf("the row is %+v, want all held", l)
	}
	s.stop()
	if out, code := command(t, dir, "check", "--data", dir); code != 0 {
		t.Errorf("check: %d\n%s", code, out)
	}
}
