package redislimit_test

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/redis/rueidis"

	"penstock/limit"
	"penstock/limit/redislimit"
)

// BenchmarkTake is one call by the presets (address, user, API) counted in Redis, with so many in flight. Beside the time is
// what of it the server was busy.
func BenchmarkTake(b *testing.B) {
	s, c := server(b)
	in := open(b, s.URL(), redislimit.Options{Deadline: patient.Deadline})
	rules := limit.Presets()
	for i := range rules {
		rules[i].Rate.Calls = limit.MaxCalls
	}
	one := set(b, in, rules...)
	for _, n := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("inflight=%d", n), func(b *testing.B) {
			before := cpu(b, c)
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
			b.ReportMetric((cpu(b, c)-before)*1e9/float64(b.N), "redis-cpu-ns/op")
		})
	}
}

// cpu is how many seconds the server has computed.
func cpu(b *testing.B, c rueidis.Client) (seconds float64) {
	b.Helper()
	text, err := c.Do(context.Background(), c.B().Info().Section("cpu").Build()).ToString()
	must(b, err)
	for line := range strings.Lines(text) {
		name, v, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "used_cpu_user" || name == "used_cpu_sys" {
			f, err := strconv.ParseFloat(v, 64)
			must(b, err)
			seconds += f
		}
	}
	return seconds
}
