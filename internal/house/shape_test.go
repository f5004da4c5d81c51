package house

import (
	"fmt"
	"go/ast"
	"go/format"
)

// What may be how big. The models this house learns from stay far below; these are where something wants splitting.
const (
	maxFileLines         = 800
	maxFunctionLines     = 80
	maxTestFunctionLines = 140
	maxParameters        = 5
	maxMethods           = 7
)

var (
	// longFunctions are named "path: function".
	longFunctions = exceptions{}
	// manyParameters are named "path: function".
	manyParameters = exceptions{
		"sale/operate.go: Offer": "the API's port: one operator's act with who, what, how many, key and reason; a struct would name the same things twice",
		"app/audited.go: Cancel": "records what order.Cancel does, under the same port",
		"order/act.go: Cancel":   "the API's port: whose order, which, who acts, why, and the trace that the message carries on",
	}
	// bigInterfaces are named "path: interface".
	bigInterfaces = exceptions{
		"gateway/api/rooms.go: Sales": "it is the whole of what the sale calls of the API need, declared by the one consumer; no driver implements it",
	}
)

func fileLength(t *tree) []string {
	var out []string
	for _, f := range t.files {
		if n := f.lines(); n > maxFileLines {
			out = append(out, fmt.Sprintf("%s has %d lines; split it (at most %d)", f.path, n, maxFileLines))
		}
	}
	return out
}

func functionLength(t *tree) []string {
	found := map[string]string{}
	t.functions(func(f *file, d *ast.FuncDecl) {
		limit := maxFunctionLines
		if f.test() {
			limit = maxTestFunctionLines
		}
		n := t.fset.Position(d.End()).Line - t.fset.Position(d.Pos()).Line + 1
		if n > limit {
			found[f.path+": "+d.Name.Name] = fmt.Sprintf("%s: %s has %d lines (at most %d)", t.at(d), d.Name.Name, n, limit)
		}
	})
	return longFunctions.check(found)
}

func parameters(t *tree) []string {
	found := map[string]string{}
	t.functions(func(f *file, d *ast.FuncDecl) {
		if n := d.Type.Params.NumFields(); n > maxParameters && !f.test() {
			found[f.path+": "+d.Name.Name] = fmt.Sprintf("%s: %s takes %d parameters (at most %d)", t.at(d), d.Name.Name, n, maxParameters)
		}
	})
	return manyParameters.check(found)
}

// interfaces counts the methods written out; an embedded interface counts as one.
func interfaces(t *tree) []string {
	found := map[string]string{}
	for _, f := range t.files {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			s, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if i, ok := s.Type.(*ast.InterfaceType); ok && i.Methods.NumFields() > maxMethods {
				found[f.path+": "+s.Name.Name] = fmt.Sprintf("%s: interface %s has %d methods (at most %d)",
					t.at(s), s.Name.Name, i.Methods.NumFields(), maxMethods)
			}
			return true
		})
	}
	return bigInterfaces.check(found)
}

func formatted(t *tree) []string {
	var out []string
	for _, f := range t.files {
		want, err := format.Source([]byte(f.src))
		if err != nil || string(want) != f.src {
			out = append(out, f.path+" is not gofmt'ed")
		}
	}
	return out
}

// functions calls do for every function and method with a body.
func (t *tree) functions(do func(*file, *ast.FuncDecl)) {
	for _, f := range t.files {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
				do(f, fn)
			}
		}
	}
}
