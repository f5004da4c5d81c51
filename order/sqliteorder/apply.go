package sqliteorder

import (
	"encoding/json"
	"fmt"

	"penstock/bus/outbox"
	"penstock/order/driver"
)

// apply makes one change inside the running transaction; after an error the transaction has to be rolled back.
func (s *statements) apply(b *driver.Batch, i int, c *driver.Change) error {
	c.Made, c.Missing = false, false
	if c.Exist && c.Seed != nil {
		return s.insert(c)
	}
	cur, found, err := s.get(int64(c.ID), c.Table)
	if err != nil {
		return err
	}
	if !found {
		if c.Seed == nil {
			c.Missing = true
			return nil
		}
		if err = s.insert(c); err != nil {
			return err
		}
		cur = c.Fresh()
	}
	if c.Exist {
		return nil
	}
	u, err := b.Next(i, cur)
	if err != nil {
		return nil // the answer to this change alone
	}
	return s.update(c, cur, u)
}

// insert makes the row and its first two events, or nothing if the row is there.
func (s *statements) insert(c *driver.Change) error {
	st, err := s.ready(&s.byTable[c.Table].insert, insertRow, c.Table)
	if err != nil {
		return err
	}
	id, created, at := any(int64(c.ID)), any(c.Seed.Created), any(c.At())
	a := &s.args
	a[0].Value, a[1].Value, a[2].Value, a[3].Value, a[4].Value = id, c.Seed.User, c.Seed.Sale, c.Seed.Key, c.Seed.Items
	a[5].Value, a[6].Value, a[7].Value, a[8].Value = c.Seed.Amount, c.Seed.Currency, created, c.Seed.PayBefore
	a[9].Value, a[10].Value = at, c.Seed.Trace
	n, err := s.exec(st, 11)
	if err != nil || n == 0 {
		return err
	}
	if st, err = s.ready(&s.first, firstSteps, -1); err != nil {
		return err
	}
	a[0].Value, a[1].Value, a[2].Value, a[3].Value = id, created, id, at
	if _, err = s.exec(st, 4); err != nil {
		return err
	}
	c.Made = true
	return nil
}

// update writes what becomes of a row: a compare-and-set on its version, and the events of the steps.
func (s *statements) update(c *driver.Change, cur driver.Current, u driver.Update) error {
	then := cur.After(u)
	if then == cur {
		return nil
	}
	st, err := s.ready(&s.byTable[c.Table].update, updateRow, c.Table)
	if err != nil {
		return err
	}
	a := &s.args
	a[0].Value, a[1].Value, a[2].Value, a[3].Value = string(then.State), then.Version, then.Changed, then.Refunded
	a[4].Value, a[5].Value = int64(c.ID), cur.Version
	n, err := s.exec(st, 6)
	if err != nil {
		return err
	}
	if n != 1 {
		return fmt.Errorf("order %s left version %d during the transaction", c.ID, cur.Version)
	}
	from := cur.State
	for i, step := range u.Steps {
		st, err := s.ready(&s.next, nextStep, -1)
		if err != nil {
			return err
		}
		if err = s.event(st, int64(c.ID), cur.Version+int64(i)+1, from, step); err != nil {
			return err
		}
		from = step.To
	}
	return outbox.Publish(published{s}, u.Messages...)
}

func (s *statements) event(st statement, id, n int64, from driver.State, step driver.Step) error {
	a := &s.args
	a[0].Value, a[1].Value, a[2].Value, a[3].Value = id, n, step.At, string(from)
	a[4].Value, a[5].Value, a[6].Value = string(step.To), step.Why, step.Who
	_, err := s.exec(st, 7)
	return err
}

// put writes a finished order, or nothing if the row is there.
func (s *statements) put(o *driver.Order) error {
	st, err := s.ready(&s.byTable[o.Table].put, putRow, o.Table)
	if err != nil {
		return err
	}
	items, err := json.Marshal(o.Lines)
	if err != nil {
		return err
	}
	id, changed := int64(o.ID), o.CreatedAt.UnixNano()
	if n := len(o.Events); n > 0 {
		changed = o.Events[n-1].At.UnixNano()
	}
	for i, v := range []any{
		id, o.User, o.Sale, o.Key, string(items), o.Amount, o.Currency, o.CreatedAt.UnixNano(), o.PayBefore.UnixNano(), changed, o.Trace,
		string(o.State), o.Refunded, o.Version, nil,
	} {
		s.args[i].Value = v
	}
	if o.Delivery != nil {
		s.args[14].Value = o.Delivery
	}
	n, err := s.exec(st, 15)
	if err != nil || n == 0 {
		return err
	}
	if st, err = s.ready(&s.past, putStep, -1); err != nil {
		return err
	}
	for _, e := range o.Events {
		if err = s.event(st, id, e.N, e.From, driver.Step{To: e.To, At: e.At.UnixNano(), Why: e.Why, Who: e.Who}); err != nil {
			return err
		}
	}
	return nil
}
