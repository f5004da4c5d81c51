package limit_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"penstock/limit"
)

// BenchmarkSet is one call by the presets (address, user, and one API that all share) counted in this process, with so many in
// flight. The processor time beside it is what other work on the machine changes least.
func BenchmarkSet(b *testing.B) {
	rules := limit.Presets()
	for i := range rules {
		rules[i].Rate.Calls = limit.MaxCalls
	}
	users := names()
	for _, of := range []int{2, 3} {
		for _, n := range []int{1, 10, 100, 1000} {
			b.Run(fmt.Sprintf("rules=%d/inflight=%d", of, n), func(b *testing.B) {
				s, err := limit.NewSet(rules[:of], limit.SetOptions{})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				before := cpu(b)
				together(s, users, n, b.N)
				b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// BenchmarkFlat measures how many calls a second the presets count with 1, 10, 100 and 1000 in flight, one after the other in each
// round, and tells the median of the rounds for each and of its ratio to the one at 1.
func BenchmarkFlat(b *testing.B) {
	rules := limit.Presets()
	for i := range rules {
		rules[i].Rate.Calls = limit.MaxCalls
	}
	s, err := limit.NewSet(rules, limit.SetOptions{})
	if err != nil {
		b.Fatal(err)
	}
	users := names()
	inFlight := []int{1, 10, 100, 1000}
	rates, ratios := map[int][]float64{}, map[int][]float64{}
	for b.Loop() {
		for _, n := range inFlight {
			begun := time.Now()
			const calls = 200_000
			together(s, users, n, calls)
			rates[n] = append(rates[n], calls/time.Since(begun).Seconds())
			ratios[n] = append(ratios[n], rates[n][len(rates[n])-1]/rates[1][len(rates[1])-1])
		}
	}
	for _, n := range inFlight {
		b.ReportMetric(median(rates[n])/1e3, fmt.Sprintf("k/s@%d", n))
		b.ReportMetric(median(ratios[n]), fmt.Sprintf("ratio@%d", n))
	}
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

func names() []string {
	users := make([]string, 1<<14)
	for i := range users {
		users[i] = "user-" + strconv.Itoa(i)
	}
	return users
}

// together makes so many calls, n at a time, by many users from many addresses to one API.
func together(s *limit.Set, users []string, n, calls int) {
	var wg sync.WaitGroup
	for g := range n {
		wg.Go(func() {
			var into [4]limit.Quota
			for i := g; i < calls; i += n {
				k := i * 7919 & (len(users) - 1)
				s.Take(context.Background(), limit.Subject{IP: netip.AddrFrom4([4]byte{10, 0, byte(k >> 8), byte(k)}), User: users[k], API: "GET /v1/x", Into: into[:0]})
			}
		})
	}
	wg.Wait()
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
