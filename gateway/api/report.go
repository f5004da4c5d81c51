package api

import (
	"context"
	"io"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"penstock/gateway"
	"penstock/internal/page"
)

// SaleReports writes the report of a sale as "html", "json" or "xlsx". nonce is what the style of a page must carry.
type SaleReports interface {
	Write(ctx context.Context, sale, format, nonce string, w io.Writer) error
}

// reportTypes are the media types of the forms of a report.
func reportTypes() map[string]string {
	return map[string]string{
		"html": "text/html; charset=utf-8", "json": "application/json", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	}
}

func (s *surface) reportCalls() {
	types := reportTypes()
	for _, format := range sortedKeys(types) {
		path := "/sales/{sale}/report." + format
		op := operator("sale-report-"+format, http.MethodGet, path, "The story of a sale with its proof; as XLSX its orders")
		op.Parameters = []*huma.Param{{Name: "sale", In: "path", Required: true, Schema: &huma.Schema{Type: "string"}}}
		media, _, _ := strings.Cut(types[format], ";")
		op.Responses = map[string]*huma.Response{
			"200":     {Description: "the report", Content: map[string]*huma.MediaType{media: {Schema: &huma.Schema{Type: "string", Format: "binary"}}}},
			"default": problemResponse("A problem; its type says which."),
		}
		s.api.OpenAPI().AddOperation(&op)
		s.handle(http.MethodGet+" "+adminPrefix+path, gateway.ByOperator, s.saleReport(format))
	}
}

// saleReport streams a report; one that cannot be finished breaks the connection, as an export does.
func (s *surface) saleReport(format string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		header, nonce := http.Header{"Content-Type": {reportTypes()[format]}}, ""
		if format == "html" { // it is one page of its own: nothing in it may load or run anything
			nonce = page.Guard(header, "")
		}
		s.stream(w, r, header, func(out io.Writer) error {
			return s.d.Reports.Write(r.Context(), r.PathValue("sale"), format, nonce, out)
		})
	}
}
