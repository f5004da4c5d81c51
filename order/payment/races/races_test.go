package races

import (
	"os"
	"strconv"
	"testing"

	"penstock/errs"
	"penstock/internal/engines"
	"penstock/order"
	"penstock/order/payment"
)

// pairs is how many orders each kind of race has on an engine; RACES sets it for both.
func pairs(t *testing.T, usual int) int {
	t.Helper()
	text := os.Getenv("RACES")
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("RACES is %q: it is a number of pairs, such as 1000", text)
	}
	return n
}

// races are what may happen to one order at the same moment.
var races = map[string]func(*testing.T, stores, int){
	"pay or expire":            payOrExpire,
	"pay or expire, reclaimed": payOrExpireReclaimed,
	"pay or cancel":            payOrCancel,
	"refund or refund":         refundOrRefund,
	"ship or cancel":           shipOrCancel,
	"ship or return":           shipOrReturn,
}

// Whatever meets on one order on one machine, one side wins, and money, orders and stock agree to the unit.
func TestOnSQLite(t *testing.T) {
	t.Parallel()
	n := pairs(t, 200)
	for name, run := range races {
		t.Run(name, func(t *testing.T) { run(t, onSQLite(t), n) })
	}
}

// The same on a real server that several processes could share.
func TestOnMySQL(t *testing.T) {
	t.Parallel()
	n := pairs(t, 200)
	server := engines.MariaDB(t, "--max-connections=500", "--sync-binlog=0", "--innodb-flush-method=nosync") // what a power cut leaves is not looked at here
	for name, run := range races {
		t.Run(name, func(t *testing.T) { run(t, onMySQL(t, server.Database(t)), n) })
	}
}

func payOrExpire(t *testing.T, s stores, n int) {
	w := setup(t, s, int64(n), payment.LateRefund)
	all := w.win(n, "u")
	each(n, func(i int) {
		if a, b := race(func() error { return w.capture(all[i]) }, w.against(i, all[i], func() error { return w.expire(all[i]) })); a != nil || b != nil {
			t.Errorf("order %s: %v, %v", all[i].id, a, b)
		}
	})
	w.settled()
	ends := w.ends(all, order.Paid, order.Expired)
	if w.late[payment.LateRefunded] != ends[order.Expired] {
		t.Errorf("%d orders expired, %d late payments went back", ends[order.Expired], w.late[payment.LateRefunded])
	}
	t.Logf("ended %v", ends)
	w.judge()
}

// Half of the units are given to others as they come back, so that late money finds some and not others.
func payOrExpireReclaimed(t *testing.T, s stores, n int) {
	w := setup(t, s, int64(n), payment.LateReclaim)
	all := w.win(n, "u")
	each(n, func(i int) {
		race(func() error { return w.capture(all[i]) }, w.against(i, all[i], func() error {
			err := w.expire(all[i])
			if i%2 == 0 {
				w.take("other" + strconv.Itoa(i))
			}
			return err
		}))
	})
	w.settled()
	ends := w.ends(all, order.Paid, order.Expired)
	if w.late[payment.LateRefunded] != ends[order.Expired] {
		t.Errorf("%d orders ended expired, %d late payments went back", ends[order.Expired], w.late[payment.LateRefunded])
	}
	t.Logf("of %d: %d paid, %d of them late; %d late refunded", n, ends[order.Paid], w.late[payment.LateReclaimed], w.late[payment.LateRefunded])
	w.judge()
}

func payOrCancel(t *testing.T, s stores, n int) {
	w := setup(t, s, int64(n), payment.LateReclaim)
	all := w.win(n, "u")
	each(n, func(i int) {
		a, b := race(func() error { return w.capture(all[i]) }, w.against(i, all[i], func() error {
			_, err := w.orders.Cancel(t.Context(), all[i].user, all[i].id, all[i].user, "no", "")
			return err
		}))
		o := w.order(all[i].id)
		if a != nil || (b == nil) != (o.State == order.Cancelled) || b != nil && !errs.Is(b, errs.IllegalTransition) {
			t.Errorf("order %s is %s: %v, %v", o.ID, o.State, a, b)
		}
	})
	w.settled()
	t.Logf("ended %v", w.ends(all, order.Paid, order.Cancelled))
	if w.late[payment.LateReclaimed] != 0 {
		t.Errorf("late money claimed %d cancelled orders again", w.late[payment.LateReclaimed])
	}
	w.judge()
}

