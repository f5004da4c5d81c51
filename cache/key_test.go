package cache

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A key that was accepted reads back as itself, holds nothing that splits a command or a slot, and two keys never look alike.
func FuzzKey(f *testing.F) {
	f.Add("shop", "product", "42")
	f.Add("shop", "product", "a:b:c")
	f.Add("shop:x", "product", "{42}")
	f.Fuzz(func(t *testing.T, business, module, id string) {
		k, err := NewKey(business, module, id)
		if err != nil {
			if !errors.Is(err, ErrKey) {
				t.Errorf("%v, want ErrKey", err)
			}
			return
		}
		if strings.ContainsAny(k.String(), " \r\n\t\x00{}") {
			t.Errorf("%q holds what it must not", k)
		}
		back, err := ParseKey(k.String())
		if err != nil || back != k || back.Business() != business || back.Module() != module || back.ID() != id {
			t.Errorf("%q came back as %q, %v", k, back, err)
		}
	})
}

// Malformed keys are refused, naming the part.
func TestMalformedKeys(t *testing.T) {
	t.Parallel()
	for key, part := range map[string]string{
		"": "business:module:id", "a:b": "business:module:id", ":b:1": "business", "A:b:1": "business", "a::1": "module", "a:b:": "id",
		"a:b:x y": "id", "a:b:{x}": "id", "a:b:" + strings.Repeat("x", 201): "id", strings.Repeat("a", 33) + ":b:1": "business",
	} {
		if _, err := ParseKey(key); !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), part) {
			t.Errorf("%q: %v, want ErrKey about %s", key, err, part)
		}
	}
}

// Whatever bytes a store gives back, reading them does not fail; what was written reads back.
func FuzzEntry(f *testing.F) {
	f.Add([]byte{})
	f.Add(entry{soft: time.UnixMilli(5), hard: time.UnixMilli(9), value: []byte("v")}.marshal())
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, ok := parse(raw)
		if !ok {
			return
		}
		if d := cmp.Diff(raw, e.marshal()); d != "" {
			t.Error(d)
		}
	})
}
