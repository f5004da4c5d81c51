package ndjson

type scanner struct {
	b []byte
	i int
}

func (s *scanner) skipSpace() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\r', '\n':
			s.i++
		default:
			return
		}
	}
}

// take moves past c (and the space before it) if it is next.
func (s *scanner) take(c byte) bool {
	s.skipSpace()
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

func (s *scanner) object(f func([]byte, Value) error) error {
	if !s.take('{') {
		return ErrSyntax
	}
	if s.take('}') {
		return nil
	}
	for {
		name, err := s.value()
		if err != nil {
			return err
		}
		if name[0] != '"' || !s.take(':') {
			return ErrSyntax
		}
		v, err := s.value()
		if err != nil {
			return err
		}
		if err := f(name.Bytes(), v); err != nil {
			return err
		}
		if s.take(',') {
			continue
		}
		if s.take('}') {
			return nil
		}
		return ErrSyntax
	}
}

func (s *scanner) array(f func(Value) error) error {
	if !s.take('[') {
		return ErrSyntax
	}
	if s.take(']') {
		return nil
	}
	for {
		v, err := s.value()
		if err != nil {
			return err
		}
		if err := f(v); err != nil {
			return err
		}
		if s.take(',') {
			continue
		}
		if s.take(']') {
			return nil
		}
		return ErrSyntax
	}
}

// value moves past one value and returns its text.
func (s *scanner) value() (Value, error) {
	s.skipSpace()
	start := s.i
	if s.i >= len(s.b) {
		return nil, ErrSyntax
	}
	switch s.b[s.i] {
	case '"':
		if !s.skipString() {
			return nil, ErrSyntax
		}
	case '{', '[':
		if !s.skipNested() {
			return nil, ErrSyntax
		}
	default:
		s.skipWord()
		if s.i == start {
			return nil, ErrSyntax
		}
	}
	return Value(s.b[start:s.i]), nil
}

func (s *scanner) skipString() bool {
	for s.i++; s.i < len(s.b); s.i++ {
		switch s.b[s.i] {
		case '\\':
			s.i++
		case '"':
			s.i++
			return true
		}
	}
	return false
}

func (s *scanner) skipNested() bool {
	depth := 0
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case '"':
			if !s.skipString() {
				return false
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		s.i++
		if depth == 0 {
			return true
		}
	}
	return false
}

func (s *scanner) skipWord() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ',', ']', '}', ':', ' ', '\t', '\r', '\n', '"', '{', '[':
			return
		}
		s.i++
	}
}
