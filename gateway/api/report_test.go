package api

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"penstock/errs"
)

// reportsRoom writes the form it is asked for, for the sale "flash".
type reportsRoom struct{ *rooms }

func (r reportsRoom) Write(_ context.Context, sale, format, _ string, w io.Writer) error {
	if _, err := theSale(sale); err != nil {
		return err
	}
	_, err := io.WriteString(w, format)
	return err
}

// Each form of a report has its media type, a page of it may load nothing, and a sale that is not there has none.
func TestSaleReportForms(t *testing.T) {
	t.Parallel()
	h := setup(t)
	for format, media := range reportTypes() {
		w := h.ask(h.admin, "operator", "GET /admin/v1/sales/flash/report."+format)
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != media || w.Body.String() != format {
			t.Errorf("%s: %d %v %s", format, w.Code, w.Header(), w.Body)
		}
		if policy := w.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "nonce-") != (format == "html") {
			t.Errorf("%s: policy %q", format, policy)
		}
		problem(t, h.ask(h.admin, "operator", "GET /admin/v1/sales/nope/report."+format), errs.NotFound)
	}
}
