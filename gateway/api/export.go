package api

import (
	"io"
	"maps"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"penstock/gateway"
)

const exportPath = adminPrefix + "/export/{name}"

func exportNames() []string {
	return []string{"orders", "order-events", "claims", "stock-ledger", "waiting", "line", "payments", "balances", "outbox", "dead-letters", "audit"}
}

func (s *surface) exportCalls() {
	names := &huma.Schema{Type: "string"}
	for _, n := range exportNames() {
		names.Enum = append(names.Enum, n)
	}
	op := operator("export", http.MethodGet, "/export/{name}", "Stream everything of one kind in stable order, as NDJSON, CSV or XLSX")
	op.Description = "The connection breaks when the export cannot be finished: a stream that ends properly is whole."
	op.Parameters = []*huma.Param{
		{Name: "name", In: "path", Required: true, Schema: names},
		{Name: "format", In: "query", Description: "as a file to keep; NDJSON without a name of its own when left out", Schema: &huma.Schema{Type: "string", Enum: []any{formatNDJSON, formatCSV, formatXLSX}}},
		{Name: "work", In: "query", Description: "an id of your choice: topic work:<id> of /admin/v1/live tells how far the export is", Schema: &huma.Schema{Type: "string"}},
	}
	op.Responses = map[string]*huma.Response{
		"200": {Description: "one JSON object a line", Content: map[string]*huma.MediaType{
			"application/x-ndjson": {Schema: &huma.Schema{Type: "string"}}, "text/csv": {Schema: &huma.Schema{Type: "string"}},
			reportTypes()["xlsx"]: {Schema: &huma.Schema{Type: "string", Format: "binary"}},
		}},
		"default": problemResponse("A problem; its type says which."),
	}
	s.api.OpenAPI().AddOperation(&op)
	s.handle(http.MethodGet+" "+exportPath, gateway.ByOperator, s.export)
}

// stream sends what write writes; when that fails midway the connection breaks.
func (s *surface) stream(w http.ResponseWriter, r *http.Request, header http.Header, write func(io.Writer) error) {
	out := &exportWriter{w: w, conn: http.NewResponseController(w), header: header}
	_ = out.conn.SetReadDeadline(time.Time{}) // else the server takes the silence of a listener for slowness
	err := write(out)
	if err == nil {
		err = out.send()
	}
	switch {
	case err == nil:
	case !out.begun:
		fail(r, err)
	default:
		gateway.FromContext(r.Context()).Panic = err
		panic(http.ErrAbortHandler)
	}
}

// exportWriter sends what it is given in pieces, and gives each piece its own time to be taken.
type exportWriter struct {
	w      http.ResponseWriter
	conn   *http.ResponseController
	header http.Header
	buf    []byte
	begun  bool
}

const exportPiece = 32 << 10

func (e *exportWriter) Write(p []byte) (int, error) {
	e.buf = append(e.buf, p...)
	if len(e.buf) < exportPiece {
		return len(p), nil
	}
	return len(p), e.send()
}

func (e *exportWriter) send() error {
	if !e.begun {
		e.begun = true
		maps.Copy(e.w.Header(), e.header)
		e.w.Header().Set("Cache-Control", "no-store")
		e.w.WriteHeader(http.StatusOK)
	}
	extend(e.conn)
	_, err := e.w.Write(e.buf)
	e.buf = e.buf[:0]
	if err != nil {
		return err
	}
	return e.conn.Flush()
}
