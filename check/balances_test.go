package check

import (
	"fmt"
	"testing"
)

// ledgerOfBalances lets two purchases be paid from one balance, which everything happens to.
func (m *made) ledgerOfBalances() {
	const back = 100
	paidBy := func(user string) (payment, order row) {
		order = m.find("orders", "user", user)
		payment = m.find("payments", "order", order["id"])
		payment["provider"] = "balance"
		return payment, order
	}
	pay, _ := paidBy("kim-0")
	returned, order := paidBy("kim-1")
	returned["refunded"], order["refundedAmount"] = back, back
	returned["refunds"] = []row{{"id": "5002", "amount": back, "state": "refunded", "asked": true}}
	id, other := fmt.Sprint("payment/", pay["id"]), fmt.Sprint("payment/", returned["id"])
	at := map[string]int{}
	for n, t := range []struct {
		kind, from, to, ref string
		amount              int
	}{
		{"top-up", "cash", "user", "", 3 * price}, {"payment", "user", "revenue", id, price}, {"payment", "user", "revenue", other, price},
		{"refund", "revenue", "user", other, back}, {"hold", "user", "held", "tx/1", price}, {"take", "held", "revenue", "tx/1", price},
	} {
		at[t.from] -= t.amount
		at[t.to] += t.amount
		side := func(account string, amount int) row {
			return row{"account": account, "owner": ownerOf(account), "amount": amount, "balance": at[account]}
		}
		m.add("balances", row{"record": "transaction", "id": fmt.Sprint("7-", n+1), "slot": 7, "n": n + 1, "kind": t.kind, "user": "ute", "currency": "EUR",
			"amount": t.amount, "ref": t.ref, "entries": []row{side(t.from, -t.amount), side(t.to, t.amount)}})
	}
	for _, account := range []string{"cash", "revenue", "held", "user"} {
		m.add("balances", row{"record": "account", "slot": 7, "account": account, "owner": ownerOf(account), "currency": "EUR", "balance": at[account], "credit": 0})
	}
}

func ownerOf(account string) string {
	if account == "user" || account == "held" {
		return "ute"
	}
	return ""
}

// entry is a side of the nth transaction of the ledger of balances.
func (m *made) entry(n, side int) row { return m.files["balances"][n-1]["entries"].([]row)[side] }

var balanceViolations = []planted{
	{"an account that is not the sum of its entries", func(m *made) { m.find("balances", "account", "revenue")["balance"] = 1 }, []string{"I8b"}},
	{"a transaction of one side", func(m *made) {
		t := m.files["balances"][0]
		t["entries"] = t["entries"].([]row)[1:]
		m.find("balances", "account", "cash")["balance"] = 0
	}, []string{"I8b"}},
	{"a transaction whose sides differ", func(m *made) {
		m.entry(1, 0)["amount"], m.entry(1, 0)["balance"] = -1, -1
		m.find("balances", "account", "cash")["balance"] = -1
	}, []string{"I8b"}},
	{"a balance below its limit", func(m *made) {
		m.add("balances", row{"record": "transaction", "id": "8-1", "slot": 8, "n": 1, "kind": "withdrawal", "user": "ann", "currency": "EUR", "amount": 60, "entries": []row{
			{"account": "user", "owner": "ann", "amount": -60, "balance": -60}, {"account": "cash", "owner": "", "amount": 60, "balance": 60}}})
		m.add("balances", row{"record": "account", "slot": 8, "account": "user", "owner": "ann", "currency": "EUR", "balance": -60, "credit": 59})
		m.add("balances", row{"record": "account", "slot": 8, "account": "cash", "owner": "", "currency": "EUR", "balance": 60, "credit": 0})
	}, []string{"I8b"}},
	{"an account that is gone", func(m *made) { m.drop("balances", func(r row) bool { return r["account"] == "held" }) }, []string{"I8b"}},
	{"a transaction that is gone", func(m *made) { m.drop("balances", func(r row) bool { return r["kind"] == "refund" }) }, []string{"I8b"}},
	{"an entry that leaves another balance", func(m *made) { m.entry(2, 1)["balance"] = 7 }, []string{"I8b"}},
	{"a payment from a balance that the ledger does not know", func(m *made) { m.files["balances"][1]["ref"] = "" }, []string{"I8b"}},
	{"money taken for a payment that is not there", func(m *made) { m.files["balances"][5]["kind"], m.files["balances"][5]["ref"] = "payment", "payment/99" }, []string{"I8b"}},
}

// An order without a payment is paid when its claim is a transaction's; more than its amount from a balance is a violation.
func TestPaidByTransaction(t *testing.T) {
	t.Parallel()
	for took, want := range map[int]string{price: Pass, price + 1: Fail, 0: Pass} {
		m, run := setup(t)
		p := m.win("vic", "·tx:9:stock", "hat", 1)
		m.shift(p.sku, "held", "sold", 1)
		m.ledger(p.sku, "sell", p.id, 1)
		p.claim["state"] = "sold"
		m.step(p, "paid", "paid")
		if took > 0 {
			m.add("balances", row{"record": "transaction", "id": "9-1", "slot": 9, "n": 1, "kind": "take", "ref": "tx/9/balance", "currency": "EUR", "amount": took, "entries": []row{
				{"account": "cash", "owner": "", "amount": -took, "balance": -took}, {"account": "revenue", "owner": "", "amount": took, "balance": took}}})
			m.add("balances", row{"record": "account", "slot": 9, "account": "cash", "owner": "", "currency": "EUR", "balance": -took, "credit": 0})
			m.add("balances", row{"record": "account", "slot": 9, "account": "revenue", "owner": "", "currency": "EUR", "balance": took, "credit": 0})
		}
		rep := run()
		if rep.Verdict != want || (rep.Figures["paidByTransaction"] == 1) != (took == 0) {
			t.Errorf("%d from a balance: %s", took, rep.Text())
		}
	}
}
