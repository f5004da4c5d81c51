package shed

import (
	"hash/maphash"
	"sync/atomic"
)

const (
	cells = 1 << 15
	// grades is how many degrees of heaviness are told apart.
	grades = 4
)

// usage estimates how many calls each caller has made lately, in fixed memory: every caller has a cell in each of two rows,
// and shares it with few others in one and with few different ones in the other. The smaller of the two is the estimate, so
// it is never too low. Halved each second.
type usage struct {
	seed maphash.Seed
	rows [2][cells]atomic.Uint32
}

// add counts a call and returns the estimate.
func (u *usage) add(who string) uint32 {
	h := maphash.String(u.seed, who)
	return min(u.rows[0][h%cells].Add(1), u.rows[1][h>>32%cells].Add(1))
}

func (u *usage) halve() {
	for r := range u.rows {
		for i := range u.rows[r] {
			c := &u.rows[r][i]
			for n := c.Load(); n > 0 && !c.CompareAndSwap(n, n/2); n = c.Load() {
			}
		}
	}
}

// grade is 0 for who calls now and then (up to 4 calls a second kept up), and higher for who does not.
func grade(n uint32) int {
	switch {
	case n <= 8:
		return 0
	case n <= 32:
		return 1
	case n <= 128:
		return 2
	default:
		return grades - 1
	}
}
