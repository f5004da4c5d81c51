package redislimit_test

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"penstock/limit"
	"penstock/limit/redislimit"
)

// BenchmarkTake is one call by the presets (address, user, API) counted in Redis, with so many in flight.
func BenchmarkTake(b *testing.B) {
	s, _ := server(b)
	in := open(b, s.URL(), redislimit.Options{Deadline: patient.Deadline})
	rules := limit.Presets()
	for i := range rules {
		rules[i].Rate.Calls = limit.MaxCalls
	}
	one := set(b, in, rules...)
	for _, n := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("inflight=%d", n), func(b *testing.B) {
			var wg sync.WaitGroup
			for g := range n {
				wg.Go(func() {
					for i := g; i < b.N; i += n {
						who := limit.Subject{IP: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), User: fmt.Sprint("user-", i&0x3fff), API: "GET /v1/x"}
						if d := one.Take(context.Background(), who); !d.Allowed || d.Local {
							b.Error(d)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}
