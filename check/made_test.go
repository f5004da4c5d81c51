package check

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"penstock/check/history"
	"penstock/internal/ident"
)

// row is one line of an export, as JSON sees it.
type row = map[string]any

// made is a little world as the outside would see it: consistent until a test changes it.
type made struct {
	t       *testing.T
	now     time.Time
	ids     *ident.Generator
	seq     int
	nextRef int
	files   map[string][]row
	stock   map[string]row
	log     []history.Record
	calls   uint64
	damage  []string // of a database file
}

var opening = time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC)

const (
	price = 500
	grace = 30 * time.Second
)

// make1 builds a world in which every kind of purchase has happened once or more, with the history of its buyers.
func make1(t *testing.T) *made {
	m := &made{t: t, now: opening.Add(-time.Minute), ids: ident.NewGenerator(1, 0), files: map[string][]row{}, stock: map[string]row{}}
	for _, name := range Exports {
		m.files[name] = nil
	}
	m.add("sales", row{"id": "s1", "startsAt": opening, "endsAt": opening.Add(time.Hour), "graceSeconds": int(grace / time.Second), "items": []row{
		{"sku": "cup", "price": price, "currency": "EUR", "limitPerUser": 2},
		{"sku": "hat", "price": price, "currency": "EUR", "limitPerUser": 0},
	}})
	m.offer("cup", 6)
	m.offer("hat", 9)
	m.add("audit", row{"seq": 1, "at": m.now, "who": "op", "act": "sale.create", "object": "s1", "why": "launch", "after": row{"startsAt": opening}})
	m.add("audit", row{"seq": 2, "at": m.now, "who": "op", "act": "stock.add", "object": "s1", "why": "launch"})
	m.now = opening
	m.shop()
	return m
}

// shop runs the purchases: the cups sell out, hats remain.
func (m *made) shop() {
	paid := m.buy("ann", "k1", "cup", 2)
	m.pay(paid, "captured")
	done := m.buy("bob", "k1", "cup", 1)
	m.pay(done, "captured")
	m.step(done, "fulfilled", "shipped")
	back := m.buy("cem", "k1", "hat", 1)
	m.pay(back, "captured")
	m.refund(back)
	gone := m.buy("dan", "k1", "hat", 3)
	m.release(gone, "cancelled", "cancelled")
	late := m.buy("eve", "k1", "hat", 1)
	m.release(late, "expired", "expired")
	m.payment(late, "refunded")
	m.buy("fay", "k1", "cup", 2) // walks away
	last := m.buyUnknown("gil", "k1", "cup", 1)
	m.pay(last, "captured")
	m.now = m.now.Add(5 * time.Second)
	m.refuse("hal", "k1", "cup", 1, 409, "stock-held")
	m.refuse("ina", "k1", "hat", 1, 429, "quota-exceeded")
	m.unknownLost("jon", "k1", "cup", 1)
	for i := range 3 {
		m.pay(m.buy(fmt.Sprintf("kim-%d", i), "k1", "hat", 1), "captured")
	}
	m.queue()
	m.ledgerOfBalances()
	again := m.buy("noa", "k1", "hat", 1)
	m.release(again, "expired", "expired")
	m.revive(again)
	m.add("dead-letters", row{"id": "1", "topic": "stock", "partition": 0, "offset": 4, "key": "none", "reason": "poison", "attempts": 4, "failedAt": m.now})
}

func (m *made) add(name string, r row) row {
	m.files[name] = append(m.files[name], r)
	return r
}

func (m *made) tick() time.Time {
	m.now = m.now.Add(10 * time.Millisecond)
	return m.now
}

func (m *made) ledger(sku, kind, ref string, delta int) {
	m.seq++
	m.add("stock-ledger", row{"seq": m.seq, "sale": "s1", "sku": sku, "delta": delta, "kind": kind, "ref": ref, "at": m.tick()})
}

func (m *made) offer(sku string, n int) {
	m.stock[sku] = m.add("stock", row{"sale": "s1", "sku": sku, "offered": n, "available": n, "held": 0, "sold": 0, "withdrawn": 0, "version": 1})
	m.ledger(sku, "offer", "", n)
}

func (m *made) shift(sku, from, to string, n int) {
	m.stock[sku][from] = m.stock[sku][from].(int) - n
	m.stock[sku][to] = m.stock[sku][to].(int) + n
}

