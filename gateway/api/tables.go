package api

import (
	"io"
	"net/http"
	"slices"
	"time"

	"penstock/console"
	"penstock/console/sheet"
	"penstock/errs"
)

// exportColumns are the columns of the exports as tables, in the order of docs/exports.md.
func exportColumns() map[string][]string {
	return map[string][]string{
		"orders":       {"id", "user", "sale", "key", "items", "amount", "currency", "state", "version", "createdAt", "payBefore", "refundedAmount", "delivery", "shard", "table"},
		"order-events": {"order", "n", "at", "from", "to", "why"},
		"claims":       {"attempt", "order", "user", "sale", "sku", "quantity", "price", "currency", "key", "state", "at", "payBefore", "releaseAt", "why"},
		"stock-ledger": {"seq", "sale", "sku", "delta", "kind", "ref", "at"},
		"waiting":      {"seq", "kind", "entry", "user", "sale", "sku", "quantity", "order", "why", "at"},
		"line":         {"kind", "sale", "sku", "entry", "seq", "n", "at", "user", "drawn", "state"},
		"payments":     {"id", "order", "provider", "providerRef", "state", "amount", "currency", "captured", "refunded", "late", "at", "refunds"},
		"balances":     {"record", "id", "slot", "n", "kind", "user", "currency", "amount", "key", "ref", "reason", "who", "at", "entries", "account", "owner", "balance", "credit"},
		"outbox":       {"seq", "id", "topic", "partition", "user", "key", "type", "at", "headers", "payload"},
		"dead-letters": {"id", "group", "topic", "partition", "offset", "user", "key", "type", "reason", "attempts", "failedAt", "state", "note", "headers", "payload"},
		"audit":        {"seq", "at", "who", "act", "object", "why", "before", "after", "id"},
	}
}

const (
	formatNDJSON = "ndjson"
	formatCSV    = "csv"
	formatXLSX   = "xlsx"
)

func exportFormats() []string { return []string{formatNDJSON, formatCSV, formatXLSX} }

// wanted is how an export is to be written.
type wanted struct {
	name, format string
	work         string // the id that its progress is told under; "" tells nobody
	named        bool   // as a file of its own
}

func wantedExport(r *http.Request) (wanted, error) {
	q := r.URL.Query()
	want := wanted{name: r.PathValue("name"), format: q.Get("format"), work: q.Get("work"), named: q.Has("format")}
	if !want.named {
		want.format = formatNDJSON
	}
	switch {
	case !slices.Contains(exportNames(), want.name):
		return want, errs.New(errs.NotFound, "no such export")
	case !slices.Contains(exportFormats(), want.format):
		e := errs.New(errs.Invalid, "the request does not follow the schema")
		e.Fields = []errs.Field{{Detail: "query format: must be ndjson, csv or xlsx"}}
		return want, e
	case len(want.work) > 64:
		e := errs.New(errs.Invalid, "the request does not follow the schema")
		e.Fields = []errs.Field{{Detail: "query work: at most 64 characters"}}
		return want, e
	}
	return want, nil
}

func (w wanted) header(now time.Time) http.Header {
	types := map[string]string{
		formatNDJSON: "application/x-ndjson", formatCSV: "text/csv; charset=utf-8", formatXLSX: reportTypes()["xlsx"],
	}
	h := http.Header{"Content-Type": {types[w.format]}, "X-Content-Type-Options": {"nosniff"}}
	if w.named {
		h.Set("Content-Disposition", `attachment; filename="`+w.name+"-"+now.UTC().Format("20060102-150405")+"."+w.format+`"`)
	}
	return h
}

// export streams an export; one that cannot be finished breaks the connection.
func (s *surface) export(w http.ResponseWriter, r *http.Request) {
	want, err := wantedExport(r)
	if err != nil {
		fail(r, err)
		return
	}
	s.stream(w, r, want.header(s.d.Gateway.Clock.Now()), func(out io.Writer) (err error) {
		told := &teller{out: out, works: s.d.Desk.Works, id: want.work}
		defer func() { told.end(err) }()
		if want.format == formatNDJSON {
			return s.d.Export.Write(r.Context(), want.name, &liner{told})
		}
		table, err := sheet.New(want.format, exportColumns()[want.name], told)
		if err != nil {
			return err
		}
		told.rows = table.Rows
		if err := s.d.Export.Write(r.Context(), want.name, told.through(table)); err != nil {
			return err
		}
		return table.Close()
	})
}

// teller counts what goes out and tells how far it is.
type teller struct {
	out   io.Writer
	works *console.Works
	id    string
	rows  func() int64
	lines int64
	bytes int64
}

func (t *teller) Write(p []byte) (int, error) {
	n, err := t.out.Write(p)
	t.bytes += int64(n)
	return n, err
}

// through tells after each piece that the table takes.
func (t *teller) through(table io.Writer) io.Writer {
	return writer(func(p []byte) (int, error) {
		n, err := table.Write(p)
		t.tell("running")
		return n, err
	})
}

type writer func(p []byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// liner counts lines on their way.
type liner struct{ *teller }

func (l *liner) Write(p []byte) (int, error) {
	for _, b := range p {
		if b == '\n' {
			l.lines++
		}
	}
	n, err := l.teller.Write(p)
	l.tell("running")
	return n, err
}

func (t *teller) tell(state string) {
	if t.works == nil || t.id == "" {
		return
	}
	rows := t.lines
	if t.rows != nil {
		rows = t.rows()
	}
	t.works.Set(t.id, console.Work{State: state, Rows: rows, Bytes: t.bytes})
}

func (t *teller) end(err error) {
	if err != nil {
		t.tell("failed")
		return
	}
	t.tell("done")
}
