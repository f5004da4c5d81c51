package check

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"penstock/check/history"
	"penstock/internal/clock"
)

// setup returns a world and a function that checks it as it is then.
func setup(t *testing.T) (*made, func() Report) {
	t.Helper()
	m, dir := make1(t), t.TempDir()
	earlier := filepath.Join(dir, "earlier.ndjson")
	writeRows(t, earlier, m.files["audit"])
	return m, func() Report {
		t.Helper()
		log := m.save(dir)
		src := Dir(dir)
		src.Files = []File{{Path: "stock.db", Wrong: m.damage}}
		rep, err := Run(t.Context(), src, Options{History: log, EarlierAudit: earlier, Route: testRoute, Clock: clock.NewFake(opening)})
		if err != nil {
			t.Fatal(err)
		}
		return rep
	}
}

// In a consistent world every invariant is judged and holds.
func TestConsistentWorldPasses(t *testing.T) {
	t.Parallel()
	_, run := setup(t)
	rep := run()
	for _, v := range rep.Invariants {
		if v.Verdict != Pass || v.Checked == 0 || v.Violations != 0 {
			t.Errorf("%s %s: %s, %s %v %s", v.ID, v.Name, v.Verdict, v.Figures(), v.Examples, v.Note)
		}
	}
	if rep.Verdict != Pass || !rep.Drained {
		t.Errorf("verdict %s, notes %v", rep.Verdict, rep.Notes)
	}
}

// planted is a violation and the invariants that must see it, and no others.
type planted struct {
	name string
	do   func(m *made)
	want []string
}

func set(name, field string, value any, to string, v any) func(*made) {
	return func(m *made) { m.find(name, field, value)[to] = v }
}

var stockViolations = []planted{
	{"a unit held twice over", func(m *made) { m.win("zoe", "z", "cup", 1) }, []string{"I1"}},
	{"a stock row that does not add up", set("stock", "sku", "hat", "available", 8), []string{"I2"}},
	{"a sale that the ledger does not know", func(m *made) {
		m.drop("stock-ledger", func(r row) bool { return r["kind"] == "sell" && r["sku"] == "cup" })
	}, []string{"I2"}},
	{"a claim that says sold, an order that waits", func(m *made) {
		m.find("claims", "user", "fay")["state"] = "sold"
		m.shift("cup", "held", "sold", 2)
		m.ledger("cup", "sell", m.find("claims", "user", "fay")["order"].(string), 2)
	}, []string{"I2"}},
	{"a claim that is gone, its ledger is not", func(m *made) {
		id := m.find("claims", "user", "ann")["order"]
		m.drop("claims", func(r row) bool { return r["order"] == id })
		for _, r := range m.files["stock-ledger"] {
			if r["ref"] == id && r["kind"] == "sell" {
				r["ref"] = "0"
			}
		}
		m.drop("stock-ledger", func(r row) bool { return r["ref"] == id })
	}, []string{"I2", "I4"}},
	{"a claim without a ledger entry", func(m *made) {
		id := m.find("claims", "user", "fay")["order"]
		m.drop("stock-ledger", func(r row) bool { return r["ref"] == id })
	}, []string{"I2"}},
	{"two cups for a user who may have one", func(m *made) {
		m.find("sales", "id", "s1")["items"].([]row)[0]["limitPerUser"] = 1
	}, []string{"I7"}},
	{"a user whose name comes in two Unicode forms", func(m *made) {
		m.find("sales", "id", "s1")["items"].([]row)[1]["limitPerUser"] = 3
		m.win("Zo\u00eb", "k1", "hat", 2)
		m.win("Zoe\u0308", "k2", "hat", 2)
	}, []string{"I7"}},
	{"a sequence number used twice", func(m *made) {
		rows := m.files["stock-ledger"]
		rows[5]["seq"] = rows[4]["seq"]
	}, []string{"I13"}},
	{"a decision that overtakes an earlier answer", func(m *made) {
		ann, kim := m.find("claims", "user", "ann"), m.find("claims", "user", "kim-2")
		hold := func(id any) row {
			for _, r := range m.files["stock-ledger"] {
				if r["ref"] == id && r["kind"] == "hold" {
					return r
				}
			}
			return nil
		}
		a, b := hold(ann["order"]), hold(kim["order"])
		for _, f := range []string{"sku", "ref", "delta"} {
			a[f], b[f] = b[f], a[f]
		}
	}, []string{"I1", "I13"}},
	{"a hold before the start", func(m *made) {
		m.find("sales", "id", "s1")["startsAt"] = opening.Add(time.Second / 10)
		m.files["audit"][0]["after"] = row{}
	}, []string{"I14", "I22"}},
	{"a hold after the end", set("sales", "id", "s1", "endsAt", opening.Add(time.Second)), []string{"I14"}},
	{"a sale after the release was due", func(m *made) {
		claim := m.find("claims", "user", "ann")
		order := m.find("orders", "user", "ann")
		claim["payBefore"], order["payBefore"] = opening.Add(-grace), opening.Add(-grace)
	}, []string{"I14"}},
}

