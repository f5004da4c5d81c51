package crash

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// rehearsed is what the server tells of a rehearsal.
type rehearsed struct {
	ID, Shadow, State, Verdict, Note string
	Paid                             int64
}

// Killed in the middle of a rehearsal whose buyers have paid, the next process closes the copy, gives everything back, and says so in
// the report and once in the trail; a further start finds nothing left to do. The sale itself is as it was.
func TestKilledInARehearsal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, dir)
	now := time.Now().UTC()
	if code, body := operate(s).call(http.MethodPost, "/admin/v1/sales", map[string]any{
		"id": "night", "title": "night", "startsAt": now.Add(time.Hour), "endsAt": now.Add(2 * time.Hour),
		"items": []map[string]any{{"sku": "sku-1", "title": "one", "price": 199, "currency": "EUR", "stock": 300, "limitPerUser": 1}},
	}); code != http.StatusCreated {
		t.Fatalf("create the sale: %d %s", code, body)
	}
	plan := map[string]any{"rate": 20, "seconds": 120, "pay": 0.9, "reason": "to be killed", "seed": 5}
	if code, body := operate(s).call(http.MethodPost, "/admin/v1/sales/night/rehearsals", plan); code != http.StatusAccepted {
		t.Fatalf("rehearse: %d %s", code, body)
	}
	reports := func() (all struct{ Items []rehearsed }) {
		code, body := operate(s).call(http.MethodGet, "/admin/v1/sales/night/rehearsals", nil)
		if code != http.StatusOK || json.Unmarshal(body, &all) != nil {
			t.Fatalf("list: %d %s", code, body)
		}
		return all
	}
	var one rehearsed
	if !s.poll(func() bool { one = reports().Items[0]; return one.Paid >= 5 || one.State == "failed" }) || one.State == "failed" {
		t.Fatalf("nobody pays: %+v", one)
	}
	s.kill()

	s = start(t, dir)
	var got []rehearsed
	if !s.poll(func() bool {
		got = reports().Items
		return len(got) == 1 && strings.Contains(got[0].Note, "everything that it had sold was taken back")
	}) {
		t.Fatalf("the rehearsal is told as %+v\n%s", got, tail(s.log.String()))
	}
	if got[0].ID != one.ID || got[0].State != "failed" || got[0].Verdict != "no-go" {
		t.Errorf("the rehearsal is told as %+v", got[0])
	}
	for _, id := range []string{one.Shadow, "night"} {
		var v struct{ Items []level }
		code, body := operate(s).call(http.MethodGet, "/admin/v1/stock?sale="+id, nil)
		if code != http.StatusOK || json.Unmarshal(body, &v) != nil || len(v.Items) != 1 || v.Items[0].Held+v.Items[0].Sold != 0 || v.Items[0].Available != 300 {
			t.Errorf("%s: %d %s", id, code, body)
		}
	}
	s.kill()

	s = start(t, dir)
	code, body := operate(s).call(http.MethodGet, "/admin/v1/audit?limit=200", nil)
	if n := strings.Count(string(body), `"sale.rehearsal.end"`); code != http.StatusOK || n != 1 {
		t.Errorf("the trail has the end %d times: %d %s", n, code, body)
	}
	if left := reports().Items; len(left) != 0 {
		t.Errorf("a further start tells of %+v", left)
	}
}
