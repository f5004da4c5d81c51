package house

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	mdLink  = regexp.MustCompile(`\]\(([^)#:\s]+)(#[^)]*)?\)`)
	looksGo = regexp.MustCompile(`^[\w./-]+\.(go|md|yaml|json|html)$`)
)

// Paths and links in the documents lead to something: a backticked name that begins like a directory of this repository, or
// ends like a file in one, and every relative link.
func TestDocumentsNameWhatExists(t *testing.T) {
	t.Parallel()
	tr, err := house()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range tr.texts {
		if path.Ext(name) != ".md" {
			continue
		}
		for _, f := range pathFindings(name, text) {
			t.Error(f)
		}
	}
}

// A dead path and a dead link are found; routes, globs and code are not taken for paths.
func TestDocumentPathsFindBreaches(t *testing.T) {
	t.Parallel()
	text := "see `errs/errs.go`, `errs/gone.go`, `errs/`, `/v1/sales`, `go test ./errs/...`, `errs/*.go`, [a](../errs/errs.go) and [b](gone.md)"
	want := []string{"docs/x.md names errs/gone.go, which does not exist", "docs/x.md links to gone.md, which does not exist"}
	if d := cmp.Diff(want, pathFindings("docs/x.md", text)); d != "" {
		t.Error(d)
	}
}

func pathFindings(name, text string) []string {
	var out []string
	for _, m := range quoted.FindAllStringSubmatch(text, -1) {
		p := m[1]
		if strings.ContainsAny(p, " *{}<>$:…") || strings.HasPrefix(p, "/") || strings.HasPrefix(p, "-") {
			continue
		}
		inside := strings.Contains(p, "/") && roomFor(strings.TrimSuffix(p, "/")) != nil || strings.HasPrefix(p, "docs/")
		if (inside || strings.Contains(p, "/") && looksGo.MatchString(p)) && !there(p) && !there(path.Join(path.Dir(name), p)) {
			out = append(out, fmt.Sprintf("%s names %s, which does not exist", name, p))
		}
	}
	for _, m := range mdLink.FindAllStringSubmatch(text, -1) {
		if !there(path.Join(path.Dir(name), m[1])) {
			out = append(out, fmt.Sprintf("%s links to %s, which does not exist", name, m[1]))
		}
	}
	return out
}

// Every direct dependency has a sentence in docs/dependencies.md saying why, and no sentence speaks of one that is gone.
func TestDependenciesHaveReasons(t *testing.T) {
	t.Parallel()
	tr, err := house()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range dependencyFindings(tr.texts["go.mod"], tr.texts["docs/dependencies.md"]) {
		t.Error(f)
	}
}

// A dependency without a reason, a reason without a dependency and an empty reason are found; indirect ones need none.
func TestDependenciesFindBreaches(t *testing.T) {
	t.Parallel()
	mod := "require (\n\ta.example/x v1.0.0\n\ta.example/y v1.0.0\n\ta.example/i v1.0.0 // indirect\n)\nrequire a.example/z v1.0.0\n"
	doc := "| `a.example/x` | reads the thing that nothing else reads |\n| `a.example/z` | |\n| `a.example/gone` | was of use once upon a time |"
	want := []string{"a.example/gone is in docs/dependencies.md but not in go.mod", "a.example/y is in go.mod but docs/dependencies.md does not say why",
		"a.example/z is in go.mod but docs/dependencies.md does not say why"}
	if d := cmp.Diff(want, dependencyFindings(mod, doc)); d != "" {
		t.Error(d)
	}
}

var requirement = regexp.MustCompile(`(?m)^(?:require\s+|\t)([\w.\-/]+\.[\w.\-/]+) v\S+$`)

func dependencyFindings(mod, doc string) []string {
	direct, explained := map[string]bool{}, map[string]bool{}
	for _, m := range requirement.FindAllStringSubmatch(mod, -1) {
		direct[m[1]] = true
	}
	for _, row := range tableRows(doc) {
		if m := quoted.FindStringSubmatch(row[0]); m != nil && len(row) > 1 && len(row[1]) > 20 {
			explained[m[1]] = true
		} else if m != nil && !direct[m[1]] {
			explained[m[1]] = true
		}
	}
	var out []string
	for m := range direct {
		if !explained[m] {
			out = append(out, m+" is in go.mod but docs/dependencies.md does not say why")
		}
	}
	for m := range explained {
		if !direct[m] {
			out = append(out, m+" is in docs/dependencies.md but not in go.mod")
		}
	}
	sort.Strings(out)
	return out
}

var fence = regexp.MustCompile("(?s)```sh\n(.*?)```")

// The two READMEs give the same commands.
func TestReadmesGiveTheSameCommands(t *testing.T) {
	t.Parallel()
	tr, err := house()
	if err != nil {
		t.Fatal(err)
	}
	en, zh := shell(tr.texts["README.md"]), shell(tr.texts["README.zh-CN.md"])
	if len(en) < 3 {
		t.Errorf("README.md gives %d commands; it has lost some", len(en))
	}
	if d := cmp.Diff(en, zh); d != "" {
		t.Errorf("README.md and README.zh-CN.md differ:\n%s", d)
	}
}

// shell returns the commands of the sh blocks, without comments.
func shell(text string) []string {
	var out []string
	for _, m := range fence.FindAllStringSubmatch(text, -1) {
		for _, l := range strings.Split(m[1], "\n") {
			l, _, _ = strings.Cut(l, " #")
			if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "#") {
				out = append(out, l)
			}
		}
	}
	return out
}

// words are things that must not stand anywhere in the repository, and why.
var words = map[string]*regexp.Regexp{
	"a path of somebody's machine":            regexp.MustCompile(`/tmp/` + `bash_jobs|/work/` + `(main|shared)|(?:^|[^"'/])\.\./` + `shared/|/root/` + `go|/home/` + `[a-z]+/`),
	"the host of a package registry":          regexp.MustCompile(`proxy\.` + `golang\.org|registry\.` + `npmjs\.org|repo1\.` + `maven\.org`),
	"a key or a token":                        regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE ` + `KEY-----|AKIA` + `[0-9A-Z]{16}`),
	"a merge that was not finished":           regexp.MustCompile(`(?m)^(<<<<<<<|>>>>>>>) `),
	"something only the build machine knows":  regexp.MustCompile(`seed-` + `bf27`),
	"a tracker's number instead of the cause": regexp.MustCompile(`(?i)\bissue` + ` #?\d+\b`),
}

// No file carries a word from the list.
func TestForbiddenWords(t *testing.T) {
	t.Parallel()
	tr, err := house()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for name, text := range tr.texts {
		all[name] = text
	}
	for _, f := range tr.files {
		all[f.path] = f.src
	}
	for name, text := range all {
		for what, re := range words {
			if m := re.FindStringIndex(text); m != nil {
				t.Errorf("%s:%d has %s: %q", name, strings.Count(text[:m[0]], "\n")+1, what, text[m[0]:m[1]])
			}
		}
	}
}

// tests returns the names of all test and fuzz functions.
func (t *tree) tests() map[string]bool {
	out := map[string]bool{}
	t.functions(func(f *file, d *ast.FuncDecl) {
		if f.test() && d.Recv == nil && testName.MatchString(d.Name.Name) {
			out[d.Name.Name] = true
		}
	})
	return out
}
