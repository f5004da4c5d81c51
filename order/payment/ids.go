package payment

import (
	"sync"
	"time"

	"penstock/errs"
	"penstock/internal/ident"
)

// idSource makes ids under the node number of the moment. A process whose number changes goes on with later ids, so what it
// made under the old number stays its own, and the number's next holder starts after all ids that are stored. Should two
// holders overlap, the primary key refuses the second id and the transaction makes another.
type idSource struct {
	node func() int

	mu   sync.Mutex
	of   int
	gen  *ident.Generator
	last ident.ID
}

func newIDs(node func() int, after ident.ID) *idSource {
	return &idSource{node: node, of: -1, last: after}
}

// next fails with [errs.ReducedCapacity] while the process has no node number.
func (s *idSource) next(now time.Time, slot int) (ident.ID, error) {
	node := s.node()
	if node < 0 || node > ident.MaxNode {
		return 0, errs.New(errs.ReducedCapacity, "this process has no node number now; nothing was executed")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if node != s.of {
		s.of, s.gen = node, ident.NewGenerator(node, s.last)
	}
	id := s.gen.Next(now, slot)
	s.last = max(s.last, id)
	return id, nil
}
