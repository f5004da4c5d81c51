package sqlite_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"penstock/engine/sqlite"
)

// A whole file has nothing wrong; one that is no database, one with a damaged page and one whose index misses a row are told,
// and looking changes no byte of them.
func TestVerify(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a b%.db")
	db, err := sqlite.Open(t.Context(), path, []string{`CREATE TABLE t (n INTEGER PRIMARY KEY, s TEXT NOT NULL); CREATE INDEX t_s ON t (s);
		WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 2000) INSERT INTO t SELECT n, hex(n * n) || 'abcdefgh' FROM c`}, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	verify := func() string {
		t.Helper()
		wrong, err := sqlite.Verify(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(wrong, "; ")
	}
	if got := verify(); got != "" {
		t.Errorf("beside its owner: %s", got)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(whole)
	changed[bytes.LastIndex(whole, []byte("abcdefgh"))] = 'z'
	for name, c := range map[string]struct {
		bytes []byte
		want  string
	}{
		"whole":         {whole, ""},
		"no database":   {append(bytes.Repeat([]byte("x"), 100), whole[100:]...), "file is not a database"},
		"cut":           {whole[:len(whole)/2/4096*4096], "malformed"},
		"a lost page":   {append(append(bytes.Clone(whole[:3*4096]), make([]byte, 4096)...), whole[4*4096:]...), ""},
		"a changed row": {changed, "index"},
	} {
		if err := os.WriteFile(path, c.bytes, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := verify(); !strings.Contains(got, c.want) || (got == "") != (name == "whole") {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, c.bytes) {
			t.Errorf("%s: looking changed the file, %v", name, err)
		}
	}
	if _, err := sqlite.Verify(t.Context(), path+".gone"); err == nil {
		t.Error("a file that is not there is whole")
	}
}
