package balance_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"penstock/balance"
	"penstock/internal/engines"
)

// BenchmarkPost makes movements of 64 callers, each of an account of its own, or all of one.
func BenchmarkPost(b *testing.B) {
	server := engines.MariaDB(b)
	for engine, on := range map[string]engine{"sqlite": onSQLite, "mariadb": onMySQL(server)} {
		for name, users := range map[string]int64{"users=1000": 1000, "users=1": 1} {
			b.Run(engine+"/"+name, func(b *testing.B) {
				ledger := on.open(b, on.place(b), nil)
				var n atomic.Int64
				b.SetParallelism(32)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						i := n.Add(1)
						m := move(balance.TopUp, fmt.Sprint("user ", i%users), 1)
						m.Once = fmt.Sprint(i)
						if _, _, err := ledger.Post(b.Context(), m); err != nil {
							b.Error(err)
						}
					}
				})
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "movements/s")
			})
		}
	}
}
