package house

import (
	"fmt"
	"go/ast"
	"go/token"
	"sort"
	"strings"
)

// constructors are calls whose result may stand in a package-level variable: what they return is never changed after.
var constructors = map[string]string{
	"errors.New":           "an error is a name",
	"fmt.Errorf":           "an error is a name",
	"regexp.MustCompile":   "a compiled pattern does not change",
	"strings.NewReplacer":  "a replacer does not change",
	"time.Date":            "a moment does not change",
	".AddDate":             "a moment does not change",
	"cmpopts.IgnoreFields": "an option of a comparison does not change",
	"cases.Fold":           "a folder does not change",
	"sync.OnceValue":       "in tests: something read once",
	"sync.OnceValues":      "in tests: something read once",
	"flag.Bool":            "in tests: a switch of the test run",
	"flag.String":          "in tests: a switch of the test run",
	"flag.Int":             "in tests: a switch of the test run",
	"flag.Int64":           "in tests: a switch of the test run",
	"flag.Uint64":          "in tests: a switch of the test run",
	"base64.NewEncoding":   "an encoding does not change",
	"reflect.TypeFor":      "a type does not change",
	"crc32.MakeTable":      "a table does not change",
}

// shared are variables that may exist once per process, named "path: name".
var shared = exceptions{
	"test/accept/server_test.go: bin":     "TestMain builds the binary once for all tests",
	"test/accept/server_test.go: shared":  "TestMain starts one server for the tests that need nothing of their own",
	"test/accept/client_test.go: counter": "names of sales and users that no other test uses",
}

func noInit(t *tree) []string {
	var out []string
	t.functions(func(f *file, d *ast.FuncDecl) {
		if d.Recv == nil && d.Name.Name == "init" {
			out = append(out, t.at(d)+": init() hides wiring; do it by hand in app")
		}
	})
	return out
}

// packageState finds package-level variables that could make two Penstocks in one process meet: those without a value, those
// made by a call that is not known to be harmless, and those that some function of the package writes to.
func packageState(t *tree) []string {
	found := map[string]string{}
	for _, files := range t.packages() {
		written := map[string]bool{}
		for _, f := range files {
			for _, d := range f.ast.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
					writes(fn, written)
				}
			}
		}
		for _, f := range files {
			for name, why := range suspects(f, written) {
				found[f.path+": "+name] = fmt.Sprintf("%s: %s %s", f.path, name, why)
			}
		}
	}
	return shared.check(found)
}

func suspects(f *file, written map[string]bool) map[string]string {
	out := map[string]string{}
	for _, d := range f.ast.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			for i, n := range v.Names {
				if n.Name == "_" {
					continue
				}
				if why := suspicion(g, v, i, written[n.Name]); why != "" {
					out[n.Name] = why
				}
			}
		}
	}
	return out
}

func suspicion(g *ast.GenDecl, v *ast.ValueSpec, i int, written bool) string {
	embedded := v.Doc != nil || g.Doc != nil
	switch {
	case written:
		return "is written to by a function: keep it in a value that New returns"
	case len(v.Values) <= i && embedded && embed(g, v):
		return ""
	case len(v.Values) <= i:
		return "has no value: it can only be state"
	}
	if c, ok := v.Values[i].(*ast.CallExpr); ok && !harmless(callee(c)) && !literal(c.Fun) {
		return fmt.Sprintf("is made by %s, which is not on the list of harmless constructors", callee(c))
	}
	return ""
}

// harmless looks a call up by its full name, then as a method of anything.
func harmless(name string) bool {
	return constructors[name] != "" || constructors["."+name[strings.LastIndexByte(name, '.')+1:]] != ""
}

// literal reports a conversion such as []byte("x") or a function literal called on the spot.
func literal(e ast.Expr) bool {
	switch e.(type) {
	case *ast.ArrayType, *ast.FuncLit, *ast.ParenExpr:
		return true
	}
	return false
}

func embed(g *ast.GenDecl, v *ast.ValueSpec) bool {
	for _, doc := range []*ast.CommentGroup{g.Doc, v.Doc} {
		if doc == nil {
			continue
		}
		for _, c := range doc.List {
			if len(c.Text) > 10 && c.Text[:10] == "//go:embed" {
				return true
			}
		}
	}
	return false
}

func callee(c *ast.CallExpr) string {
	fun := c.Fun
	if ix, ok := fun.(*ast.IndexExpr); ok {
		fun = ix.X
	}
	switch f := fun.(type) {
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok {
			return x.Name + "." + f.Sel.Name
		}
	case *ast.Ident:
		return f.Name
	}
	return "a call"
}

// writes collects the names that fn assigns to and does not declare itself, by spelling: a parameter or a local variable of
// the same name hides the package's.
func writes(fn *ast.FuncDecl, into map[string]bool) {
	local := map[string]bool{}
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			mark(local, n.Names...)
		case *ast.ValueSpec:
			mark(local, n.Names...)
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				for _, l := range n.Lhs {
					if id, ok := l.(*ast.Ident); ok {
						mark(local, id)
					}
				}
			}
		case *ast.RangeStmt:
			for _, e := range []ast.Expr{n.Key, n.Value} {
				if id, ok := e.(*ast.Ident); ok && n.Tok == token.DEFINE {
					mark(local, id)
				}
			}
		}
		return true
	})
	ast.Inspect(fn, func(n ast.Node) bool {
		for _, target := range targets(n) {
			if name := rootName(target); name != "" && !local[name] {
				into[name] = true
			}
		}
		return true
	})
}

func targets(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			return n.Lhs
		}
	case *ast.IncDecStmt:
		return []ast.Expr{n.X}
	case *ast.CallExpr:
		if id, ok := n.Fun.(*ast.Ident); ok && (id.Name == "delete" || id.Name == "clear") && len(n.Args) > 0 {
			return n.Args[:1]
		}
	}
	return nil
}

func rootName(e ast.Expr) string {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x.Name
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return ""
		}
	}
}

func mark(set map[string]bool, ids ...*ast.Ident) {
	for _, id := range ids {
		set[id.Name] = true
	}
}

// sorted lists the keys of a set.
func sorted(set map[string]bool) []string {
	out := make([]string, 0, len(set))
	for k := range set {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}
