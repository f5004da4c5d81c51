package drivertest

import (
	"errors"
	"sync"

	"penstock/internal/fault"
	"penstock/order/driver"
)

var errBoom = errors.New("boom")

func (s *suite) badRow() {
	a, b, c := s.change(s.user), s.change(s.user), s.change(s.user)
	var points fault.Points
	points.Set("order.row", func(hit int) error {
		if hit == 2 {
			return errBoom
		}
		return nil
	})
	err := s.db(a).Write(s.ctx, &driver.Batch{Changes: []*driver.Change{a, b, c}, Fault: &points})
	if r, ok := errors.AsType[*driver.Refused](err); !ok || r.Index != 1 || !errors.Is(err, errBoom) {
		s.t.Errorf("the second row fails: %v", err)
	}
	s.expect(a, nil)
	s.expect(c, nil)
}

func (s *suite) badCommit() {
	a := s.change(s.user)
	var points fault.Points
	points.Set("order.commit", func(int) error { return errBoom })
	b := &driver.Batch{Changes: []*driver.Change{a}, Fault: &points}
	if err := s.db(a).Write(s.ctx, b); !errors.Is(err, errBoom) {
		s.t.Errorf("the commit fails: %v", err)
	}
	s.expect(a, nil)
	points.Set("order.commit", nil)
	s.write(b)
	want := s.want(a)
	s.expect(a, &want)
}

// storm has writers make and move the same orders, in different orders, each its own way. A driver of one process runs them
// one at a time, as its users do.
func (s *suite) storm() {
	const writers, orders, rounds = 4, 30, 8
	var seeds []*driver.Change
	for range orders {
		seeds = append(seeds, s.change(s.user))
	}
	var mu sync.Mutex // Write calls of one process run one at a time; other processes are the driver's own test
	var wg sync.WaitGroup
	made := make([]int, orders)
	for w := range writers {
		wg.Go(func() {
			for r := range rounds {
				b := &driver.Batch{Next: func(_ int, now driver.Current) (driver.Update, error) {
					return driver.Update{Refunded: now.Refunded + 1}, nil
				}}
				for i := range seeds {
					c := *seeds[(i*7+w*11+r)%orders]
					c.Exist = false
					b.Changes = append(b.Changes, &c)
				}
				mu.Lock()
				err := s.db(seeds[0]).Write(s.ctx, b)
				for i, c := range b.Changes {
					if c.Made {
						made[(i*7+w*11+r)%orders]++
					}
				}
				mu.Unlock()
				if err != nil {
					s.t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i, c := range seeds {
		want := s.want(c)
		want.Refunded = writers * rounds
		s.expect(c, &want)
		if made[i] != 1 {
			s.t.Errorf("order %s was made %d times", c.ID, made[i])
		}
	}
}
