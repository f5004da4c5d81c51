package shed

import (
	"runtime/metrics"
	"time"
)

// schedulerDelay returns a function that says how long a goroutine was ready before it ran, at the 90th percentile since the
// last call. Whatever the work is, this is what grows when there is more of it than processors.
func schedulerDelay() func() time.Duration {
	sample := []metrics.Sample{{Name: "/sched/latencies:seconds"}}
	var before []uint64
	return func() time.Duration {
		metrics.Read(sample)
		if sample[0].Value.Kind() != metrics.KindFloat64Histogram {
			return 0
		}
		h := sample[0].Value.Float64Histogram()
		if before == nil {
			before = make([]uint64, len(h.Counts))
		}
		var total, seen uint64
		for i, n := range h.Counts {
			total += n - before[i]
		}
		delay := 0.0
		for i, n := range h.Counts {
			if seen += n - before[i]; seen*10 >= total*9 {
				delay = h.Buckets[i] // the lower bound: an idle machine is not under pressure
				break
			}
		}
		copy(before, h.Counts)
		return time.Duration(max(0, delay) * float64(time.Second))
	}
}
