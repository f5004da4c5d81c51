package api

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"penstock/errs"
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
	op := operator("export", http.MethodGet, "/export/{name}", "Stream everything of one kind as NDJSON, in stable order")
	op.Description = "The connection breaks when the export cannot be finished: a stream that ends properly is whole."
	op.Parameters = []*huma.Param{{Name: "name", In: "path", Required: true, Schema: names}}
	op.Responses = map[string]*huma.Response{
		"200":     {Description: "one JSON object a line", Content: map[string]*huma.MediaType{"application/x-ndjson": {Schema: &huma.Schema{Type: "string"}}}},
		"default": problemResponse("A problem; its type says which."),
	}
	s.api.OpenAPI().AddOperation(&op)
	s.handle(http.MethodGet+" "+exportPath, gateway.ByOperator, s.export)
}

func (s *surface) export(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if !slices.Contains(exportNames(), name) {
		fail(r, errs.New(errs.NotFound, "no such export"))
		return
	}
	header := http.Header{"Content-Type": {"application/x-ndjson"}}
	s.stream(w, r, header, func(out io.Writer) error { return s.d.Export.Write(r.Context(), name, out) })
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
