package drivertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"penstock/stock/driver"
)

func (m *memDriver) waiter(seq uint64) *driver.Waiter {
	for _, w := range m.waiters {
		if w.Seq == seq {
			return &w
		}
	}
	return nil
}

func (m *memDriver) Waiter(_ context.Context, seq uint64) (*driver.Waiter, int64, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	w, ahead := m.waiter(seq), int64(0)
	if w == nil || w.State != driver.Waiting {
		return w, 0, nil
	}
	for _, x := range m.waiters {
		if x.List() == w.List() && x.Seq < seq && (x.State == driver.Waiting || m.has("positions count who has left")) {
			ahead++
		}
	}
	return w, ahead, nil
}

func (m *memDriver) waitState(r *driver.Reads, st *driver.State) {
	for _, ref := range r.Joins {
		var j driver.Join
		for _, w := range m.waiters {
			if w.Key == ref.Key && !m.has("a join forgets its key") {
				j.Known = &w
			}
			live := w.State == driver.Waiting || m.has("who has left still waits")
			if live && w.SKU == ref.SKU && w.Key.Sale == ref.Key.Sale && w.Key.User == ref.Key.User {
				j.Live = &w
			}
		}
		st.Joins = append(st.Joins, j)
	}
	for _, seq := range r.Waiters {
		st.Waiters = append(st.Waiters, m.waiter(seq))
	}
	st.Next = m.next
}

func (m *memDriver) next(list driver.StockRef, behind uint64, most int64) []*driver.Waiter {
	all := slices.Clone(m.waiters)
	if m.has("the last comes first") {
		slices.Reverse(all)
		if behind > 0 {
			return nil
		}
	}
	var page []*driver.Waiter
	for _, w := range all {
		if w.List() != list && !m.has("lists of all skus are one") || w.Seq <= behind || w.State != driver.Waiting {
			continue
		}
		if w.Quantity > most {
			if m.has("a big wish stops the list") {
				break
			}
			continue
		}
		if !m.has("the list does not know allowances") {
			w.Taken = m.taken[driver.TakenRef{Sale: list.Sale, SKU: w.SKU, User: w.Key.User}]
		}
		if page = append(page, &w); len(page) == 2 {
			break
		}
	}
	return page
}

func (m *memDriver) waitGuard(ch *driver.Changes) error {
	queued := ch.Queued()
	for _, s := range ch.Stock {
		ref := driver.StockRef{Sale: s.Sale, SKU: s.SKU}
		if s.Waiting != m.stock[ref].Waiting+queued[ref] && !m.has("who waits is not counted") {
			return errors.New("the row does not count its list")
		}
		delete(queued, ref)
	}
	for ref, n := range queued {
		if n != 0 && !m.has("who waits is not counted") {
			return fmt.Errorf("the row of %v does not change with its list", ref)
		}
	}
	for _, s := range ch.Settled {
		if w := m.waiter(s.Seq); (w == nil || w.State != driver.Waiting) && !m.has("an entry may be settled twice") {
			return fmt.Errorf("entry %d does not wait", s.Seq)
		}
	}
	for i, w := range ch.Waiters {
		twice := func(x *driver.Waiter) bool { return x.Key == w.Key }
		if slices.ContainsFunc(m.waiters, func(x driver.Waiter) bool { return twice(&x) }) || slices.ContainsFunc(ch.Waiters[:i], twice) {
			return fmt.Errorf("key %v has an entry", w.Key)
		}
	}
	return nil
}

func (m *memDriver) settle(now time.Time, ch *driver.Changes) {
	for _, s := range ch.Settled {
		for i := range m.waiters {
			w := &m.waiters[i]
			if w.Seq != s.Seq || m.has("offers leave the entry waiting") && s.To == driver.Offered {
				continue
			}
			w.State, w.Order, w.Why = s.To, s.Order, s.Why
			if s.To != driver.Offered {
				m.append(driver.Entry{At: now, Kind: driver.Quit, Waiter: w, Why: s.Why}, 1)
			}
		}
	}
}

func (m *memDriver) join(now time.Time, ch *driver.Changes) {
	for _, w := range ch.Waiters {
		w.Seq = m.seq + 1
		m.waiters = append(m.waiters, *w)
		m.append(driver.Entry{At: now, Kind: driver.Wait, Waiter: w}, 1)
	}
}
