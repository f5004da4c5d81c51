package check

import (
	"errors"
	"strings"

	"github.com/cespare/xxhash/v2"

	"penstock/check/ndjson"
	"penstock/internal/ident"
)

// balanceLine is one line of the export of balances: a transaction with its entries, or an account.
type balanceLine struct {
	record, id, kind, account, ref string
	owner                          []byte
	currency                       string
	slot, n, amount                int64
	balance, credit                int64
	entries                        []balanceEntry
}

type balanceEntry struct {
	account         string
	owner           []byte
	amount, balance int64
}

func (l *balanceLine) field(name []byte, v ndjson.Value) (err error) {
	switch string(name) {
	case "record":
		l.record = v.Text()
	case "id":
		l.id = v.Text()
	case "kind":
		l.kind = v.Text()
	case "account":
		l.account = v.Text()
	case "ref":
		l.ref = v.Text()
	case "owner":
		l.owner = v.Bytes()
	case "currency":
		l.currency = v.Text()
	case "slot":
		l.slot, err = v.Int()
	case "n":
		l.n, err = v.Int()
	case "amount":
		l.amount, err = v.Int()
	case "balance":
		l.balance, err = v.Int()
	case "credit":
		l.credit, err = v.Int()
	case "entries":
		err = ndjson.Elements(v, l.entry)
	}
	return err
}

func (l *balanceLine) entry(v ndjson.Value) error {
	var e balanceEntry
	err := ndjson.Fields(v, func(name []byte, v ndjson.Value) (err error) {
		switch string(name) {
		case "account":
			e.account = v.Text()
		case "owner":
			e.owner = v.Bytes()
		case "amount":
			e.amount, err = v.Int()
		case "balance":
			e.balance, err = v.Int()
		}
		return err
	})
	l.entries = append(l.entries, e)
	return err
}

// balances is what the export of balances adds up to.
type balances struct {
	sums map[uint64]int64 // by account
	last map[int64]int64  // number of the last transaction by slot
	paid map[ident.ID]int64
	back map[ident.ID]int64
	// taken is what transactions across services took, by the hash of the transaction.
	taken map[uint64]int64
	// parts are what branches of transactions put in and got back as refunds, by the hash of their reference.
	parts map[uint64]part
	// till are the payments that name the balance as their provider.
	till map[ident.ID]tillPayment
}

// part is money of a branch of a transaction across services: held or taken, less what was given back, and refunds.
type part struct{ in, back int64 }

type tillPayment struct {
	state              string
	captured, refunded int64
	part               uint64 // hash of the branch that has the money, or 0
}

func newBalances() balances {
	return balances{map[uint64]int64{}, map[int64]int64{}, map[ident.ID]int64{}, map[ident.ID]int64{}, map[uint64]int64{}, map[uint64]part{}, map[ident.ID]tillPayment{}}
}

// account hashes which account an entry is of.
func (l *balanceLine) hash(account string, owner []byte) uint64 {
	return mix(mix(uint64(l.slot), xxhash.Sum64String(account)), mix(xxhash.Sum64(owner), xxhash.Sum64String(l.currency)))
}

var errNoRecord = errors.New("the line is neither a transaction nor an account")

func (w *world) balance(line []byte) error {
	var l balanceLine
	if err := ndjson.Fields(line, l.field); err != nil {
		return err
	}
	w.tally.ran("I8b", 1)
	switch l.record {
	case "transaction":
		w.counts["balanceTransactions"]++
		w.moved(&l)
		return nil
	case "account":
		w.standing(&l)
		return nil
	}
	return errNoRecord
}

// moved checks that a transaction adds up and goes on where its accounts stood.
func (w *world) moved(l *balanceLine) {
	b := &w.money
	if l.n != b.last[l.slot]+1 {
		w.tally.bad("I8b", "transaction %d of book %d stands behind %d", l.n, l.slot, b.last[l.slot])
	}
	b.last[l.slot] = l.n
	var sum int64
	for _, e := range l.entries {
		h := l.hash(e.account, e.owner)
		sum += e.amount
		b.sums[h] += e.amount
		if b.sums[h] != e.balance {
			w.tally.bad("I8b", "transaction %s leaves account %s of %.40q at %d, its entry says %d", l.id, e.account, e.owner, b.sums[h], e.balance)
		}
	}
	if sum != 0 || len(l.entries) < 2 {
		w.tally.bad("I8b", "the %d entries of transaction %s add up to %d", len(l.entries), l.id, sum)
	}
	if tx, ok := strings.CutPrefix(l.ref, "tx/"); ok {
		b.branch(l, tx)
	}
	if id, err := ident.Parse(strings.TrimPrefix(l.ref, "payment/")); err == nil {
		switch l.kind {
		case "payment":
			b.paid[id] += l.amount
		case "refund":
			b.back[id] += l.amount
		}
	}
}

