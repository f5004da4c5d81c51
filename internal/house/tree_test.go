package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// tree is the repository as the rules see it. Paths are slash-separated and relative to the root.
type tree struct {
	fset *token.FileSet
	// files are all Go files, in order of path.
	files []*file
	// texts are the other files that people wrote: documents, scripts, build files.
	texts map[string]string
}

type file struct {
	path string
	src  string
	ast  *ast.File
}

func (f *file) dir() string { return path.Dir(f.path) }
func (f *file) test() bool  { return strings.HasSuffix(f.path, "_test.go") }
func (f *file) lines() int  { return strings.Count(f.src, "\n") }

// at says where a node stands.
func (t *tree) at(n ast.Node) string {
	p := t.fset.Position(n.Pos())
	return fmt.Sprintf("%s:%d", p.Filename, p.Line)
}

// packages groups the files of each directory. External test packages count as tests of their directory.
func (t *tree) packages() map[string][]*file {
	dirs := map[string][]*file{}
	for _, f := range t.files {
		dirs[f.dir()] = append(dirs[f.dir()], f)
	}
	return dirs
}

func (t *tree) add(name, src string) error {
	if !strings.HasSuffix(name, ".go") {
		t.texts[name] = src
		return nil
	}
	a, err := parser.ParseFile(t.fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	t.files = append(t.files, &file{path: name, src: src, ast: a})
	return nil
}

// plant makes a tree from file names and contents.
func plant(t *testing.T, files map[string]string) *tree {
	t.Helper()
	tr := &tree{fset: token.NewFileSet(), texts: map[string]string{}}
	for name, src := range files {
		if err := tr.add(name, src); err != nil {
			t.Fatal(err)
		}
	}
	return tr
}

const root = "../.."

// house reads the repository once.
var house = sync.OnceValues(func() (*tree, error) {
	tr := &tree{fset: token.NewFileSet(), texts: map[string]string{}}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if skipped(rel) {
				return fs.SkipDir
			}
			return nil
		}
		if !read(rel) {
			return nil
		}
		src, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return tr.add(rel, string(src))
	})
	return tr, err
})

// skipped are directories whose contents nobody here wrote, or that only a run leaves behind.
func skipped(dir string) bool {
	switch dir {
	case ".git", "bin", "data", "tmp":
		return true
	}
	return strings.HasPrefix(dir, "bench-run-") || path.Base(dir) == "node_modules" || path.Base(dir) == "testdata"
}

func read(name string) bool {
	switch path.Ext(name) {
	case ".go", ".md", ".yaml", ".yml", ".sh", ".html", ".js", ".css", ".ts":
		return true
	}
	return name == "Makefile" || name == "go.mod" || name == "LICENSE" || name == ".ci/run"
}

// there reports whether a path exists in the repository.
func there(name string) bool {
	_, err := os.Stat(filepath.Join(root, filepath.FromSlash(name)))
	return err == nil
}
