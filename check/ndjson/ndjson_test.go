package ndjson

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Every member that encoding/json writes is read back with the same name and the same text.
func TestFieldsAgreeWithEncodingJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "object")
		line, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		// json.Marshal replaces invalid UTF-8, so compare with what it reads back.
		want := map[string]string{}
		if err := json.Unmarshal(line, &want); err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		err = Fields(line, func(name []byte, v Value) error {
			got[string(name)] = v.Text()
			return nil
		})
		if err != nil || !cmp.Equal(got, want) {
			t.Fatalf("%s: %v %s", line, err, cmp.Diff(want, got))
		}
	})
}

// Nested values are skipped whole, whatever brackets stand in their strings.
func TestNestedValues(t *testing.T) {
	t.Parallel()
	line := []byte(`{"items":[{"sku":"a]\"}","n":[1,[2]]},{"sku":"b"}], "n" : -12 ,"t":"2026-11-11T00:00:00.000000001Z","z":null,"ok":true}`)
	var skus []string
	err := Fields(line, func(name []byte, v Value) error {
		switch string(name) {
		case "items":
			return Elements(v, func(v Value) error {
				return Fields(v, func(name []byte, v Value) error {
					if string(name) == "sku" {
						skus = append(skus, v.Text())
					}
					return nil
				})
			})
		case "n":
			if n, err := v.Int(); err != nil || n != -12 {
				t.Errorf("n = %d, %v", n, err)
			}
		case "t":
			if n, err := v.Nanos(); err != nil || n != 1794355200000000001 {
				t.Errorf("t = %d, %v", n, err)
			}
		case "z":
			if !v.Null() {
				t.Error("z is not null")
			}
		case "ok":
			if !v.True() {
				t.Error("ok is not true")
			}
		}
		return nil
	})
	if err != nil || !cmp.Equal(skus, []string{`a]"}`, "b"}) {
		t.Fatalf("skus %q, %v", skus, err)
	}
}

// A line that is cut short or is no object is an error, not a half-read record.
func TestBrokenLines(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "[]", "7", "{", `{"a"`, `{"a":`, `{"a":1`, `{"a":1,}`, `{"a":"x`, `{"a":[1}`, `{"a":1}x`, `{a:1}`, `{"a" 1}`} {
		err := Fields([]byte(bad), func([]byte, Value) error { return nil })
		if err == nil {
			t.Errorf("%q was read without an error", bad)
		}
	}
}

// However the stream is cut into writes, the lines come out whole.
func TestSplitterKeepsLinesWhole(t *testing.T) {
	t.Parallel()
	want := []string{`{"a":1}`, `{"b":2}`, `{"c":3}`}
	text := []byte("{\"a\":1}\n\n{\"b\":2}\r\n{\"c\":3}")
	for _, r := range []io.Reader{bytes.NewReader(text), iotest.OneByteReader(bytes.NewReader(text)), iotest.HalfReader(bytes.NewReader(text))} {
		var got []string
		err := Read("x", r, func(line []byte) error {
			got = append(got, string(line))
			return nil
		})
		if err != nil || !cmp.Equal(got, want) {
			t.Fatalf("%q, %v", got, err)
		}
	}
}
