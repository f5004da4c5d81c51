package sqlitestock

import (
	"hash/maphash"
	"math"
)

// holder is a user by 96 bits of hash with secret seeds, which stand for him: that two of a hundred million users are alike is less
// likely than one in a trillion. It keeps names of up to 128 bytes, and pointers, out of memory.
type holder [3]uint32

func (m *memory) holder(user string) holder {
	a, b := maphash.String(m.seeds[0], user), maphash.String(m.seeds[1], user)
	return holder{uint32(a), uint32(a >> 32), uint32(b)}
}

// tally counts by user, about 26 B each. What is none is not kept. A nil tally has nothing.
type tally struct {
	small map[holder]uint32
	large map[holder]int64 // what is too much for small
}

func newTally() *tally { return &tally{small: map[holder]uint32{}} }

func (t *tally) of(h holder) int64 {
	if t == nil {
		return 0
	}
	if n, ok := t.small[h]; ok {
		return int64(n)
	}
	return t.large[h]
}

// add adds n, which may be negative; what is left is at least none.
func (t *tally) add(h holder, n int64) {
	n += t.of(h)
	if n > 0 && n <= math.MaxUint32 {
		t.small[h] = uint32(n)
	} else {
		delete(t.small, h)
	}
	if n <= math.MaxUint32 {
		delete(t.large, h)
		return
	}
	if t.large == nil {
		t.large = map[holder]int64{}
	}
	t.large[h] = n
}
