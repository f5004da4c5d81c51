package owner

import (
	"errors"
	"strings"
	"testing"
)

// A directory has one owner at a time, and the second is told who has it.
func TestOneOwner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := Take(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = Take(dir); !errors.Is(err, ErrTaken) || !strings.Contains(err.Error(), dir) {
		t.Fatalf("the second owner got %v, want ErrTaken naming %s", err, dir)
	}
	if Free(dir) {
		t.Error("an owned directory is said to be free")
	}
	if err = first.Release(); err != nil {
		t.Fatal(err)
	}
	if !Free(dir) {
		t.Error("a released directory is said to be owned")
	}
	again, err := Take(dir)
	if err != nil {
		t.Fatalf("a released directory could not be taken: %v", err)
	}
	if err = errors.Join(again.Release(), again.Release()); err != nil {
		t.Errorf("releasing twice: %v", err)
	}
}
