package house

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"sort"
	"strings"
)

// vague are names that say nothing about what is inside.
var vague = regexp.MustCompile(`^(utils?|common|helpers?|base|models?|managers?|misc|shared|types|lib)$`)

var leftover = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b`)

func names(t *tree) []string {
	var out []string
	for dir := range t.packages() {
		if vague.MatchString(path.Base(dir)) {
			out = append(out, fmt.Sprintf("%s: call the package by what it does", dir))
		}
	}
	sort.Strings(out)
	return out
}

func leftovers(t *tree) []string {
	var out []string
	for _, f := range t.files {
		for i, line := range strings.Split(f.src, "\n") {
			if leftover.MatchString(line) {
				out = append(out, fmt.Sprintf("%s:%d: do it, or file it elsewhere", f.path, i+1))
			}
		}
	}
	return out
}

func packageComments(t *tree) []string {
	var out []string
	for dir, files := range t.packages() {
		name, comment, code := "", "", false
		for _, f := range files {
			if f.test() {
				continue
			}
			code, name = true, f.ast.Name.Name
			if f.ast.Doc != nil {
				comment = f.ast.Doc.Text()
			}
		}
		begin := "Package " + name + " "
		if name == "main" {
			begin = "Command " + path.Base(dir) + " "
		}
		switch {
		case !code:
		case comment == "":
			out = append(out, dir+" has no package comment: what it promises, what it does not, who may call it at once")
		case !strings.HasPrefix(comment, begin):
			out = append(out, fmt.Sprintf("%s: the package comment begins %q, not %q", dir, strings.Fields(comment)[0], begin))
		}
	}
	sort.Strings(out)
	return out
}

// testSentences wants a sentence above each test and fuzz target.
func testSentences(t *tree) []string {
	var out []string
	t.functions(func(f *file, d *ast.FuncDecl) {
		n := d.Name.Name
		is := f.test() && d.Recv == nil && n != "TestMain" && (strings.HasPrefix(n, "Test") || strings.HasPrefix(n, "Fuzz"))
		if is && d.Doc == nil {
			out = append(out, fmt.Sprintf("%s: %s has no sentence saying what it proves", t.at(d), n))
		}
	})
	return out
}
