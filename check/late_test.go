package check

import "testing"

// lateClaim is the claim that noa's late money made.
func lateClaim(m *made) row {
	for _, c := range m.files["claims"] {
		if c["user"] == "noa" && c["attempt"] != c["order"] {
			return c
		}
	}
	return nil
}

// lateViolations are ways to pay an expired order other than by one new claim of the same buyer for the same units.
var lateViolations = []planted{
	{"an order paid after it expired, without a new claim", func(m *made) {
		c := lateClaim(m)
		m.drop("claims", func(r row) bool { return r["attempt"] == c["attempt"] })
		m.drop("stock-ledger", func(r row) bool { return r["ref"] == c["attempt"] })
		m.shift("hat", "sold", "available", 1)
	}, []string{"I2", "I9"}},
	{"a late claim that was let go, and the order still paid", func(m *made) {
		c := lateClaim(m)
		c["state"] = "released"
		m.shift("hat", "sold", "available", 1)
		m.ledger("hat", "release", c["attempt"].(string), 1)
	}, []string{"I2", "I9"}},
	{"a late claim for an order that stays expired", func(m *made) {
		m.again(m.purchase("eve"))
	}, []string{"I2", "I9"}},
	{"an order that late money claimed for twice", func(m *made) { m.again(m.purchase("noa")) }, []string{"I9"}},
	{"a late claim beside a first one that is sold", func(m *made) {
		p := m.purchase("kim-0")
		m.again(p)
	}, []string{"I9", "I14"}},
	{"a late claim for somebody else", func(m *made) { lateClaim(m)["user"] = "eve" }, []string{"I14"}},
	{"a late claim that is an order as well", func(m *made) {
		c := lateClaim(m)
		o := row{}
		for k, v := range m.find("orders", "user", "noa") {
			o[k] = v
		}
		o["id"], o["key"], o["state"], o["version"] = c["attempt"], c["key"], "paid", 0
		m.add("orders", o)
		p := &purchased{id: c["attempt"].(string), order: o}
		o["state"] = ""
		m.step(p, "accepted", "")
		m.step(p, "pending_payment", "")
		m.step(p, "paid", "")
		m.add("payments", row{"id": "77", "order": p.id, "provider": "sandbox", "providerRef": "x", "state": "captured", "amount": o["amount"], "currency": "EUR", "captured": o["amount"], "refunded": 0})
	}, []string{"I4"}},
}

// Late money that waits for an operator is no violation, and is counted.
func TestLateMoneyThatWaits(t *testing.T) {
	t.Parallel()
	m, run := setup(t)
	p := m.find("payments", "order", m.find("orders", "user", "eve")["id"])
	p["state"], p["refunded"], p["late"], p["refunds"] = "captured", 0, true, []row{}
	rep := run()
	if rep.Verdict != Pass || rep.Figures["operatorCases"] != 1 {
		t.Errorf("verdict %s, %d cases: %+v", rep.Verdict, rep.Figures["operatorCases"], rep.Invariants)
	}
}