// purchased is the rows of one purchase.
type purchased struct {
	id, user, key, sku string
	quantity, amount   int
	claim, order       row
}

func (m *made) buy(user, key, sku string, n int) *purchased {
	m.say(history.Record{Phase: history.Send, User: user, Key: key, SKU: sku, Qty: int64(n)})
	p := m.win(user, key, sku, n)
	m.say(history.Record{Phase: history.Recv, User: user, Key: key, SKU: sku, Qty: int64(n), Status: 201, State: "won", Order: p.id, Amount: int64(p.amount)})
	return p
}

// buyUnknown is a purchase whose buyer got no answer, asked, and was told that he had won.
func (m *made) buyUnknown(user, key, sku string, n int) *purchased {
	m.say(history.Record{Phase: history.Send, User: user, Key: key, SKU: sku, Qty: int64(n)})
	p := m.win(user, key, sku, n)
	m.say(history.Record{Phase: history.Recv, User: user, Key: key, SKU: sku, Qty: int64(n)})
	m.ask(user, key, history.Record{Status: 200, State: "won", Order: p.id})
	return p
}

func (m *made) unknownLost(user, key, sku string, n int) {
	m.say(history.Record{Phase: history.Send, User: user, Key: key, SKU: sku, Qty: int64(n)})
	m.ask(user, key, history.Record{Status: 404, Problem: "not-found"})
}

func (m *made) refuse(user, key, sku string, n, status int, problem string) {
	m.say(history.Record{Phase: history.Send, User: user, Key: key, SKU: sku, Qty: int64(n)})
	m.say(history.Record{Phase: history.Recv, User: user, Key: key, SKU: sku, Qty: int64(n), Status: status, Problem: problem})
}

func (m *made) ask(user, key string, answer history.Record) {
	m.say(history.Record{Phase: history.Send, Op: history.Ask, User: user, Key: key})
	answer.Phase, answer.Op, answer.User, answer.Key = history.Recv, history.Ask, user, key
	m.say(answer)
}

func (m *made) say(r history.Record) {
	if r.Op == "" {
		r.Op = history.Buy
	}
	if r.Phase == history.Send {
		m.calls++
	}
	r.Sale, r.Call, r.TSend = "s1", m.calls, m.tick()
	if r.Phase == history.Recv {
		r.TRecv = r.TSend
	}
	m.log = append(m.log, r)
}

func (m *made) win(user, key, sku string, n int) *purchased {
	slot := ident.SlotOf(user)
	id := m.ids.Next(m.now, slot)
	p := &purchased{id: id.String(), user: user, key: key, sku: sku, quantity: n, amount: n * price}
	payBefore := m.now.Add(10 * time.Minute)
	m.shift(sku, "available", "held", n)
	m.ledger(sku, "hold", p.id, -n)
	p.claim = m.add("claims", row{"attempt": p.id, "order": p.id, "user": user, "sale": "s1", "sku": sku, "quantity": n, "price": price, "currency": "EUR", "key": key, "state": "held", "at": m.now, "payBefore": payBefore})
	db, table := testRoute(slot)
	p.order = m.add("orders", row{"id": p.id, "user": user, "sale": "s1", "key": key, "items": []row{{"sku": sku, "quantity": n, "price": price}},
		"amount": p.amount, "currency": "EUR", "state": "", "version": 0, "createdAt": m.now, "payBefore": payBefore, "shard": db, "table": table, "refundedAmount": 0})
	m.add("outbox", row{"id": "stock-" + p.id, "topic": "stock", "key": p.id, "type": "stock.held", "payload": row{"order": p.id, "amount": p.amount}})
	m.step(p, "accepted", "")
	m.step(p, "pending_payment", "")
	return p
}

func (m *made) step(p *purchased, to, why string) {
	n := p.order["version"].(int) + 1
	m.add("order-events", row{"order": p.id, "n": n, "at": m.tick(), "from": p.order["state"], "to": to, "why": why})
	p.order["version"], p.order["state"] = n, to
}

func (m *made) payment(p *purchased, state string) row {
	m.nextRef++
	refunded, refunds := 0, []row{}
	if state == "refunded" {
		refunded = p.amount
		refunds = append(refunds, row{"id": fmt.Sprint(5000 + m.nextRef), "amount": refunded, "state": "refunded", "asked": false})
	}
	return m.add("payments", row{"id": fmt.Sprint(1000 + m.nextRef), "order": p.id, "provider": "sandbox", "providerRef": fmt.Sprint("tx-", m.nextRef),
		"state": state, "amount": p.amount, "currency": "EUR", "captured": p.amount, "refunded": refunded, "at": m.tick(), "refunds": refunds})
}

