package check

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strings"

	"penstock/check/ndjson"
)

// earlierAudit is an export taken before, read line by line beside the present one.
type earlierAudit struct {
	file *os.File
	in   *bufio.Scanner
}

func (w *world) openEarlier(path string) error {
	if path == "" {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("earlier audit: %w", err)
	}
	in := bufio.NewScanner(f)
	in.Buffer(nil, ndjson.MaxLine)
	w.earlier = &earlierAudit{f, in}
	return nil
}

// next returns the next line that is not empty.
func (e *earlierAudit) next() ([]byte, bool) {
	for e.in.Scan() {
		if line := bytes.TrimSpace(e.in.Bytes()); len(line) > 0 {
			return line, true
		}
	}
	return nil, false
}

func (w *world) audit(line []byte) error {
	var seq int64
	var act, object string
	var sides [2]ndjson.Value
	err := ndjson.Fields(line, func(name []byte, v ndjson.Value) (err error) {
		switch string(name) {
		case "seq":
			seq, err = v.Int()
		case "act":
			act = v.Text()
		case "object":
			object = v.Text()
		case "before":
			sides[0] = v
		case "after":
			sides[1] = v
		}
		return err
	})
	if err != nil {
		return err
	}
	w.counts["audit"]++
	w.tally.ran("I22", 1)
	if seq <= w.auditSeq {
		w.tally.bad("I22", "audit row %d stands behind row %d", seq, w.auditSeq)
	}
	if seq > w.auditSeq+1 {
		w.tally.bad("I22", "audit rows %d to %d are not there: the numbers have no gaps", w.auditSeq+1, seq-1)
	}
	w.auditSeq = max(w.auditSeq, seq)
	if w.earlier != nil {
		if was, ok := w.earlier.next(); ok && !bytes.Equal(was, line) {
			w.tally.bad("I22", "audit row %d is not what the earlier export says there", seq)
		}
	}
	sale := object[strings.LastIndexAny(object, "/: ")+1:]
	for _, side := range sides {
		w.widen(sale, side.Bytes())
	}
	if strings.Contains(act, "force_sold_out") {
		w.counts["forcedSoldOut"]++
	}
	return nil
}

// widen takes in the times that a sale once had: a hold must fit one of its definitions.
func (w *world) widen(sale string, definition []byte) {
	win := w.windows[sale]
	if win == nil || len(definition) == 0 || definition[0] != '{' {
		return
	}
	var start, end, grace int64
	err := ndjson.Fields(definition, func(name []byte, v ndjson.Value) (err error) {
		switch string(name) {
		case "startsAt":
			start, err = v.Nanos()
		case "endsAt":
			end, err = v.Nanos()
		case "graceSeconds":
			grace, err = v.Int()
		}
		return err
	})
	if err != nil {
		return
	}
	if start != 0 {
		win.start = min(win.start, start)
	}
	win.end = max(win.end, end)
	win.grace = max(win.grace, grace*1e9)
}

func (w *world) finishAudit() {
	if w.earlier == nil {
		w.tally.note("I22", "by its numbers; whether a row was changed, or the last ones are gone, takes an earlier export")
		return
	}
	for line, ok := w.earlier.next(); ok; line, ok = w.earlier.next() {
		w.tally.bad("I22", "a row of the earlier export is gone: %.100s", line)
	}
	if err := w.earlier.in.Err(); err != nil {
		w.tally.bad("I22", "the earlier export cannot be read: %v", err)
	}
	_ = w.earlier.file.Close()
}
