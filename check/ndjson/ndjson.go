// Package ndjson reads newline-delimited JSON objects without reflection, a few hundred nanoseconds a line.
//
// It promises that a line which is not one JSON object is an error and that strings are unescaped as JSON says. It does not
// validate numbers it is not asked for, and it keeps nothing: names and values point into the line and are valid only during the
// call. Functions are safe for concurrent use; a [Splitter] is used by one goroutine.
package ndjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// MaxLine is the longest line that a [Splitter] takes, in bytes.
const MaxLine = 16 << 20

// ErrSyntax says that a line is not a JSON object.
var ErrSyntax = errors.New("not a JSON object")

// Value is the raw text of a JSON value; nil means absent.
type Value []byte

// Fields calls f for each member of the object in line, in order. It stops at the first error.
func Fields(line []byte, f func(name []byte, v Value) error) error {
	s := scanner{b: line}
	if err := s.object(f); err != nil {
		return err
	}
	if s.skipSpace(); s.i != len(s.b) {
		return ErrSyntax
	}
	return nil
}

// Elements calls f for each element of the array v. A null is an empty array.
func Elements(v Value, f func(Value) error) error {
	if v.Null() {
		return nil
	}
	s := scanner{b: v}
	return s.array(f)
}

// Null reports whether the value is absent or null.
func (v Value) Null() bool { return len(v) == 0 || v[0] == 'n' }

// Text returns a string value, "" for null, and the raw text of a number or a truth value.
func (v Value) Text() string { return string(v.Bytes()) }

// Bytes is Text without a copy where the string has no escapes.
func (v Value) Bytes() []byte {
	if v.Null() {
		return nil
	}
	if v[0] != '"' {
		return v
	}
	if bytes.IndexByte(v, '\\') < 0 {
		return v[1 : len(v)-1]
	}
	var s string
	if json.Unmarshal(v, &s) != nil {
		return nil
	}
	return []byte(s)
}

// Int returns an integer, written as a number or as a string; 0 for null.
func (v Value) Int() (int64, error) {
	if v.Null() {
		return 0, nil
	}
	n, err := strconv.ParseInt(string(v.Bytes()), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%.40s is not an integer", v)
	}
	return n, nil
}

// Nanos returns an RFC 3339 time as nanoseconds since 1970; 0 for null and for "".
func (v Value) Nanos() (int64, error) {
	b := v.Bytes()
	if len(b) == 0 {
		return 0, nil
	}
	t, err := time.Parse(time.RFC3339Nano, string(b))
	if err != nil {
		return 0, fmt.Errorf("%.40s is not an RFC 3339 time", v)
	}
	if t.IsZero() {
		return 0, nil
	}
	return t.UnixNano(), nil
}

// True reports whether the value is true.
func (v Value) True() bool { return string(v) == "true" }
