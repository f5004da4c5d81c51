package payment

import (
	"sync"
	"time"

	"penstock/errs"
	"penstock/internal/ident"
)

// idSource makes ids under the node number of the moment. Should two processes hold one number for a while, the primary key
// refuses the second of two equal ids, and its transaction runs again with another.
type idSource struct {
	node func() int

	mu  sync.Mutex
	of  int
	gen *ident.Generator
}

func newIDs(node func() int, after ident.ID) *idSource {
	return &idSource{node: node, gen: ident.NewGenerator(0, after)}
}

// next fails with [errs.ReducedCapacity] while the process has no node number.
func (s *idSource) next(now time.Time, slot int) (ident.ID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	node := s.node()
	if node < 0 || node > ident.MaxNode {
		return 0, errs.New(errs.ReducedCapacity, "this process has no node number now; nothing was executed")
	}
	if node != s.of {
		s.of = node
		s.gen.Use(node, 0)
	}
	return s.gen.Next(now, slot), nil
}
