package durable

import (
	"os"
	"path/filepath"
	"testing"
)

// A file is replaced with its content and permissions, leaves nothing beside it, and a failure leaves the old content.
func TestWriteFileReplaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, text := range []string{"first", "second"} {
		if err := WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := WriteFile(filepath.Join(dir, "missing", "f"), nil, 0o600); err == nil {
		t.Error("writing into a directory that is not there succeeded")
	}
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(filepath.Join(dir, "d"), []byte("x"), 0o600); err == nil {
		t.Error("a directory was replaced by a file")
	}
	text, err := os.ReadFile(path)
	info, statErr := os.Stat(path)
	left, dirErr := os.ReadDir(dir)
	if err != nil || statErr != nil || dirErr != nil {
		t.Fatal(err, statErr, dirErr)
	}
	if string(text) != "second" || info.Mode().Perm() != 0o600 || len(left) != 2 {
		t.Errorf("got %q, %v and %d entries", text, info.Mode(), len(left))
	}
}
