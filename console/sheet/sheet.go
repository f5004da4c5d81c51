// Package sheet turns an export, one JSON object a line, into CSV or XLSX while it is written.
//
// Cells are never formulas: text in a CSV that a spreadsheet would take for one (it begins with =, +, -, @, a tab or a line break) gets
// an apostrophe in front, and in XLSX every text is stored as text. Lists and objects are kept as their JSON. A member that has no
// column of its own goes into the last one, "more", so that nothing is lost.
package sheet

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/xuri/excelize/v2"
)

// Writer takes lines of JSON and writes the table to what is below. Close ends the table. Rows is how many were taken.
type Writer struct {
	columns []string
	out     table
	part    []byte // of a line whose end has not come
	rows    int64
}

// table is one of the two forms.
type table interface {
	row(cells []any) error
	end() error
}

// New returns a writer of the format "csv" or "xlsx" with the columns, in order.
func New(format string, columns []string, w io.Writer) (*Writer, error) {
	s := &Writer{columns: append(slices.Clone(columns), "more")}
	heading := make([]any, len(s.columns))
	for i, c := range s.columns {
		heading[i] = c
	}
	switch format {
	case "csv":
		if _, err := io.WriteString(w, "\ufeff"); err != nil { // or spreadsheets take it for another encoding
			return nil, err
		}
		s.out = &commas{csv.NewWriter(w)}
	case "xlsx":
		s.out = &book{f: excelize.NewFile(), w: w, heading: heading}
		return s, nil
	default:
		return nil, fmt.Errorf("there is no table format %q", format)
	}
	return s, s.out.row(heading)
}

// Rows is how many lines were taken.
func (s *Writer) Rows() int64 { return s.rows }

// Write takes a piece of the export.
func (s *Writer) Write(p []byte) (int, error) {
	rest := p
	for {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		if !whole {
			s.part = append(s.part, rest...)
			return len(p), nil
		}
		if len(s.part) > 0 {
			line = append(s.part, line...)
			s.part = s.part[:0]
		}
		if err := s.line(line); err != nil {
			return 0, err
		}
		rest = after
	}
}

func (s *Writer) line(line []byte) error {
	if len(bytes.TrimSpace(line)) == 0 {
		return nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(line, &object); err != nil {
		return fmt.Errorf("row %d of the export: %w", s.rows+1, err)
	}
	cells := make([]any, len(s.columns))
	for i, c := range s.columns[:len(s.columns)-1] {
		cells[i] = cell(object[c])
		delete(object, c)
	}
	if len(object) > 0 {
		rest, err := json.Marshal(object)
		if err != nil {
			return err
		}
		cells[len(cells)-1] = string(rest)
	}
	s.rows++
	return s.out.row(cells)
}

// Close writes what is left.
func (s *Writer) Close() error {
	if len(s.part) > 0 {
		if err := s.line(s.part); err != nil {
			return err
		}
	}
	return s.out.end()
}

// cell is a text, a number, a truth or nothing.
func cell(raw json.RawMessage) any {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	switch raw[0] {
	case '"':
		var text string
		if json.Unmarshal(raw, &text) == nil {
			return text
		}
	case 't', 'f':
		return raw[0] == 't'
	case '{', '[':
	default:
		var n int64
		if json.Unmarshal(raw, &n) == nil && n > -1<<53 && n < 1<<53 { // spreadsheets count in floating point
			return n
		}
	}
	return string(raw)
}

type commas struct{ *csv.Writer }

func (c *commas) row(cells []any) error {
	record := make([]string, len(cells))
	for i, v := range cells {
		switch v := v.(type) {
		case nil:
		case string:
			record[i] = plain(v)
		default:
			record[i] = fmt.Sprint(v)
		}
	}
	return c.Write(record)
}

func (c *commas) end() error { c.Flush(); return c.Error() }

// plain keeps a text from being a formula.
func plain(text string) string {
	if strings.IndexAny(text, "=+-@\t\r\n") == 0 {
		return "'" + text
	}
	return text
}