var orderViolations = []planted{
	{"a claim without an order", func(m *made) {
		id := m.find("orders", "user", "fay")["id"]
		m.drop("orders", func(r row) bool { return r["id"] == id })
		m.drop("order-events", func(r row) bool { return r["order"] == id })
	}, []string{"I4", "I12"}},
	{"an order without a claim", func(m *made) {
		db, table := testRoute(7)
		id := m.ids.Next(m.now, 7).String()
		p := &purchased{id: id, order: m.add("orders", row{"id": id, "user": "x", "sale": "s1", "key": "x", "items": []row{{"sku": "hat", "quantity": 1, "price": price}},
			"amount": price, "currency": "EUR", "state": "", "version": 0, "shard": db, "table": table})}
		m.step(p, "accepted", "")
	}, []string{"I4"}},
	{"two orders for one key", func(m *made) { m.win("fay", "k1", "hat", 1) }, []string{"I4"}},
	{"an order for something else", func(m *made) {
		m.find("orders", "user", "fay")["items"] = []row{{"sku": "hat", "quantity": 2, "price": price}}
	}, []string{"I4"}},
	{"an order of somebody else", set("orders", "user", "fay", "user", "ann"), []string{"I4"}},
	{"an amount that is not price times quantity", set("orders", "user", "fay", "amount", 999), []string{"I4", "I8"}},
	{"a price that the sale does not have", func(m *made) {
		o := m.find("orders", "user", "cem")
		o["items"], o["amount"] = []row{{"sku": "hat", "quantity": 1, "price": 1}}, 1
		m.find("payments", "order", o["id"])["amount"] = 1
		m.find("payments", "order", o["id"])["captured"] = 1
		m.find("payments", "order", o["id"])["refunded"] = 1
		o["refundedAmount"] = 1
		m.dropAmount("cem")
	}, []string{"I8"}},
	{"a paid order without money", func(m *made) {
		id := m.find("orders", "user", "ann")["id"]
		m.drop("payments", func(r row) bool { return r["order"] == id })
	}, []string{"I8"}},
	{"late money that was kept", func(m *made) {
		p := m.find("payments", "order", m.find("orders", "user", "eve")["id"])
		p["state"], p["refunded"] = "captured", 0
	}, []string{"I8"}},
	{"one transaction in two payments", func(m *made) {
		m.files["payments"][1]["providerRef"] = m.files["payments"][0]["providerRef"]
	}, []string{"I8"}},
	{"a gap in the events", func(m *made) {
		id := m.find("orders", "user", "ann")["id"]
		m.drop("order-events", func(r row) bool { return r["order"] == id && r["n"] == 2 })
	}, []string{"I9"}},
	{"an edge that is none", func(m *made) {
		id := m.find("orders", "user", "bob")["id"]
		for _, e := range m.files["order-events"] {
			if e["order"] == id && e["n"] == 4 {
				e["to"] = "accepted"
			}
		}
	}, []string{"I9"}},
	{"an order that is paid and released", func(m *made) {
		claim := m.find("claims", "user", "ann")
		claim["state"] = "released"
		m.shift("cup", "sold", "available", 2)
		m.ledger("cup", "release", claim["order"].(string), 2)
	}, []string{"I2", "I9"}},
	{"a dead letter without a reason", set("dead-letters", "id", "1", "reason", ""), []string{"I12"}},
	{"a dead letter without an origin", func(m *made) { delete(m.find("dead-letters", "id", "1"), "offset") }, []string{"I12"}},
	{"an order in a foreign table", func(m *made) {
		o := m.find("orders", "user", "fay")
		o["table"] = (o["table"].(int) + 1) % 32
	}, []string{"I20"}},
	{"an order in two tables", func(m *made) {
		again := row{}
		for k, v := range m.find("orders", "user", "fay") {
			again[k] = v
		}
		again["shard"] = (again["shard"].(int) + 1) % 8
		m.add("orders", again)
	}, []string{"I4", "I20"}},
	{"a changed audit row", set("audit", "act", "stock.add", "why", "nothing"), []string{"I22"}},
	{"a lost audit row", func(m *made) { m.drop("audit", func(r row) bool { return r["seq"] == 2 }) }, []string{"I22"}},
}

