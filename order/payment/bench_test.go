package payment_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"penstock/internal/engines"
	"penstock/order/payment"
)

// BenchmarkPay is an order paid from begin to settled, through the sandbox's HTTP and its signed callback, every step durable.
// The shop is in memory, so what is measured is payments, sandbox and the network between them.
func BenchmarkPay(b *testing.B) { benchmarkPay(b, onSQLite) }

// BenchmarkPayOnMySQL is the same over a durable MariaDB on this machine.
func BenchmarkPayOnMySQL(b *testing.B) { benchmarkPay(b, onMySQL(engines.MariaDB(b))) }

func benchmarkPay(b *testing.B, on engine) {
	w := setup(b, on, nil)
	var n atomic.Int64
	b.SetParallelism(32)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			user := fmt.Sprintf("u%d", n.Add(1))
			id := w.shop.sell(user)
			if _, _, err := w.pay.Load().Begin(b.Context(), payment.Begin{Order: id, User: user, Key: "k", Method: "sandbox"}); err != nil {
				b.Error(err)
			}
		}
	})
	for tick := time.NewTicker(time.Millisecond); !w.idle(); <-tick.C {
	}
	b.StopTimer()
	if o := w.money(); o != n.Load()*price {
		b.Errorf("the provider keeps %d for %d orders", o, n.Load())
	}
}
