package check

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// queue lets three wait for hats that a cart has taken: the first wants more than comes back at first, the second is served,
// the third leaves.
func (m *made) queue() {
	free := m.stock["hat"]["available"].(int)
	cart := m.buy("pia", "k1", "hat", free)
	m.wait("11", "quy", 1)
	m.wait("12", "ron", free+1)
	m.wait("13", "sal", 1)
	m.waitLine("quit", "13", "sal", 1)["why"] = "left"
	m.stock["hat"]["waiting"] = m.stock["hat"]["waiting"].(int) - 1
	m.release(cart, "cancelled", "cancelled")
	m.offered("11", m.win("quy", "wait:11", "hat", 1))
}

func (m *made) waitLine(kind, entry, user string, n int) row {
	m.seq++
	return m.add("waiting", row{"seq": m.seq, "kind": kind, "entry": entry, "user": user, "sale": "s1", "sku": "hat", "quantity": n, "at": m.tick()})
}

func (m *made) wait(entry, user string, n int) {
	m.waitLine("wait", entry, user, n)
	had, _ := m.stock["hat"]["waiting"].(int)
	m.stock["hat"]["waiting"] = had + 1
}

// offered says that the hold just made was an entry's.
func (m *made) offered(entry string, p *purchased) {
	last := m.files["stock-ledger"][len(m.files["stock-ledger"])-1]
	m.add("waiting", row{"seq": last["seq"], "kind": "offer", "entry": entry, "user": p.user, "sale": "s1", "sku": p.sku, "quantity": p.quantity,
		"order": p.id, "at": m.tick()})
	m.stock["hat"]["waiting"] = m.stock["hat"]["waiting"].(int) - 1
}

func listLine(m *made, kind, entry string) row {
	for _, r := range m.files["waiting"] {
		if r["kind"] == kind && r["entry"] == entry {
			return r
		}
	}
	m.t.Fatalf("no %s of entry %s", kind, entry)
	return nil
}

// Each way in which a waiting list can be other than published is seen, and blamed on fairness alone.
func TestPlantedListViolations(t *testing.T) {
	t.Parallel()
	for _, p := range []planted{
		{"a unit sold past somebody who waits", func(m *made) {
			m.drop("waiting", func(r row) bool { return r["kind"] == "offer" })
			m.stock["hat"]["waiting"] = 2
		}, []string{"I13"}},
		{"the second served before the first", func(m *made) {
			listLine(m, "offer", "11")["entry"] = "12"
		}, []string{"I13"}},
		{"an entry offered more than it waits for", func(m *made) {
			listLine(m, "wait", "11")["quantity"] = 2
		}, []string{"I13"}},
		{"an entry offered twice", func(m *made) {
			m.offered("11", m.win("quy", "wait:11b", "hat", 1))
			m.stock["hat"]["waiting"] = 1
		}, []string{"I13"}},
		{"an offer without a hold", func(m *made) {
			m.waitLine("offer", "12", "ron", 1)["order"] = m.find("orders", "user", "quy")["id"]
		}, []string{"I13"}},
		{"an offer of another order", func(m *made) {
			listLine(m, "offer", "11")["order"] = m.find("orders", "user", "ann")["id"]
		}, []string{"I13"}},
		{"somebody skipped whose limit allows it", func(m *made) {
			listLine(m, "quit", "13")["why"] = "limit-reached"
		}, []string{"I13"}},
		{"somebody gone who did not wait", func(m *made) {
			m.drop("waiting", func(r row) bool { return r["kind"] == "wait" && r["entry"] == "13" })
		}, []string{"I13"}},
		{"a row that counts others than wait", func(m *made) { m.stock["hat"]["waiting"] = 7 }, []string{"I13"}},
		{"a unit free while somebody waits for it", func(m *made) {
			m.find("sales", "id", "s1")["state"] = "open"
			m.wait("99", "tom", 1)
		}, []string{"I13"}},
	} {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			m, run := setup(t)
			p.do(m)
			rep := run()
			if d := cmp.Diff(p.want, rep.Failed()); d != "" {
				t.Errorf("the wrong invariants fail (-want +got):\n%s%s", d, rep.Text())
			}
		})
	}
}