var buyerViolations = []planted{
	{"an acknowledged order that is gone", func(m *made) { m.forget("fay") }, []string{"I4"}},
	{"an acknowledgement of another order", func(m *made) {
		for i := range m.log {
			if m.log[i].User == "fay" && m.log[i].Order != "" {
				m.log[i].Order = m.find("orders", "user", "ann")["id"].(string)
			}
		}
	}, []string{"I4"}},
	{"a buyer refused while hats are free", func(m *made) {
		m.now = m.now.Add(time.Minute)
		m.refuse("leo", "k1", "hat", 1, 409, "stock-held")
	}, []string{"I3"}},
	{"an unknown that stays unknown", func(m *made) {
		m.say(history.Record{Phase: history.Send, User: "leo", Key: "k1", SKU: "cup", Qty: 1})
		m.ask("leo", "k1", history.Record{Status: 200, State: "unknown"})
	}, []string{"I5"}},
	{"an unknown said to be nothing, with an order", func(m *made) {
		for i := range m.log {
			if m.log[i].User == "gil" && m.log[i].Op == history.Ask && m.log[i].Phase == history.Recv {
				m.log[i].Status, m.log[i].State, m.log[i].Order, m.log[i].Problem = 404, "", "", "not-found"
			}
		}
	}, []string{"I5"}},
	{"a winner who is told later that he lost", func(m *made) {
		m.ask("gil", "k1", history.Record{Status: 200, State: "lost", Problem: "sold-out"})
	}, []string{"I5"}},
	{"a definite no that left an order", func(m *made) {
		m.refuse("leo", "k1", "hat", 1, 429, "quota-exceeded")
		m.win("leo", "k1", "hat", 1)
	}, []string{"I6"}},
}

// forget removes every trace of a user's purchase, as a lost commit would.
func (m *made) forget(user string) {
	c := m.find("claims", "user", user)
	id := c["order"]
	m.shift(c["sku"].(string), "held", "available", c["quantity"].(int))
	m.drop("claims", func(r row) bool { return r["order"] == id })
	m.drop("stock-ledger", func(r row) bool { return r["ref"] == id })
	m.drop("orders", func(r row) bool { return r["id"] == id })
	m.drop("order-events", func(r row) bool { return r["order"] == id })
	keep := m.log[:0]
	for _, r := range m.log {
		if r.User != "hal" { // who was rightly refused for the unit that is now free
			keep = append(keep, r)
		}
	}
	m.log = keep
}

// dropAmount makes a user's acknowledgement say nothing of the amount.
func (m *made) dropAmount(user string) {
	for i := range m.log {
		if m.log[i].User == user {
			m.log[i].Amount = 0
		}
	}
}

// Each planted violation is seen, by exactly the invariants it breaks.
func TestPlantedViolationsAreCaught(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, group := range [][]planted{stockViolations, orderViolations, balanceViolations, buyerViolations, lateViolations, handViolations} {
		for _, c := range group {
			for _, id := range c.want {
				seen[id] = true
			}
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				m, run := setup(t)
				c.do(m)
				rep := run()
				if d := cmp.Diff(c.want, rep.Failed()); d != "" || rep.Verdict != Fail {
					t.Errorf("verdict %s:\n%s%s", rep.Verdict, d, rep.Text())
				}
			})
		}
	}
	for _, v := range newTally().list {
		if !seen[v.ID] {
			t.Errorf("no violation of %s is planted", v.ID)
		}
	}
}
