package line

import (
	"math"
	"time"
)

// flow measures how fast the head of a line moves: entries called or passed over, by second, of the last quarter of a minute.
type flow struct {
	first  int64 // second of the first move
	second [flowSpan]int64
	count  [flowSpan]int
}

const flowSpan = 15

// passed counts one entry that left the head at a time in Unix milliseconds.
func (f *flow) passed(at int64) {
	s := at / 1000
	i := s % flowSpan
	if f.second[i] != s {
		f.second[i], f.count[i] = s, 0
	}
	f.count[i]++
	if f.first == 0 {
		f.first = s
	}
}

// pace is the mean per second over the whole seconds behind now, and how uncertain that mean is: two standard errors, or how far the
// newer half is from it, whichever is more.
func (f *flow) pace(now time.Time) (mean, error float64) {
	end := now.Unix()
	begin := max(end-flowSpan+1, f.first)
	n := float64(end - begin)
	if f.first == 0 || n < 1 {
		return 0, 0
	}
	var sum, squares, newer float64
	half := begin + (end-begin)/2
	for s := begin; s < end; s++ {
		if i := s % flowSpan; f.second[i] == s {
			c := float64(f.count[i])
			sum += c
			squares += c * c
			if s >= half {
				newer += c
			}
		}
	}
	mean = sum / n
	return mean, max(2*math.Sqrt(max(squares/n-mean*mean, 0)/n), math.Abs(newer/float64(end-half)-mean))
}

// estimate says how long the entry with so many ahead will wait, give or take error. The error is at least a quarter and two
// seconds, and half for a pace that nobody has seen yet. Both are negative when the head does not move.
func (f *flow) estimate(now, opens time.Time, ahead int, planned float64) (wait, error time.Duration) {
	begin := max(opens.Sub(now), 0)
	mean, uncertain := f.pace(now)
	switch {
	case f.first == 0 && planned > 0:
		mean, uncertain = planned, planned/2
	case mean == 0:
		return -1, -1
	}
	seconds := float64(ahead) / mean
	share := max(0.25, uncertain/mean)
	if seconds > maxWait.Seconds() {
		return -1, -1
	}
	wait = begin + time.Duration(seconds*float64(time.Second))
	return wait, max(2*time.Second, time.Duration(min(share*seconds, maxWait.Seconds())*float64(time.Second)))
}

const maxWait = 24 * time.Hour

// pace is how many entries may be called a second: more while decisions are quick and the limit is felt, fewer once they are slow.
type pace struct {
	rate    float64
	tokens  float64
	last    time.Time
	felt    bool // the limit kept somebody waiting since it was last set
	changed time.Time
}

// shown is the rate, 0 before the first round.
func (p *pace) shown() float64 { return p.rate }

// set adapts the rate once a second. slowest is the longest that decisions took lately.
func (p *pace) set(now time.Time, most float64, slowest, target time.Duration) {
	if p.rate == 0 {
		p.rate, p.last, p.changed, p.tokens = max(most, 1), now, now, 1
	}
	p.tokens = min(p.tokens+p.rate*max(now.Sub(p.last), 0).Seconds(), max(p.rate/2, 1))
	p.last = now
	if now.Sub(p.changed) >= time.Second {
		switch {
		case slowest > target:
			p.rate *= 0.7
		case p.felt:
			p.rate *= 1.5
		}
		p.changed, p.felt = now, false
	}
	p.rate = min(max(p.rate, 1), most)
}

// take takes up to n tokens.
func (p *pace) take(n int) int {
	got := min(n, int(p.tokens))
	if got < n {
		p.felt = true
	}
	p.tokens -= float64(max(got, 0))
	return max(got, 0)
}