func refundOrRefund(t *testing.T, s stores, n int) {
	w := setup(t, s, int64(n), payment.LateReclaim)
	all := w.win(n, "u")
	each(n, func(i int) {
		if err := w.capture(all[i]); err != nil {
			t.Error(err)
		}
	})
	w.settled()
	each(n, func(i int) {
		// Either the whole twice, or two parts that are together more than the whole.
		amount := int64(price)
		if i%2 == 0 {
			amount = price/2 + 1
		}
		give := func(key string, back bool) func() error {
			return func() error {
				_, _, err := w.pay.Refund(t.Context(), payment.Refund{Order: all[i].id, User: all[i].user, Key: key, Amount: amount, ReturnStock: back})
				return err
			}
		}
		a, b := race(give("a", i%3 == 0), give("b", i%3 == 0))
		if (a == nil) == (b == nil) {
			t.Errorf("order %s: %v, %v", all[i].id, a, b)
		}
		for _, err := range []error{a, b} {
			if err != nil && !errs.Is(err, errs.RefundTooLarge) && !errs.Is(err, errs.IllegalTransition) {
				t.Errorf("order %s: %v", all[i].id, err)
			}
		}
		if o := w.order(all[i].id); o.Refunded != amount {
			t.Errorf("order %s says %d was refunded, not %d", o.ID, o.Refunded, amount)
		}
	})
	w.settled()
	w.checked()
}

func shipOrCancel(t *testing.T, s stores, n int) {
	w := setup(t, s, int64(n), payment.LateReclaim)
	all := w.win(n, "u")
	each(n, func(i int) {
		a, b := race(func() error {
			if err := w.capture(all[i]); err != nil {
				return err
			}
			_, err := w.orders.Fulfil(t.Context(), all[i].id, "op", "sent")
			return err
		}, w.against(i, all[i], func() error {
			_, err := w.orders.Cancel(t.Context(), "", all[i].id, "op", "no", "")
			return err
		}))
		o := w.order(all[i].id)
		if o.State == order.Paid { // the money was noted, and booked a moment later: too late to ship, and too early to cancel
			_, a = w.orders.Fulfil(t.Context(), all[i].id, "op", "sent")
			o = w.order(all[i].id)
		}
		if (a == nil) == (b == nil) || (a == nil) != (o.State == order.Fulfilled) || (b == nil) != (o.State == order.Cancelled) {
			t.Errorf("order %s is %s: %v, %v", o.ID, o.State, a, b)
		}
	})
	w.settled()
	t.Logf("ended %v", w.ends(all, order.Fulfilled, order.Cancelled))
	w.judge()
}

// Taking a paid order back wins over sending it, or comes after it; it is never sent after it was taken back.
func shipOrReturn(t *testing.T, s stores, n int) {
	n = (n + 4) / 5
	w := setup(t, s, int64(n), payment.LateReclaim)
	all := w.win(n, "u")
	each(n, func(i int) {
		if err := w.capture(all[i]); err != nil {
			t.Error(err)
			return
		}
		ship, back := race(func() error {
			_, err := w.orders.Fulfil(t.Context(), all[i].id, "op", "sent")
			return err
		}, func() error {
			_, _, err := w.pay.Refund(t.Context(), payment.Refund{Order: all[i].id, Key: "r", ReturnStock: true})
			return err
		})
		o := w.order(all[i].id)
		if back != nil || o.State != order.Refunded || (ship == nil) != (o.Version == 5) {
			t.Errorf("order %s is %s in version %d: %v, %v", o.ID, o.State, o.Version, ship, back)
		}
	})
	w.settled()
	w.ends(all, order.Refunded, order.Refunded)
	w.judge()
}
