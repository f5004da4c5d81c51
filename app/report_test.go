package app_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"
)

// The report of a sale tells what was sold and proves it, in all three forms; what buyers named themselves cannot break the page.
func TestReportOfASale(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir())
	h.createSale("s", 2)
	for i, user := range []string{"<script>ann", "=1+1", "late"} {
		if status, out := h.buy("s", user); (status == http.StatusCreated) != (i < 2) {
			t.Fatalf("buy: %d %v", status, out)
		}
	}
	h.until("orders are written", func() bool {
		_, page := h.call("admin", h.operator, "GET", "/admin/v1/orders", "", nil)
		items, _ := page["items"].([]any)
		return len(items) == 2
	})
	get := func(form string) []byte {
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+h.Addrs()["admin"]+"/admin/v1/sales/s/report."+form, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+h.operator)
		res, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		raw, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %v %s", form, res.StatusCode, err, raw)
		}
		return raw
	}
	if page := string(get("html")); strings.Contains(page, "<script") || !strings.Contains(page, "no oversell") || !strings.Contains(page, "Not recorded: latency by second") {
		t.Errorf("page: %s", page)
	}
	_, out := h.call("admin", h.operator, "GET", "/admin/v1/sales/s/report.json", "", nil)
	funnel, _ := out["funnel"].(map[string]any)
	if funnel["won"] != 2.0 || funnel["open"] != 2.0 || funnel["buyers"] != 2.0 {
		t.Errorf("funnel: %v", funnel)
	}
	proof, _ := out["proof"].(map[string]any)
	if proof["verdict"] != "pass" || len(out["refused"].([]any)) == 0 {
		t.Errorf("proof %v, refused %v", proof, out["refused"])
	}
	book, err := excelize.OpenReader(bytes.NewReader(get("xlsx")))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	rows, err := book.GetRows("Orders")
	if err != nil || len(rows) != 3 {
		t.Fatalf("rows: %v %v", rows, err)
	}
	for row := 2; row <= 3; row++ {
		if f, err := book.GetCellFormula("Orders", "B"+string(rune('0'+row))); err != nil || f != "" {
			t.Errorf("a name became a formula: %q %v", f, err)
		}
	}
}
