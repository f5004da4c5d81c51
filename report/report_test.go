package report

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"

	"penstock/check"
	"penstock/errs"
	"penstock/internal/clock"
)

var noon = time.Date(2026, 11, 11, 12, 0, 0, 0, time.UTC)

// shop is a source with two sales: n orders of "s", every state in turn, and one of "other" that must not show.
func shop(n int) Source {
	states := []string{"paid", "fulfilled", "expired", "cancelled", "refunded", "pending_payment"}
	lines := map[string]func(w io.Writer){
		"stock-ledger": func(w io.Writer) {
			fmt.Fprintf(w, `{"seq":1,"sale":"s","sku":"tea","delta":%d,"kind":"offer","at":%q}`+"\n", n, noon.Format(time.RFC3339))
			for i := range n {
				at := noon.Add(time.Duration(i) * time.Second).Format(time.RFC3339)
				fmt.Fprintf(w, `{"sale":"s","sku":"tea","delta":-1,"kind":"hold","at":%q}`+"\n"+`{"sale":"other","delta":-1,"kind":"hold","at":%q}`+"\n", at, at)
			}
		},
		"claims": func(w io.Writer) {
			for i := range n {
				why := ""
				if states[i%6] == "expired" {
					why = "expired"
				}
				fmt.Fprintf(w, `{"order":"%d","user":"u%d","sale":"s","currency":"EUR","quantity":2,"why":%q}`+"\n", i, i%10, why)
			}
			fmt.Fprintln(w, `{"order":"99999999","user":"x","sale":"other","quantity":1}`)
		},
		"orders": func(w io.Writer) {
			for i := range n {
				fmt.Fprintf(w, `{"id":"%d","user":"=cmd()<b>","sale":"s","items":[{"sku":"tea","quantity":1,"price":100},{"sku":"cup","quantity":1,"price":50}],"amount":150,"currency":"EUR","state":%q,"refundedAmount":%d,"createdAt":%q}`+"\n",
					i, states[i%6], 50*((i/6)%2), noon.Format(time.RFC3339))
			}
			fmt.Fprintln(w, `{"id":"99999999","user":"x","sale":"other","items":[],"amount":7,"currency":"EUR","state":"paid"}`)
		},
		"payments": func(w io.Writer) {
			for i := range n {
				fmt.Fprintf(w, `{"order":"%d","currency":"EUR","captured":150,"refunded":%d,"late":%t}`+"\n", i, 150*(i%2), i%6 == 5)
			}
			fmt.Fprintln(w, `{"order":"99999999","currency":"EUR","captured":7}`)
		},
	}
	return Source{
		Clock: clock.NewFake(noon.Add(time.Hour)), Answers: func() map[string]int64 { return map[string]int64{"won": 5, "sold-out": 7, "<i>": 9, "unknown": 0} },
		Source: check.Source{
			Export: func(_ context.Context, name string, w io.Writer) error {
				if f := lines[name]; f != nil {
					f(w)
				}
				return nil
			},
			Snapshot: func(context.Context) (check.Snapshot, error) {
				return check.Snapshot{
					Sales: []check.Sale{{ID: "s", StartsAt: noon, EndsAt: noon.Add(time.Hour), Items: []check.SaleItem{{SKU: "tea", Price: 100, Currency: "EUR"}}}, {ID: "other"}},
					Stock: []check.StockRow{{Sale: "s", SKU: "tea", Offered: int64(n), Held: int64(n)}, {Sale: "other", SKU: "x"}},
				}, nil
			},
		},
	}
}

// The figures are those of the sale's own rows, each order counts once, and records that disagree make the proof fail.
func TestFigures(t *testing.T) {
	t.Parallel()
	r, err := Collect(t.Context(), shop(60), "s")
	if err != nil {
		t.Fatal(err)
	}
	want := Funnel{Buyers: 10, Won: 60, Open: 10, Paid: 20, Expired: 10, Cancelled: 10, Refunded: 10, PartlyRefunded: 10, ExpiredUnits: 20}
	if d := cmp.Diff(want, r.Funnel); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]Money{{"EUR", 60 * 150, 60 * 150, 30 * 150}}, r.Money); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]Count{{"<i>", 9}, {"sold-out", 7}}, r.Refused); d != "" || r.LateMoney != (Late{10, 10}) {
		t.Errorf("%s %+v", d, r.LateMoney)
	}
	if r.Proof.Verdict != check.Fail || len(r.SKUs) != 1 || r.SKUs[0].Price != 100 {
		t.Errorf("verdict %s, SKUs %+v", r.Proof.Verdict, r.SKUs)
	}
	if _, err := Collect(t.Context(), shop(1), "none"); !errs.Is(err, errs.NotFound) {
		t.Errorf("a sale that is not there: %v", err)
	}
}

