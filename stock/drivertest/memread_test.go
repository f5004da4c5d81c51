package drivertest

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"penstock/internal/ident"
	"penstock/stock/driver"
)

func (m *memDriver) Attempt(_ context.Context, k driver.Key) (*driver.Attempt, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.byID(m.keys[m.key(k)]), nil
}

func (m *memDriver) Claim(_ context.Context, id ident.ID) (*driver.Attempt, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.winner(id), nil
}

func (m *memDriver) Unsent(_ context.Context, user string) ([]*driver.Attempt, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var out []*driver.Attempt
	for id, a := range m.bound {
		if a.Seq > m.sent && m.key(a.Key).User == m.key(driver.Key{User: user, Key: a.Key.Key}).User && (a.Won() || m.has("unsent lists refusals")) {
			out = append(out, m.byID(id))
		}
	}
	slices.SortFunc(out, func(a, b *driver.Attempt) int {
		if m.has("unsent goes by id") {
			return cmp.Compare(a.ID, b.ID)
		}
		return cmp.Compare(a.Seq, b.Seq)
	})
	return out, nil
}

func (m *memDriver) Due(_ context.Context, now time.Time, limit int) ([]ident.ID, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var due []driver.Attempt
	for _, a := range m.bound {
		last := now
		if m.has("due is late by one") {
			last = now.Add(-1)
		}
		if a.Won() && !a.ReleaseAt.After(last) && (a.State == driver.Held || m.has("due lists sold claims") && a.State == driver.Sold) {
			due = append(due, a)
		}
	}
	slices.SortFunc(due, func(a, b driver.Attempt) int {
		if m.has("due goes by id") {
			return cmp.Compare(a.ID, b.ID)
		}
		return a.ReleaseAt.Compare(b.ReleaseAt)
	})
	var ids []ident.ID
	for _, a := range due[:min(limit, len(due))] {
		ids = append(ids, a.ID)
	}
	return ids, nil
}

func (m *memDriver) Snapshot(context.Context) (*driver.Snapshot, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	s := &driver.Snapshot{Seq: m.seq, Now: m.clk.Now(), Stock: slices.Collect(maps.Values(m.stock)), Sales: slices.Collect(maps.Values(m.sales))}
	for id, a := range m.bound {
		if a.Won() || !m.has("the last id forgets refusals") {
			s.LastID = max(s.LastID, id)
		}
	}
	if m.has("a snapshot is two moments") {
		m.mu.RUnlock()
		time.Sleep(time.Millisecond)
		m.mu.RLock()
		s.Seq = m.seq
	}
	return s, nil
}

func (m *memDriver) Journal(_ context.Context, after uint64, limit int) ([]driver.Entry, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var out []driver.Entry
	for _, e := range m.entries {
		if e.Attempt != nil {
			e.Attempt = m.byID(e.Attempt.ID)
		}
		if e.Waiter != nil {
			e.Waiter = m.waiter(e.Waiter.Seq)
		}
		again := m.has("pages overlap") && after > 1 && e.Seq == after
		if (e.Seq > after || again) && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, nil
}

func (m *memDriver) Audit(_ context.Context, after uint64, limit int) ([]driver.Audit, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.has("audit pages are off by one") && after > 0 {
		after++
	}
	rows := m.audits[min(after, uint64(len(m.audits))):]
	return slices.Clone(rows[:min(limit, len(rows))]), nil
}
