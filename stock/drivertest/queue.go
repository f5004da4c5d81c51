package drivertest

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"penstock/errs"
	"penstock/stock"
	"penstock/stock/driver"
)

// queue is the model's waiting lists: every entry there ever was, in order of joining.
type queue struct {
	entries []*entry
	keys    map[driver.Key]*entry
}

// entry is an entry as the model follows it.
type entry struct {
	seq       uint64
	user, sku string
	quantity  int64
	state     driver.WaitState
	order     stock.ID
}

// joining returns the code that a call to wait is refused with, or the entry that its key made before.
func (m *model) joining(r stock.JoinRequest, now time.Time) (known *entry, refused []errs.Code) {
	if e := m.queue.keys[driver.Key{Sale: r.Sale, User: r.User, Key: r.Key}]; e != nil {
		if e.sku != r.SKU || e.quantity != r.Quantity {
			return nil, []errs.Code{errs.KeyReused}
		}
		return e, nil
	}
	for _, a := range m.refusedBySale(now) {
		refused = append(refused, a.Reason)
	}
	if len(refused) > 0 {
		return nil, refused
	}
	i := slices.IndexFunc(m.sale.Items, func(x driver.SaleItem) bool { return x.SKU == r.SKU })
	row := m.levels[r.SKU]
	switch {
	case !m.sale.WaitingList:
		return nil, []errs.Code{errs.NoWaitingList}
	case m.sale.Items[i].Limit > 0 && r.Quantity > m.sale.Items[i].Limit:
		return nil, []errs.Code{errs.LimitReached}
	case slices.ContainsFunc(m.queue.entries, func(e *entry) bool { return e.user == r.User && e.sku == r.SKU && e.state == driver.Waiting }):
		return nil, []errs.Code{errs.AlreadyWaiting}
	case row.Available >= r.Quantity && !m.sale.SoldOut:
		return nil, []errs.Code{errs.StockAvailable}
	}
	return nil, nil
}

// position returns the place of an entry that waits.
func (m *model) position(of *entry) int64 {
	n := int64(1)
	for _, e := range m.queue.entries {
		if e == of {
			break
		}
		if e.sku == of.sku && e.state == driver.Waiting {
			n++
		}
	}
	return n
}

// serve hands over what is free, and returns the entries that were offered something.
func (m *model) serve(now time.Time) (offered []*entry) {
	if len(m.refusedBySale(now)) > 0 || m.sale.SoldOut {
		return nil
	}
	for _, e := range m.queue.entries {
		row := m.levels[e.sku]
		if e.state != driver.Waiting || e.quantity > row.Available {
			continue
		}
		i := slices.IndexFunc(m.sale.Items, func(x driver.SaleItem) bool { return x.SKU == e.sku })
		ref := driver.TakenRef{Sale: m.sale.ID, SKU: e.sku, User: e.user}
		row.Waiting--
		if limit := m.sale.Items[i].Limit; limit > 0 && m.taken[ref]+e.quantity > limit {
			e.state = driver.Skipped
			m.levels[e.sku] = row
			continue
		}
		e.state = driver.Offered
		row.Available -= e.quantity
		row.Held += e.quantity
		m.taken[ref] += e.quantity
		m.levels[e.sku] = row
		offered = append(offered, e)
	}
	return offered
}

func (m *machine) join(rt *rapid.T) {
	r := stock.JoinRequest{
		Sale: "s", User: rapid.SampledFrom([]string{"u", "v", "w"}).Draw(rt, "user"), Key: rapid.SampledFrom([]string{"1", "2", "3", "4"}).Draw(rt, "key"),
		SKU: rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "sku"), Quantity: rapid.Int64Range(1, 3).Draw(rt, "quantity"),
	}
	known, refused := m.m.joining(r, m.s.clk.Now())
	got, err := m.s.p.Join(m.s.Context(), r)
	switch {
	case len(refused) > 0:
		if !slices.Contains(refused, errs.CodeOf(err)) {
			rt.Fatalf("join %+v: %+v, %v, want one of %v", r, got, err, refused)
		}
		return
	case err != nil || got.Replayed != (known != nil):
		rt.Fatalf("join %+v: %+v, %v, known %+v", r, got, err, known)
	case known != nil:
		m.sameEntry(rt, known)
		return
	}
	e := &entry{seq: got.Seq, user: r.User, sku: r.SKU, quantity: r.Quantity, state: driver.Waiting}
	m.m.queue.entries = append(m.m.queue.entries, e)
	if m.m.queue.keys == nil {
		m.m.queue.keys = map[driver.Key]*entry{}
	}
	m.m.queue.keys[driver.Key{Sale: r.Sale, User: r.User, Key: r.Key}] = e
	row := m.m.levels[r.SKU]
	row.Waiting++
	m.m.levels[r.SKU] = row
	m.sameEntry(rt, e)
}

func (m *machine) leave(rt *rapid.T) {
	if len(m.m.queue.entries) == 0 {
		rt.Skip()
	}
	e := rapid.SampledFrom(m.m.queue.entries).Draw(rt, "who")
	_, err := m.s.p.Leave(m.s.Context(), "s", e.user, e.seq)
	want := errs.Code("")
	switch {
	case e.state == driver.Waiting && m.m.closed(m.s.clk.Now()):
		want = errs.SaleClosed
	case e.state == driver.Waiting:
		e.state = driver.Left
		row := m.m.levels[e.sku]
		row.Waiting--
		m.m.levels[e.sku] = row
	case e.state != driver.Left:
		want = errs.IllegalTransition
	}
	if errs.CodeOf(err) != want {
		rt.Fatalf("leave %+v: %v, want %q", e, err, want)
	}
	m.handedOver(rt)
}

// handedOver lets the model serve its lists, and takes over the claims that the database made for it.
func (m *machine) handedOver(rt *rapid.T) {
	now := m.s.clk.Now()
	for _, e := range m.m.serve(now) {
		got, err := m.s.p.Waiting(m.s.Context(), "s", e.user, e.seq)
		if err != nil || got.State != driver.Offered {
			rt.Fatalf("the model offers %+v, the database says %+v, %v", e, got, err)
		}
		e.order = got.Order
		a := m.s.db.claim(got.Order)
		items := []stock.Item{item(e.sku, e.quantity)}
		if a == nil || !a.At.Equal(now) || !a.ReleaseAt.Equal(now.Add(m.m.sale.Window+m.m.sale.Grace)) {
			rt.Fatalf("the claim offered to %+v is %+v", e, a)
		}
		m.m.claims[a.ID] = &claim{key: a.Key, items: items, state: driver.Held, releaseAt: a.ReleaseAt}
		m.m.keys[a.Key] = &bound{items: items, answer: stock.Answer{State: stock.Won, Attempt: a}}
	}
	for _, e := range m.m.queue.entries {
		m.sameEntry(rt, e)
	}
}

func (m *machine) sameEntry(rt *rapid.T, e *entry) {
	want := int64(0)
	if e.state == driver.Waiting {
		want = m.m.position(e)
	}
	got, err := m.s.p.Waiting(m.s.Context(), "s", e.user, e.seq)
	if m.m.closed(m.s.clk.Now()) {
		want = got.Position
	}
	if err != nil || got.State != e.state || got.Position != want || got.Order != e.order || got.Quantity != e.quantity {
		rt.Fatalf("the model has %+v at %d, the database says %+v, %v", e, want, got, err)
	}
}