// The page needs nothing from elsewhere, escapes what others chose, and names what is not recorded; JSON reads back.
func TestPageStandsAlone(t *testing.T) {
	t.Parallel()
	src := shop(6)
	for _, named := range []bool{true, false} {
		if named {
			src.Answers = shop(6).Answers
		} else {
			src.Answers = nil
		}
		r, err := Collect(t.Context(), src, "s")
		if err != nil {
			t.Fatal(err)
		}
		r.Sale = `<script>alert("1")</script>`
		var page, text bytes.Buffer
		if err := HTML(&page, &r, "n0nce"); err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"<script", "<i>9", "http://", "https://", "src=", "@import", "url(", " style=", "<style>"} {
			if strings.Contains(page.String(), bad) {
				t.Errorf("the page holds %q", bad)
			}
		}
		if !strings.Contains(page.String(), "latency by second") || strings.Contains(page.String(), "Not recorded.</p>") == named {
			t.Error("the page does not say what is not recorded")
		}
		var back Report
		if err := JSON(&text, &r); err != nil || json.Unmarshal(text.Bytes(), &back) != nil || back.Funnel != r.Funnel {
			t.Errorf("JSON: %v %s", err, text.Bytes())
		}
	}
}

// A timeline has at most so many steps however long the sale is, and loses no unit when its steps widen.
func TestTimelineIsBounded(t *testing.T) {
	t.Parallel()
	r, err := Collect(t.Context(), shop(5000), "s")
	if err != nil {
		t.Fatal(err)
	}
	var held int64
	for _, m := range r.Timeline {
		held += m.Held
	}
	last := r.Timeline[len(r.Timeline)-1]
	if len(r.Timeline) > steps || held != 5000 || last.InHold != 5000 || last.Free != 0 {
		t.Errorf("%d steps of %d s, %d held, at the end %+v", len(r.Timeline), r.StepSeconds, held, last)
	}
	empty := Report{Sale: "s"}
	if err := HTML(io.Discard, &empty, ""); err != nil {
		t.Error(err)
	}
}

// The workbook has a row for each item of the sale's orders, amounts once per order, and text stays text.
func TestWorkbook(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := Workbook(t.Context(), shop(100), "s", &out); err != nil {
		t.Fatal(err)
	}
	f, err := excelize.OpenReader(&out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := f.GetRows("Orders")
	if err != nil || len(rows) != 201 {
		t.Fatalf("%d rows: %v", len(rows), err)
	}
	if rows[1][1] != "=cmd()<b>" || rows[1][6] != "150" || rows[2][6] != "" || rows[2][3] != "cup" {
		t.Errorf("rows %v", rows[:3])
	}
	if formula, err := f.GetCellFormula("Orders", "B2"); err != nil || formula != "" {
		t.Errorf("a name became the formula %q: %v", formula, err)
	}
}

// A workbook of 20,000 orders with two items each.
func BenchmarkWorkbook(b *testing.B) {
	src := shop(20_000)
	for b.Loop() {
		if err := Workbook(b.Context(), src, "s", io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

// What one event left is drawn over the whole width, not as a line of no width.
func TestOneEventIsASurface(t *testing.T) {
	t.Parallel()
	chart := stockChart(&Report{Timeline: []Moment{{At: noon, Free: 7}}})
	if !strings.Contains(chart, `points="548.0,204.0 548.0,10.0`) && !strings.Contains(chart, "548.0,10.0 548.0,10.0 548.0,204.0") {
		t.Errorf("the free units do not reach the right edge:\n%s", chart)
	}
}
