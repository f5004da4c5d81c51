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
	return plain(json.Unmarshal(data, v))
}

// plain says what is wrong with a value in words that tell nothing of the inside.
func plain(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && e.Field != "" {
		return fmt.Errorf("%s: a JSON %s is not what belongs here, or out of range", e.Field, strings.Fields(e.Value + " value")[0])
	}
	return errNotJSON
}

var errNotJSON = errors.New("the body is not valid JSON, or holds a number that is out of range")

// value walks over one value.
func value(dec *json.Decoder, depth int) error {
	t, err := dec.Token()
	if err != nil {
		return errNotJSON
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
	if _, err = dec.Token(); err != nil {
		return errNotJSON
	}
	return nil
}

func members(dec *json.Decoder, depth int) error {
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return errNotJSON
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
