package seal

import (
	"bytes"
	"testing"
)

// Only the same master key, purpose and owner open what was sealed, and no changed bit goes unseen.
func TestOnlyTheOwnerOpens(t *testing.T) {
	t.Parallel()
	box := func(master, purpose string) Box {
		b, err := New(bytes.Repeat([]byte(master), 24), purpose)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := box("k", "p")
	sealed, err := b.Seal([]byte("text"), "ann")
	if err != nil || bytes.Contains(sealed, []byte("text")) {
		t.Fatalf("%x %v", sealed, err)
	}
	if text, err := b.Open(sealed, "ann"); err != nil || string(text) != "text" {
		t.Fatalf("%q %v", text, err)
	}
	if again, _ := b.Seal([]byte("text"), "ann"); bytes.Equal(again, sealed) {
		t.Error("two seals of one text are the same")
	}
	for name, open := range map[string]func() ([]byte, error){
		"owner": func() ([]byte, error) { return b.Open(sealed, "bob") }, "master": func() ([]byte, error) { return box("x", "p").Open(sealed, "ann") },
		"purpose": func() ([]byte, error) { return box("k", "q").Open(sealed, "ann") }, "zero": func() ([]byte, error) { return Box{}.Open(sealed, "ann") },
	} {
		if text, err := open(); err == nil {
			t.Errorf("another %s opened %q", name, text)
		}
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := b.Open(changed, "ann"); err == nil {
			t.Errorf("byte %d changed unseen", i)
		}
	}
	if _, err := New([]byte("short"), "p"); err == nil {
		t.Error("a short master key was taken")
	}
}
