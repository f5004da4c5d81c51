package api

import (
	"flag"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/go-cmp/cmp"

	"penstock/docs/problems"
	"penstock/errs"
	"penstock/gateway"
)

var update = flag.Bool("update", false, "write the golden files")

const goldenDocument = "../../docs/openapi.json"

// The document in the repository is the one the handlers give, and the one the server serves.
func TestDocumentIsGolden(t *testing.T) {
	t.Parallel()
	got, err := Document()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(goldenDocument, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(goldenDocument)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("docs/openapi.json is out of date (run the test with -update):\n%.3000s", d)
	}
	h := setup(t)
	if w := h.ask(h.public, "", "GET /openapi.json"); w.Body.String() != string(want) {
		t.Error("the server serves another document")
	}
}

// Every reference of the document leads to a schema, every call tells of problems, and every operation has a name of its own.
func TestDocumentIsWhole(t *testing.T) {
	t.Parallel()
	spec := newSpec()
	publicCalls(Deps{}, spec)
	adminCalls(Deps{}, spec)
	text, err := Document()
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(string(text), `"$ref": "`+schemaPrefix)[1:] {
		name, _, _ := strings.Cut(part, `"`)
		if spec.Components.Schemas.Map()[name] == nil || name == "ErrorModel" {
			t.Errorf("no schema %s", name)
		}
	}
	names := map[string]bool{}
	for path, item := range spec.Paths {
		for _, op := range operations(item) {
			if op.OperationID == "" || names[op.OperationID] || op.Summary == "" {
				t.Errorf("%s: operation %q has no name of its own or no summary", path, op.OperationID)
			}
			names[op.OperationID] = true
			if r := op.Responses["default"]; r == nil || r.Content[gateway.ProblemType] == nil {
				t.Errorf("%s: %s does not tell of problems", path, op.OperationID)
			}
			if anyone := op.Security == nil; anyone && strings.HasPrefix(path, adminPrefix) {
				t.Errorf("%s: %s asks for no token", path, op.OperationID)
			}
		}
	}
}

func operations(item *huma.PathItem) []*huma.Operation {
	all := []*huma.Operation{item.Get, item.Post, item.Patch, item.Put, item.Delete}
	return slices.DeleteFunc(all, func(op *huma.Operation) bool { return op == nil })
}

// Each problem type has a page that names its code, its title and its status, and no page is about anything else.
func TestEachProblemHasItsPage(t *testing.T) {
	t.Parallel()
	h := setup(t)
	var pages, codes []string
	entries, err := fs.ReadDir(problems.Pages, ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		pages = append(pages, strings.TrimSuffix(e.Name(), ".md"))
	}
	for _, c := range errs.Codes() {
		codes = append(codes, string(c))
		w := h.ask(h.public, "", "GET /problems/"+string(c))
		head := "# " + gateway.Title(c) + "\n\n`" + string(c) + "` · HTTP " + strconv.Itoa(c.Status()) + "\n"
		if w.Code != http.StatusOK || !strings.HasPrefix(w.Body.String(), head) || gateway.Title(c) == "" {
			t.Errorf("the page of %s does not begin %q: %.100s", c, head, w.Body)
		}
		for _, part := range []string{"**What it means.** ", "**Was it executed?** ", "**What to do.** ", "**Retry-After.** "} {
			if !strings.Contains(w.Body.String(), part) {
				t.Errorf("the page of %s lacks %s", c, part)
			}
		}
	}
	slices.Sort(codes)
	if d := cmp.Diff(codes, pages); d != "" {
		t.Error(d)
	}
}
