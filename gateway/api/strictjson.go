package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

const maxDepth = 32

// unmarshal reads JSON as encoding/json does, but refuses what it lets pass: bytes that are not UTF-8, members that occur
// twice (in whatever case), and deep nesting.
func unmarshal(data []byte, v any) error {
	if !utf8.Valid(data) {
		return errors.New("the body is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := value(dec, 0); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("nothing may follow the JSON value")
	}
	return json.Unmarshal(data, v)
}

// value walks over one value.
func value(dec *json.Decoder, depth int) error {
	t, err := dec.Token()
	if err != nil {
		return err
	}
	if depth > maxDepth {
		return fmt.Errorf("nested deeper than %d", maxDepth)
	}
	switch t {
	case json.Delim('['):
		for dec.More() {
			if err := value(dec, depth+1); err != nil {
				return err
			}
		}
	case json.Delim('{'):
		if err := members(dec, depth); err != nil {
			return err
		}
	default:
		return nil
	}
	_, err = dec.Token()
	return err
}

func members(dec *json.Decoder, depth int) error {
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return err
		}
		name, _ := t.(string)
		if name = strings.ToLower(name); seen[name] {
			return fmt.Errorf("member %.64q occurs twice", name)
		}
		seen[name] = true
		if err := value(dec, depth+1); err != nil {
			return err
		}
	}
	return nil
}