func (m *made) pay(p *purchased, state string) {
	m.payment(p, state)
	m.shift(p.sku, "held", "sold", p.quantity)
	m.ledger(p.sku, "sell", p.id, p.quantity)
	p.claim["state"] = "sold"
	m.step(p, "paid", "captured")
}

func (m *made) release(p *purchased, state, why string) {
	m.shift(p.sku, "held", "available", p.quantity)
	m.ledger(p.sku, "release", p.id, p.quantity)
	p.claim["state"] = "released"
	m.step(p, state, why)
}

// again makes a claim for late money of an expired order, and sells it.
func (m *made) again(p *purchased) row {
	id := m.ids.Next(m.now, ident.SlotOf(p.user)).String()
	m.shift(p.sku, "available", "held", p.quantity)
	m.ledger(p.sku, "hold", id, -p.quantity)
	m.shift(p.sku, "held", "sold", p.quantity)
	m.ledger(p.sku, "sell", id, p.quantity)
	return m.add("claims", row{"attempt": id, "order": p.id, "user": p.user, "sale": "s1", "sku": p.sku, "quantity": p.quantity, "price": price, "currency": "EUR", "key": "·late:" + p.id + ":" + id,
		"state": "sold", "at": m.now, "payBefore": m.now.Add(10 * time.Minute)})
}

// revive pays an expired order by a claim that its late money made.
func (m *made) revive(p *purchased) {
	m.payment(p, "captured")
	m.again(p)
	m.step(p, "paid", "paid")
}

// purchase returns the rows of the user's first purchase.
func (m *made) purchase(user string) *purchased {
	o, c := m.find("orders", "user", user), m.find("claims", "user", user)
	return &purchased{id: o["id"].(string), user: user, key: "k1", sku: c["sku"].(string), quantity: c["quantity"].(int), amount: o["amount"].(int), claim: c, order: o}
}

func (m *made) refund(p *purchased) {
	m.shift(p.sku, "sold", "available", p.quantity)
	m.ledger(p.sku, "release", p.id, p.quantity)
	p.claim["state"] = "released"
	last := m.files["payments"][len(m.files["payments"])-1]
	last["state"], last["refunded"], p.order["refundedAmount"] = "refunded", p.amount, p.amount
	last["refunds"] = []row{{"id": "5000", "amount": 0, "state": "failed", "asked": true}, {"id": "5001", "amount": p.amount, "state": "refunded", "asked": true}}
	m.step(p, "refunded", "refunded")
}

func testRoute(slot int) (db, table int) { return slot % 256 / 32, slot % 32 }

// find returns the first row of an export whose field has the value.
func (m *made) find(name, field string, value any) row {
	m.t.Helper()
	for _, r := range m.files[name] {
		if r[field] == value {
			return r
		}
	}
	m.t.Fatalf("no %s with %s %v", name, field, value)
	return nil
}

// drop removes the rows of an export for which f is true, and insists that there was one.
func (m *made) drop(name string, f func(row) bool) {
	m.t.Helper()
	var keep []row
	for _, r := range m.files[name] {
		if !f(r) {
			keep = append(keep, r)
		}
	}
	if len(keep) == len(m.files[name]) {
		m.t.Fatalf("nothing to drop from %s", name)
	}
	m.files[name] = keep
}

// save writes the world and its history to files.
func (m *made) save(dir string) (historyPath string) {
	m.t.Helper()
	for name, rows := range m.files {
		writeRows(m.t, filepath.Join(dir, name+".ndjson"), rows)
	}
	historyPath = filepath.Join(dir, "history.ndjson")
	f, err := os.Create(historyPath)
	if err != nil {
		m.t.Fatal(err)
	}
	w := history.NewWriter(f)
	for i := range m.log {
		w.Write(&m.log[i])
	}
	if err := w.Flush(); err != nil {
		m.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		m.t.Fatal(err)
	}
	return historyPath
}

func writeRows(t *testing.T, path string, rows []row) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	out := bufio.NewWriter(f)
	enc := json.NewEncoder(out)
	for _, r := range rows {
		if err := enc.Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