// branch adds up what a branch of a transaction did; tx is "<transaction>/<branch>".
func (b *balances) branch(l *balanceLine, tx string) {
	h := xxhash.Sum64String(l.ref)
	p := b.parts[h]
	switch l.kind {
	case "hold":
		p.in += l.amount
	case "give-back":
		p.in -= l.amount
	case "refund":
		p.back += l.amount
	case "take":
		name, _, _ := strings.Cut(tx, "/")
		b.taken[xxhash.Sum64String(name)] += l.amount
	}
	b.parts[h] = p
}

// standing checks an account against its entries and its limit.
func (w *world) standing(l *balanceLine) {
	h := l.hash(l.account, l.owner)
	if sum := w.money.sums[h]; sum != l.balance {
		w.tally.bad("I8b", "account %s of %.40q has %d %s, its entries add up to %d", l.account, l.owner, l.balance, l.currency, sum)
	}
	delete(w.money.sums, h)
	if l.account != "cash" && l.balance < -l.credit {
		w.tally.bad("I8b", "account %s of %.40q is at %d %s, its limit is %d", l.account, l.owner, l.balance, l.currency, -l.credit)
	}
}

// paidFromBalance remembers a payment that the ledger must know.
func (w *world) paidFromBalance(l *paymentLine) {
	if l.provider == "balance" && l.id != 0 {
		p := tillPayment{l.state, max(l.captured, 0), max(l.refunded, 0), 0}
		if strings.HasPrefix(l.ref, "tx/") {
			p.part = xxhash.Sum64String(l.ref)
		}
		w.money.till[l.id] = p
	}
}

// transactionOf hashes the transaction across services whose key won a claim ("·tx:<transaction>:<branch>", which no buyer can send), or returns 0.
func transactionOf(key string) uint64 {
	rest, ok := strings.CutPrefix(key, "·tx:")
	name, _, whole := strings.Cut(rest, ":")
	if !ok || !whole {
		return 0
	}
	return xxhash.Sum64String(name)
}

// judgeTransaction judges an order without a payment that a transaction across services paid: what a balance paid for it is at
// most its amount. Without a balance the money is with a participant that is no part of this shop.
func (w *world) judgeTransaction(p *purchase) {
	took, ours := w.money.taken[p.tx]
	if !ours {
		w.counts["paidByTransaction"]++
	} else if took > p.amount {
		w.tally.bad("I8", "order %v costs %d, its transaction took %d from a balance", p.id, p.amount, took)
	}
}

// finishBalances compares the ledger with the payments that were made from it.
func (w *world) finishBalances() {
	b := &w.money
	for _, sum := range b.sums {
		w.tally.bad("I8b", "an account that entries move, to %d, is not there", sum)
	}
	if !w.drained {
		return
	}
	for id, p := range b.till {
		w.tally.ran("I8b", 1)
		if p.part != 0 {
			w.judgePart(id, p)
			continue
		}
		if p.captured != b.paid[id] || p.refunded != b.back[id] {
			w.tally.bad("I8b", "payment %v is %s with %d captured and %d given back, the ledger says %d and %d", id, p.state, p.captured, p.refunded, b.paid[id], b.back[id])
		}
		delete(b.paid, id)
		delete(b.back, id)
	}
	for id, amount := range b.paid {
		w.tally.bad("I8b", "the ledger took %d for payment %v, which is not there", amount, id)
	}
	for id, amount := range b.back {
		w.tally.bad("I8b", "the ledger gave %d back for payment %v, which is not there", amount, id)
	}
	for _, p := range b.parts {
		if p.back != 0 {
			w.tally.bad("I8b", "the ledger gave %d back of what a transaction took, for no payment", p.back)
		}
	}
}

// judgePart compares a payment that a transaction made with the branch that has its money. One that failed has none: whatever
// the branch took is for something else.
func (w *world) judgePart(id ident.ID, p tillPayment) {
	has := w.money.parts[p.part]
	if p.captured == 0 && p.refunded == 0 {
		return
	}
	if p.captured != has.in || p.refunded != has.back {
		w.tally.bad("I8b", "payment %v is %s with %d captured and %d given back, the ledger of its transaction says %d and %d", id, p.state, p.captured, p.refunded, has.in, has.back)
	}
	delete(w.money.parts, p.part)
}
