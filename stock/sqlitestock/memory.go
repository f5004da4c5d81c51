package sqlitestock

import (
	"container/heap"
	"hash/maphash"
	"math"
	"sort"

	"penstock/internal/ident"
	"penstock/stock/driver"
)

// memory is what the driver looks up without the database. It is changed only by the writer, under the driver's lock, and
// only after the commit.
type memory struct {
	seeds [2]maphash.Seed
	seq   uint64 // last number used in the journal
	last  ident.ID
	audit uint64

	sales   map[string]*sale
	lastNum int64
	byNum   map[int64]*sale
	levels  map[driver.StockRef]*driver.Stock

	spans  []span
	due    dueHeap
	unsent []unsent
}

// sale is one sale with its keys and what its users have taken; both are empty once the sale is archived.
type sale struct {
	num      int64
	doc      driver.Sale
	first    uint64
	last     uint64 // seq of the last win
	archived bool
	// keys finds the journal row of a key, counted from first, by a 32-bit hash; the row itself confirms it. Rows of keys that have
	// the same hash, one in 4,000 of a million, or that are too far behind first are in more.
	keys  map[uint32]uint32
	more  map[uint32][]uint64
	taken map[string]*tally    // sku → units held and sold by user
	noes  *tally               // final noes bound by user
	used  map[passKey]struct{} // passes used up
	lists *lists               // nil without a waiting list
}

func newSale(num int64, first uint64) *sale {
	return &sale{
		num: num, first: first, keys: map[uint32]uint32{}, more: map[uint32][]uint64{}, taken: map[string]*tally{}, noes: newTally(),
		used: map[passKey]struct{}{},
	}
}

// span says that the attempts with ids made in [fromMS, toMS] include those in journal rows [fromSeq, toSeq]. Ids are given
// in commit order and their time never goes back, so spans are sorted both ways and an id is found by bisection.
type span struct {
	fromMS, toMS   int64
	fromSeq, toSeq uint64
}

const spanRows = 512

type unsent struct{ user, seq uint64 }

func newMemory() *memory {
	return &memory{
		seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, sales: map[string]*sale{}, byNum: map[int64]*sale{},
		levels: map[driver.StockRef]*driver.Stock{},
	}
}

func (m *memory) hash(user, key string) uint64 {
	var h maphash.Hash
	h.SetSeed(m.seeds[0])
	h.WriteString(user)
	h.WriteByte(0xff) // in no UTF-8 text
	h.WriteString(key)
	return h.Sum64()
}

func (m *memory) addKey(s *sale, user, key string, seq uint64) {
	h, n := uint32(m.hash(user, key)), seq-s.first
	if _, shared := s.keys[h]; shared || n > math.MaxUint32 {
		s.more[h] = append(s.more[h], seq)
		return
	}
	s.keys[h] = uint32(n)
}

// candidates returns the rows that may belong to the key.
func (m *memory) candidates(s *sale, user, key string) (rows []uint64) {
	h := uint32(m.hash(user, key))
	if n, ok := s.keys[h]; ok {
		rows = append(rows, s.first+uint64(n))
	}
	return append(rows, s.more[h]...)
}

func (m *memory) taken(r driver.TakenRef) int64 {
	if s := m.sales[r.Sale]; s != nil {
		return s.taken[r.SKU].of(m.holder(r.User))
	}
	return 0
}

// sentAll reports whether every win of the sale has left by the bus.
func (m *memory) sentAll(s *sale) bool { return len(m.unsent) == 0 || s.last < m.unsent[0].seq }

func (m *memory) take(s *sale, sku, user string, n int64) {
	if s.taken == nil {
		return
	}
	if s.taken[sku] == nil {
		s.taken[sku] = newTally()
	}
	s.taken[sku].add(m.holder(user), n)
}

// passKey is a pass with its user by a 64-bit hash: only users of one entry could be taken for each other.
type passKey struct{ entry, user uint64 }

func (m *memory) usePass(s *sale, user string, entry uint64) {
	if entry != 0 {
		s.used[passKey{entry, m.hash(user, "")}] = struct{}{}
	}
}

// passUsed reports whether an answer was bound under the pass; a sale that is archived does not know.
func (m *memory) passUsed(p driver.PassRef) (used bool) {
	if s := m.sales[p.Sale]; s != nil {
		_, used = s.used[passKey{p.Entry, m.hash(p.User, "")}]
	}
	return used
}

func millis(id ident.ID) int64 { return id.Time().UnixMilli() }

// addID extends the last span or begins a new one.
func (m *memory) addID(id ident.ID, seq uint64) {
	ms := millis(id)
	if n := len(m.spans); n > 0 && seq-m.spans[n-1].fromSeq < spanRows {
		m.spans[n-1].toMS, m.spans[n-1].toSeq = ms, seq
	} else {
		m.spans = append(m.spans, span{ms, ms, seq, seq})
	}
	m.last = max(m.last, id)
}

// dropSpans forgets the rows in front of every sale that is not archived: orders of the others are found in closed_order.
func (m *memory) dropSpans() {
	first := m.seq
	for _, s := range m.sales {
		if !s.archived {
			first = min(first, s.first)
		}
	}
	gone := sort.Search(len(m.spans), func(i int) bool { return m.spans[i].toSeq > first })
	m.spans = append([]span(nil), m.spans[gone:]...)
}

// rowsOf returns the range of journal rows that an id may be in.
func (m *memory) rowsOf(id ident.ID) (from, to uint64, ok bool) {
	ms := millis(id)
	i := sort.Search(len(m.spans), func(i int) bool { return m.spans[i].toMS >= ms })
	if i == len(m.spans) || m.spans[i].fromMS > ms {
		return 0, 0, false
	}
	from, to = m.spans[i].fromSeq, m.spans[i].toSeq
	for i++; i < len(m.spans) && m.spans[i].fromMS <= ms; i++ {
		to = m.spans[i].toSeq
	}
	return from, to, true
}

// dueHeap orders claims by the time of their release. Claims that have left held stay in it until they are looked at.
type dueHeap []due

type due struct {
	at  int64 // microseconds
	seq uint64
}

func (h dueHeap) Len() int { return len(h) }
func (h dueHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || (h[i].at == h[j].at && h[i].seq < h[j].seq)
}
func (h dueHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push and Pop make a heap.Interface; push and pop below spare the boxing.
func (h *dueHeap) Push(any) {}

// Pop is never called.
func (h *dueHeap) Pop() any { return nil }

func (m *memory) pushDue(at int64, seq uint64) {
	m.due = append(m.due, due{at, seq})
	heap.Fix(&m.due, len(m.due)-1)
}

func (m *memory) popDue() due {
	d, last := m.due[0], len(m.due)-1
	m.due[0] = m.due[last]
	if m.due = m.due[:last]; last > 0 {
		heap.Fix(&m.due, 0)
	}
	return d
}
