package line

import "math/bits"

// tree counts marks in front of a place: a Fenwick tree over places 0, 1, 2 …, which grows at its end.
type tree struct{ sum []int32 }

// grow makes room for n places.
func (t *tree) grow(n int) {
	for len(t.sum) < n {
		// A new node covers a range that ends at its place; it sums the smaller ranges in it.
		i := len(t.sum) + 1
		var s int32
		for j := i - 1; j > i-(i&-i); j -= j & -j {
			s += t.sum[j-1]
		}
		t.sum = append(t.sum, s)
	}
}

// add changes the mark of a place by d.
func (t *tree) add(place int, d int32) {
	for i := place + 1; i <= len(t.sum); i += i & -i {
		t.sum[i-1] += d
	}
}

// before counts the marks in front of a place.
func (t *tree) before(place int) int {
	n := int32(0)
	for i := min(place, len(t.sum)); i > 0; i -= i & -i {
		n += t.sum[i-1]
	}
	return int(n)
}

// nth returns the place of the n-th mark, counted from 0; false when there are fewer.
func (t *tree) nth(n int) (place int, ok bool) {
	at, left := 0, int32(n)
	for step := 1 << bits.Len(uint(len(t.sum))); step > 0; step >>= 1 {
		if next := at + step; next <= len(t.sum) && t.sum[next-1] <= left {
			at, left = next, left-t.sum[next-1]
		}
	}
	return at, at < len(t.sum)
}
