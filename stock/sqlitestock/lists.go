package sqlitestock

import (
	"slices"
	"sort"

	"penstock/stock/driver"
)

// lists are the waiting lists of one sale in memory, without what only their rows need to know: about 200 B for each entry
// that waits, and 100 B for the key of each that ever did. Methods work on nil, which is a sale where nobody has waited.
type lists struct {
	keys map[[2]string]uint64  // user, key → row
	live map[[2]string]uint64  // sku, user → row of the entry that waits
	line map[string][]waitNode // sku → who waits, in order
}

type waitNode struct {
	seq      uint64
	quantity int64
	user     string
}

func (l *lists) len(sku string) int64 {
	if l == nil {
		return 0
	}
	return int64(len(l.line[sku]))
}

// place returns where in the line an entry with this number is, or would be.
func (l *lists) place(sku string, seq uint64) (i int, there bool) {
	if l == nil {
		return 0, false
	}
	line := l.line[sku]
	i = sort.Search(len(line), func(i int) bool { return line[i].seq >= seq })
	return i, i < len(line) && line[i].seq == seq
}

func (s *sale) addWaiter(user, key string, n waitNode, sku string, waits bool) {
	if s.lists == nil {
		s.lists = &lists{keys: map[[2]string]uint64{}, live: map[[2]string]uint64{}, line: map[string][]waitNode{}}
	}
	s.lists.keys[[2]string{user, key}] = n.seq
	if waits {
		s.lists.live[[2]string{sku, user}] = n.seq
		s.lists.line[sku] = append(s.lists.line[sku], n)
	}
}

// remove moves the shorter side, because most leave at the front.
func (l *lists) remove(sku string, seq uint64) {
	i, there := l.place(sku, seq)
	if !there {
		return
	}
	line := l.line[sku]
	delete(l.live, [2]string{sku, line[i].user})
	if i < len(line)/2 {
		copy(line[1:], line[:i])
		line[0] = waitNode{}
		l.line[sku] = line[1:]
		return
	}
	l.line[sku] = slices.Delete(line, i, i+1)
}

// loadWaiter takes a row of the journal into the lists. Rows come in order.
func (s *sale) loadWaiter(b *brief) {
	s.addWaiter(b.user, b.key, waitNode{uint64(b.seq), b.quantity, b.user}, b.sku, driver.WaitState(b.state) == driver.Waiting)
}

const linePage = 64

// next walks a list in memory; the writer may read it without the lock.
func (d *Driver) next(list driver.StockRef, behind uint64, most int64) []*driver.Waiter {
	s := d.mem.sales[list.Sale]
	if s == nil || s.lists == nil {
		return nil
	}
	line := s.lists.line[list.SKU]
	var page []*driver.Waiter
	for i, _ := s.lists.place(list.SKU, behind+1); i < len(line) && len(page) < linePage; i++ {
		n := &line[i]
		if n.quantity <= most {
			page = append(page, &driver.Waiter{
				Seq: n.seq, Key: driver.Key{Sale: list.Sale, User: n.user}, SKU: list.SKU, Quantity: n.quantity, State: driver.Waiting,
				Taken: s.taken[list.SKU].of(d.mem.holder(n.user)),
			})
		}
	}
	return page
}
