package limit_test

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"penstock/limit"
)

// BenchmarkSet is one call by the presets (address, user, and one API that all share) counted in this process, with so many in
// flight. The processor time beside it is what other work on the machine changes least.
func BenchmarkSet(b *testing.B) {
	rules := limit.Presets()
	for i := range rules {
		rules[i].Rate.Calls = limit.MaxCalls
	}
	users := make([]string, 1<<14)
	for i := range users {
		users[i] = "user-" + strconv.Itoa(i)
	}
	for _, of := range []int{2, 3} {
		for _, n := range []int{1, 10, 100, 1000} {
			b.Run(fmt.Sprintf("rules=%d/inflight=%d", of, n), func(b *testing.B) {
				s, err := limit.NewSet(rules[:of], limit.SetOptions{})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				before := cpu(b)
				var wg sync.WaitGroup
				for g := range n {
					wg.Go(func() {
						var into [4]limit.Quota
						for i := g; i < b.N; i += n {
							k := i * 7919 & (len(users) - 1)
							s.Take(context.Background(), limit.Subject{IP: netip.AddrFrom4([4]byte{10, 0, byte(k >> 8), byte(k)}), User: users[k], API: "GET /v1/x", Into: into[:0]})
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// cpu is the processor time of this process in nanoseconds.
func cpu(b *testing.B) int64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
