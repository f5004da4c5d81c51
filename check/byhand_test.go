package check

import (
	"context"
	"io"
	"strings"
	"testing"
)

// handViolations are what somebody does who edits the tables.
var handViolations = []planted{
	{"a price of a hold that was changed", set("claims", "user", "fay", "price", 1), []string{"I8"}},
	{"a currency of a hold that was changed", set("claims", "user", "bob", "currency", "USD"), []string{"I8"}},
	{"a quantity and a price of a hold that were changed to the same product", func(m *made) {
		c := m.find("claims", "user", "ann")
		c["quantity"], c["price"] = 1, 2*price
	}, []string{"I2", "I4", "I8"}},
	{"an amount of a hold that was changed", func(m *made) {
		m.find("outbox", "key", m.find("claims", "user", "fay")["order"])["payload"].(row)["amount"] = 3
	}, []string{"I8"}},
	{"a price of a late claim that was changed", func(m *made) {
		for _, r := range m.files["claims"] {
			if r["attempt"] != r["order"] {
				r["price"] = price - 1
			}
		}
	}, []string{"I8"}},
	{"a refund row that was deleted", func(m *made) {
		m.find("payments", "order", m.find("orders", "user", "cem")["id"])["refunds"] = []row{}
	}, []string{"I8"}},
	{"a deleted refund, and its payment made to agree", func(m *made) {
		p := m.find("payments", "order", m.find("orders", "user", "cem")["id"])
		p["refunds"], p["refunded"], p["state"] = []row{}, 0, "captured"
	}, []string{"I8"}},
	{"an automatic refund that was deleted", func(m *made) {
		m.find("payments", "order", m.find("orders", "user", "eve")["id"])["refunds"] = []row{}
	}, []string{"I8"}},
	{"a damaged file", func(m *made) { m.damage = []string{"row 7 missing from index journal_ref"} }, []string{"F"}},
	{"an audit row taken out of the middle", func(m *made) { m.drop("audit", func(r row) bool { return r["seq"] == 1 }) }, []string{"I22"}},
}

// The trail is numbered without gaps, so a row that is gone is missed without an earlier export too.
func TestGapInTheTrailIsSeenWithoutAnEarlierExport(t *testing.T) {
	t.Parallel()
	dir, m := t.TempDir(), make1(t)
	m.files["audit"][1]["seq"] = 5
	m.save(dir)
	rep, err := Run(t.Context(), Dir(dir), quick())
	if v := verdictOf(&rep, "I22"); err != nil || v.Verdict != Fail || !strings.Contains(rep.Text(), "audit rows 2 to 4 are not there") {
		t.Errorf("%v\n%s", err, rep.Text())
	}
}

// A reader of messages that stands behind the end of what there is to read will skip what comes: that is no work in flight that
// one could wait for, it is a violation.
func TestReaderBehindTheEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	make1(t).save(dir)
	src := Dir(dir)
	src.InFlight = func(context.Context) (map[string]int64, error) {
		return map[string]int64{"bus.orders.stock.lag": 0, "bus.orders.stock.beyond": 23}, nil
	}
	rep, err := Run(t.Context(), src, quick())
	if v := verdictOf(&rep, "I12"); err != nil || v.Verdict != Fail || !strings.Contains(rep.Text(), "bus.orders.stock stands 23 behind") || strings.Contains(rep.Text(), "not drained") {
		t.Errorf("%v\n%s", err, rep.Text())
	}
}

// On a server that works, records that are read one after the other disagree about what moved in between; what no further
// reading shows again is no violation, and what every reading shows is one.
func TestDisagreementThatPasses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := make1(t)
	m.save(dir)
	late := m.purchase("fay")
	src, readings := Dir(dir), 0
	whole := src.Export
	src.InFlight = func(context.Context) (map[string]int64, error) { return map[string]int64{"attempts": 2}, nil }
	src.Export = func(ctx context.Context, name string, w io.Writer) error {
		if name == "audit" {
			readings++
		}
		if name != "claims" || readings > 1 {
			return whole(ctx, name, w)
		}
		var text strings.Builder
		if err := whole(ctx, name, &text); err != nil {
			return err
		}
		for line := range strings.Lines(text.String()) {
			if strings.Contains(line, late.id) {
				continue // the purchase came after the claims were read
			}
			if _, err := io.WriteString(w, line); err != nil {
				return err
			}
		}
		return nil
	}
	o := quick()
	o.Wait = -1
	rep, err := Run(t.Context(), src, o)
	if err != nil || rep.Verdict != Pass || readings < 2 || !strings.Contains(rep.Text(), "gone when the records were read again") {
		t.Errorf("%d readings, %v\n%s", readings, err, rep.Text())
	}
	m.find("orders", "user", "ann")["amount"] = 1
	m.save(dir)
	readings = 0
	if rep, err = Run(t.Context(), src, o); err != nil || rep.Verdict != Fail || strings.Join(rep.Failed(), " ") != "I8" {
		t.Errorf("%d readings, %v\n%s", readings, err, rep.Text())
	}
}

// A server under load is never drained, which is no violation as long as what is in flight comes and goes; what only ever
// grows is stuck.
func TestBusyIsNotStuck(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	make1(t).save(dir)
	src, n := Dir(dir), int64(0)
	src.InFlight = func(context.Context) (map[string]int64, error) {
		n++
		return map[string]int64{"attempts": 1 + n%3}, nil
	}
	if rep, err := Run(t.Context(), src, quick()); err != nil || rep.Verdict != Pass || rep.Drained || !strings.Contains(rep.Text(), "not drained: orders still on their way") {
		t.Errorf("%v\n%s", err, rep.Text())
	}
	src.InFlight = func(context.Context) (map[string]int64, error) {
		n++
		return map[string]int64{"attempts": 1 + n%3, "bus.orders.stock.lag": n}, nil
	}
	if rep, err := Run(t.Context(), src, quick()); err != nil || rep.Verdict != Fail || !strings.Contains(rep.Text(), "not drained within 1s") {
		t.Errorf("%v\n%s", err, rep.Text())
	}
}
