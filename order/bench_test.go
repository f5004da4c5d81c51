package order

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	bus "penstock/bus/driver"
)

// BenchmarkHandle writes new orders from poll batches of 500 messages into the eight databases. ns/order is wall time with
// syncs; cpu-ns/order is processor time of the process.
func BenchmarkHandle(b *testing.B) {
	const poll = 500
	s := setup(b, Options{})
	msgs := make([]bus.Message, 0, b.N*poll)
	for i := range b.N * poll {
		s.claims.win(fmt.Sprintf("buyer-%07d", i))
		if i%200 == 0 {
			s.clk.Advance(time.Millisecond)
		}
	}
	msgs = append(msgs, s.claims.messages()...)
	b.ReportAllocs()
	b.ResetTimer()
	cpu := cpuTime(b)
	for i := range b.N {
		s.handle(msgs[i*poll : (i+1)*poll]...)
	}
	b.StopTimer()
	rows := float64(b.N * poll)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/rows, "ns/order")
	b.ReportMetric(float64(cpuTime(b)-cpu)/rows, "cpu-ns/order")
}

func cpuTime(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
