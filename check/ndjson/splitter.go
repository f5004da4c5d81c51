package ndjson

import (
	"bytes"
	"fmt"
	"io"
)

// Splitter is a writer that cuts what is written into lines and hands each to a function. Call Close after the last write: a
// last line without a newline counts too. Empty lines are left out.
type Splitter struct {
	name string
	f    func(line []byte) error
	rest []byte
	n    int64
}

// NewSplitter returns a splitter; name goes into its errors.
func NewSplitter(name string, f func(line []byte) error) *Splitter {
	return &Splitter{name: name, f: f}
}

// Lines returns how many lines were handed on.
func (s *Splitter) Lines() int64 { return s.n }

// Write takes the next part of the stream. The error of the function ends the stream.
func (s *Splitter) Write(p []byte) (int, error) {
	total := len(p)
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			break
		}
		line := p[:i]
		if len(s.rest) > 0 {
			s.rest = append(s.rest, line...)
			line = s.rest
		}
		if err := s.hand(line); err != nil {
			return 0, err
		}
		s.rest = s.rest[:0]
		p = p[i+1:]
	}
	if len(s.rest)+len(p) > MaxLine {
		return 0, fmt.Errorf("%s line %d: longer than %d bytes", s.name, s.n+1, MaxLine)
	}
	s.rest = append(s.rest, p...)
	return total, nil
}

// Close hands on a last line that had no newline.
func (s *Splitter) Close() error {
	line := s.rest
	s.rest = nil
	return s.hand(line)
}

func (s *Splitter) hand(line []byte) error {
	line = bytes.TrimRight(line, "\r")
	if len(line) == 0 {
		return nil
	}
	s.n++
	if err := s.f(line); err != nil {
		return fmt.Errorf("%s line %d: %w", s.name, s.n, err)
	}
	return nil
}

// Read hands each line of r to f.
func Read(name string, r io.Reader, f func(line []byte) error) error {
	s := NewSplitter(name, f)
	if _, err := io.Copy(s, r); err != nil {
		return err
	}
	return s.Close()
}
