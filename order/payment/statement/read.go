package statement

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Types of a line.
const (
	Capture = "capture"
	Refund  = "refund"
)

// Line is one amount that a provider says it moved. State "" means that it did move.
type Line struct {
	Type     string    `json:"type" enum:"capture,refund"`
	Ref      string    `json:"ref" maxLength:"255" doc:"the provider's transaction"`
	Payment  string    `json:"payment,omitempty" maxLength:"32"`
	Refund   string    `json:"refund,omitempty" maxLength:"32"`
	Amount   int64     `json:"amount" doc:"minor units of currency"`
	Currency string    `json:"currency" maxLength:"16"`
	State    string    `json:"state,omitempty" maxLength:"32"`
	At       time.Time `json:"at,omitempty"`
}

// moved reports whether the line says that money moved.
func (l Line) moved() bool {
	return l.State == "" || slices.Contains([]string{"captured", "refunded", "booked", "settled"}, l.State)
}

// key is what a line is known by: the provider's transaction for a capture, our refund for a refund where it is named.
func (l Line) key() string {
	if l.Type == Refund && l.Refund != "" {
		return l.Refund
	}
	return l.Ref
}

const maxLine = 64 << 10

// Read hands each line of a statement to f, which may stop it with an error. The first character tells NDJSON from CSV. An
// error names the line.
func Read(r io.Reader, f func(Line) error) error {
	in := bufio.NewReaderSize(r, maxLine)
	first, err := in.Peek(1)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	if first[0] == '{' {
		return readNDJSON(in, f)
	}
	return readCSV(in, f)
}

func readNDJSON(r io.Reader, f func(Line) error) error {
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxLine)
	for n := 1; s.Scan(); n++ {
		if strings.TrimSpace(s.Text()) == "" {
			continue
		}
		var l Line
		err := json.Unmarshal(s.Bytes(), &l)
		if err == nil {
			err = give(l, f)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return s.Err()
}

func readCSV(r io.Reader, f func(Line) error) error {
	rows := csv.NewReader(r)
	rows.ReuseRecord = true
	head, err := rows.Read()
	if err != nil {
		return fmt.Errorf("line 1: %w", err)
	}
	at := map[string]int{}
	for i, name := range head {
		at[strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))] = i
	}
	for _, name := range []string{"type", "ref", "amount", "currency"} {
		if _, ok := at[name]; !ok {
			return fmt.Errorf("line 1: the header has no column %q", name)
		}
	}
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		var l Line
		if err == nil {
			l, err = fields(row, at)
		}
		if err == nil {
			err = give(l, f)
		}
		if err != nil {
			n, _ := rows.FieldPos(0)
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
}

func fields(row []string, at map[string]int) (l Line, err error) {
	get := func(name string) string {
		if i, ok := at[name]; ok {
			return strings.Clone(strings.TrimSpace(row[i]))
		}
		return ""
	}
	l = Line{Type: get("type"), Ref: get("ref"), Payment: get("payment"), Refund: get("refund"), Currency: get("currency"), State: get("state")}
	if l.Amount, err = strconv.ParseInt(get("amount"), 10, 64); err != nil {
		return l, fmt.Errorf("amount %q is not a number of minor units", get("amount"))
	}
	if s := get("at"); s != "" {
		if l.At, err = time.Parse(time.RFC3339, s); err != nil {
			return l, fmt.Errorf("at %q is not RFC 3339", s)
		}
	}
	return l, nil
}

func give(l Line, f func(Line) error) error {
	switch {
	case l.Type != Capture && l.Type != Refund:
		return fmt.Errorf("type %q is neither capture nor refund", l.Type)
	case l.key() == "":
		return errors.New("ref is empty")
	case l.Amount < 0:
		return fmt.Errorf("amount %d is negative", l.Amount)
	case len(l.Ref) > 255 || len(l.Currency) > 16:
		return errors.New("ref or currency is too long")
	}
	return f(l)
}
