package mysqlorder

import (
	"context"
	"database/sql"
	"encoding/hex"
	"strconv"
)

// mostText is when statements are sent: only one statement alone may be longer.
const mostText = 256 << 10

// script is inserts that go to the server as one message. A batch of orders is spread over many tables: that is a statement for
// each, and a round trip for each would cost more than the rows. The server runs them in order and stops at the first that fails;
// its error is that of the message.
//
// Numbers stand in the text in decimal and everything else as a hexadecimal literal: nothing in a value can end it, and the
// client need not look for places to put values into.
type script struct {
	ctx   context.Context // of the one transaction
	tx    *sql.Tx
	text  []byte
	start int  // where the statement in hand begins
	rows  int  // of the statement in hand
	first bool // the next value is the first of its row
}

// begin begins a statement.
func (s *script) begin(head string) {
	if len(s.text) > 0 {
		s.raw(";")
	}
	s.start, s.rows = len(s.text), 0
	s.raw(head)
}

// end ends a statement, and sends what there is when it is enough.
func (s *script) end() error {
	s.rows = 0
	if len(s.text) < mostText {
		return nil
	}
	last := string(s.text[s.start:])
	s.text = s.text[:s.start]
	if err := s.send(); err != nil {
		return err
	}
	s.raw(last)
	return s.send()
}

// send runs the statements that have ended.
func (s *script) send() error {
	if len(s.text) == 0 {
		return nil
	}
	_, err := s.tx.ExecContext(s.ctx, string(s.text))
	s.text, s.start = s.text[:0], 0
	return err
}

func (s *script) raw(text string) { s.text = append(s.text, text...) }

// open begins a row.
func (s *script) open() {
	if s.rows > 0 {
		s.raw(",")
	}
	s.raw("(")
	s.first = true
	s.rows++
}

func (s *script) comma() {
	if !s.first {
		s.raw(",")
	}
	s.first = false
}

func (s *script) number(n int64) {
	s.comma()
	s.text = strconv.AppendInt(s.text, n, 10)
}

func (s *script) bytes(value string) { s.blob([]byte(value)) }

// blob adds a value that may be NULL.
func (s *script) blob(value []byte) {
	s.comma()
	if value == nil {
		s.raw("NULL")
		return
	}
	s.raw("X'")
	s.text = hex.AppendEncode(s.text, value)
	s.raw("'")
}
