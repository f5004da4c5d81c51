package check

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"penstock/check/ndjson"
	"penstock/internal/ident"
)

// orderLine is one line of the orders export.
type orderLine struct {
	id                                       ident.ID
	user, sale, key, currency, state, table  string
	items                                    ndjson.Value
	amount, refunded, version, payBefore, db int64
}

func (o *orderLine) field(name []byte, v ndjson.Value) (err error) {
	switch string(name) {
	case "id":
		o.id, err = ident.Parse(v.Text())
	case "user":
		o.user = v.Text()
	case "sale":
		o.sale = v.Text()
	case "key":
		o.key = v.Text()
	case "currency":
		o.currency = v.Text()
	case "state":
		o.state = v.Text()
	case "table":
		o.table = v.Text()
	case "items":
		o.items = v
	case "amount":
		o.amount, err = v.Int()
	case "refundedAmount", "refunded":
		o.refunded, err = v.Int()
	case "version":
		o.version, err = v.Int()
	case "payBefore":
		o.payBefore, err = v.Nanos()
	case "shard":
		o.db, err = v.Int()
	}
	return err
}

func (w *world) order(line []byte) error {
	o := orderLine{refunded: -1}
	if err := ndjson.Fields(line, o.field); err != nil {
		return err
	}
	if o.id == 0 {
		return errNoID
	}
	state, ok := orderStates[o.state]
	if !ok || state == orderNone {
		return fmt.Errorf("order %v has state %q", o.id, o.state)
	}
	if o.db < 0 {
		return nil // read from its claim: its row is not there yet
	}
	w.counts["orders"]++
	p, _ := w.buys.get(o.id)
	w.place(&o, p)
	if p.orders < 255 {
		p.orders++
	}
	if p.orders > 1 {
		return nil
	}
	p.order, p.version, p.amount, p.givenBack, p.payBefore = state, int32(o.version), o.amount, o.refunded, o.payBefore
	if key := scoped(o.sale, []byte(o.user), []byte(o.key)); p.hasClaim && key != p.key {
		w.tally.bad("I4", "order %v is not its claim's: user or key differ", o.id)
	}
	return w.lines(&o, p)
}

// lines adds up what the order's items cost.
func (w *world) lines(o *orderLine, p *purchase) error {
	var total int64
	good := true
	err := ndjson.Elements(o.items, func(item ndjson.Value) error {
		var sku string
		var quantity, price int64
		err := ndjson.Fields(item, func(name []byte, v ndjson.Value) (err error) {
			switch string(name) {
			case "sku":
				sku = v.Text()
			case "quantity":
				quantity, err = v.Int()
			case "price":
				price, err = v.Int()
			}
			return err
		})
		if err != nil {
			return err
		}
		at := w.shelfAt(o.sale, sku)
		p.ordered += lineHash(at, quantity)
		sh := w.shelves[at]
		if sh.sold && (price != sh.price || o.currency != sh.currency) {
			w.tally.bad("I8", "order %v has %s at %d %s, the sale says %d %s", o.id, sku, price, o.currency, sh.price, sh.currency)
		}
		high, low := bits.Mul64(uint64(price), uint64(quantity))
		good = good && price >= 0 && quantity > 0 && high == 0 && low < 1<<62
		total += int64(low)
		return nil
	})
	if err != nil {
		return err
	}
	w.tally.ran("I8", 1)
	if !good || o.amount != total || o.amount < 0 {
		w.tally.bad("I8", "order %v costs %d, its items add up to %d", o.id, o.amount, total)
	}
	return nil
}

// placement is where the orders of a slot were seen first.
type placement struct {
	seen bool
	db   int64
	tab  int
}

const tablesPerDatabase = 32

// place checks that an order is where its id says, and nowhere else.
func (w *world) place(o *orderLine, p *purchase) {
	w.tally.ran("I20", 1)
	w.perDB[o.db]++
	if p.orders > 0 {
		w.tally.bad("I20", "order %v is in more than one place, one of them database %d table %s", o.id, o.db, o.table)
	}
	tab, err := tableNumber(o.table, o.db)
	if err != nil {
		w.tally.bad("I20", "order %v: table %q is not a table", o.id, o.table)
		return
	}
	slot := o.id.Slot()
	if w.opt.Route != nil {
		if db, t := w.opt.Route(slot); int64(db) != o.db || t != tab {
			w.tally.bad("I20", "order %v is in database %d table %d, its route is database %d table %d", o.id, o.db, tab, db, t)
		}
		return
	}
	switch first := &w.slots[slot]; {
	case !first.seen:
		*first = placement{true, o.db, tab}
	case first.db != o.db || first.tab != tab:
		w.tally.bad("I20", "order %v is in database %d table %d, others of slot %d are in database %d table %d", o.id, o.db, tab, slot, first.db, first.tab)
	}
}

// tableNumber returns the number of a table within its database; tables are named by it, or orders_ and the number among all.
func tableNumber(name string, db int64) (int, error) {
	n, err := strconv.Atoi(strings.TrimPrefix(name, "orders_"))
	if err == nil && strings.HasPrefix(name, "orders_") {
		n -= int(db) * tablesPerDatabase
	}
	return n, err
}
