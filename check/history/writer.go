package history

import (
	"bufio"
	"encoding/json"
	"io"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"
)

// Writer writes records. Safe for concurrent use.
type Writer struct {
	mu  sync.Mutex
	buf *bufio.Writer
	tmp []byte
	err error
	n   int64
}

// NewWriter returns a writer to w. The caller calls Flush often enough that losing what is buffered is acceptable.
func NewWriter(w io.Writer) *Writer {
	return &Writer{buf: bufio.NewWriterSize(w, 1<<16)}
}

// Write appends one record. The first error of the underlying writer is kept and returned by Flush.
func (w *Writer) Write(r *Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tmp = r.append(w.tmp[:0])
	w.n++
	if _, err := w.buf.Write(w.tmp); err != nil && w.err == nil {
		w.err = err
	}
}

// Count returns how many records were written.
func (w *Writer) Count() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.n
}

// Flush hands everything to the underlying writer and returns the first error there was.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.buf.Flush(); err != nil && w.err == nil {
		w.err = err
	}
	return w.err
}

func (r *Record) append(b []byte) []byte {
	b = append(b, `{"phase":"`...)
	b = append(b, r.Phase...)
	b = append(b, `","seed":`...)
	b = strconv.AppendInt(b, r.Seed, 10)
	b = append(b, `,"client":`...)
	b = strconv.AppendInt(b, int64(r.Client), 10)
	b = append(b, `,"call":`...)
	b = strconv.AppendUint(b, r.Call, 10)
	b = appendText(b, "sale", r.Sale)
	b = appendText(b, "user", r.User)
	b = appendText(b, "key", r.Key)
	b = appendText(b, "op", string(r.Op))
	b = appendText(b, "sku", r.SKU)
	b = append(b, `,"qty":`...)
	b = strconv.AppendInt(b, r.Qty, 10)
	b = appendTime(b, "t_send", r.TSend)
	if r.Phase == Recv {
		b = r.appendAnswer(b)
	}
	return append(b, "}\n"...)
}

func (r *Record) appendAnswer(b []byte) []byte {
	b = appendTime(b, "t_recv", r.TRecv)
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(r.Status), 10)
	b = appendText(b, "order", r.Order)
	if r.Amount != 0 {
		b = append(b, `,"amount":`...)
		b = strconv.AppendInt(b, r.Amount, 10)
	}
	b = appendText(b, "problem", r.Problem)
	b = appendText(b, "state", r.State)
	if r.Replayed {
		b = append(b, `,"replayed":true`...)
	}
	return b
}

func appendTime(b []byte, name string, t time.Time) []byte {
	b = append(append(append(b, `,"`...), name...), `":"`...)
	return append(t.UTC().Truncate(time.Microsecond).AppendFormat(b, time.RFC3339Nano), '"')
}

func appendText(b []byte, name, s string) []byte {
	if s == "" {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":`...)
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			quoted, err := json.Marshal(s)
			if err != nil {
				quoted = []byte(`""`)
			}
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
