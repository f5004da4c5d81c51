package check

import "testing"

// A payment that a transaction across services made agrees with the branch that has its money, held or taken, and with what
// went back; money that went back without a payment, twice, or not at all is a violation.
func TestPaymentOfATransaction(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		want string
		edit func(take, back, pay row)
	}{
		"agrees":                 {Pass, func(_, _, _ row) {}},
		"still held":             {Pass, func(take, _, _ row) { take["kind"], take["ref"] = "top-up", "" }},
		"given back":             {Fail, func(take, _, _ row) { take["kind"] = "give-back" }},
		"refunded on one side":   {Fail, func(_, back, _ row) { back["ref"] = "" }},
		"another branch":         {Fail, func(_, _, pay row) { pay["providerRef"] = "tx/9/other" }},
		"nothing was ever held":  {Fail, func(_, _, pay row) { pay["providerRef"] = "tx/8/balance" }},
		"paid as another method": {Fail, func(_, _, pay row) { pay["provider"] = "sandbox" }},
	} {
		m, run := setup(t)
		p := m.win("vic", "·tx:9:stock", "hat", 1)
		m.pay(p, "captured")
		pay := m.find("payments", "order", p.id)
		pay["provider"], pay["providerRef"], pay["refunded"], p.order["refundedAmount"] = "balance", "tx/9/balance", 100, 100
		pay["refunds"] = []row{{"id": "1", "amount": 100, "state": "refunded", "asked": true}}
		at := map[string]int{}
		var made []row
		for n, x := range []struct {
			kind, from, to string
			amount         int
		}{{"hold", "cash", "held", price}, {"take", "held", "revenue", price}, {"refund", "revenue", "cash", 100}} {
			at[x.from] -= x.amount
			at[x.to] += x.amount
			made = append(made, m.add("balances", row{"record": "transaction", "id": string(rune('a' + n)), "slot": 9, "n": n + 1, "kind": x.kind, "ref": "tx/9/balance",
				"currency": "EUR", "amount": x.amount, "entries": []row{
					{"account": x.from, "owner": "", "amount": -x.amount, "balance": at[x.from]}, {"account": x.to, "owner": "", "amount": x.amount, "balance": at[x.to]}}}))
		}
		for _, account := range []string{"cash", "held", "revenue"} {
			m.add("balances", row{"record": "account", "slot": 9, "account": account, "owner": "", "currency": "EUR", "balance": at[account], "credit": 0})
		}
		c.edit(made[1], made[2], pay)
		if rep := run(); rep.Verdict != c.want {
			t.Errorf("%s: %s", name, rep.Text())
		}
	}
}
