package house

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// specRows is how many rows each section of the specification has; their ids are section.1 … section.n. The specification
// is not part of a clone, so its shape is kept here. Section 16 is ours: what there is beyond it.
var specRows = []int{1: 10, 2: 10, 3: 10, 4: 10, 5: 9, 6: 4, 7: 12, 8: 4, 9: 2, 10: 4, 11: 7, 12: 7, 13: 10, 14: 7, 15: 4, 16: 8}

var (
	quoted    = regexp.MustCompile("`([^`]+)`")
	testName  = regexp.MustCompile(`^(Test|Fuzz)[A-Z]\w*$`)
	wellState = regexp.MustCompile(`^(done|not yet|partly: .{10,})$`)
)

// docs/spec-index.md has every row of the specification, in order, each with a state from the closed list; what it names
// exists; and nothing is called done without a file and a test.
func TestSpecIndex(t *testing.T) {
	t.Parallel()
	tr, err := house()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range specFindings(tr.texts["docs/spec-index.md"], specRows, tr.tests()) {
		t.Error(f)
	}
}

// A missing row, a row twice, a state of one's own, a path or a test that does not exist, and a claim without a test are found.
func TestSpecIndexFindsBreaches(t *testing.T) {
	t.Parallel()
	doc := strings.Join([]string{
		"| 1.1 | sells | `errs/errs.go` | `TestThere` | done |",
		"| 1.1 | sells | `errs/errs.go` | `TestThere` | done |",
		"| 1.3 | sells | `errs/gone.go` | `TestThere` | done |",
		"| 1.4 | sells | `errs/errs.go` | `TestGone` | done |",
		"| 1.5 | sells | `errs/errs.go` | | done |",
		"| 1.6 | sells | | | nearly |",
		"| 1.7 | sells | | | partly: only the half of it |",
	}, "\n")
	found := strings.Join(specFindings(doc, []int{1: 7}, map[string]bool{"TestThere": true}), "\n")
	for _, want := range []string{"row 1.2 is missing", "row 1.1 stands twice", "errs/gone.go does not exist", "no test is called TestGone",
		"row 1.5 is called done without a file and a test", `row 1.6 has state "nearly"`} {
		if !strings.Contains(found, want) {
			t.Errorf("no finding says %q:\n%s", want, found)
		}
	}
	if strings.Contains(found, "1.7") {
		t.Errorf("row 1.7 is in order:\n%s", found)
	}
}

func specFindings(doc string, sections []int, tests map[string]bool) []string {
	var out []string
	seen := map[string]int{}
	for _, row := range tableRows(doc) {
		if len(row) != 5 {
			out = append(out, fmt.Sprintf("row %q has %d columns, want 5: id, item, files, test, state", row[0], len(row)))
			continue
		}
		seen[row[0]]++
		out = append(out, rowFindings(row, tests)...)
	}
	want := 0
	for section, n := range sections {
		for i := 1; i <= n; i++ {
			want++
			switch id := fmt.Sprintf("%d.%d", section, i); seen[id] {
			case 0:
				out = append(out, fmt.Sprintf("row %s is missing", id))
			case 1:
			default:
				out = append(out, fmt.Sprintf("row %s stands twice", id))
			}
		}
	}
	if len(seen) > want {
		out = append(out, fmt.Sprintf("%d rows are not of the specification", len(seen)-want))
	}
	return out
}

func rowFindings(row []string, tests map[string]bool) []string {
	id, files, proof, state := row[0], row[2], row[3], row[4]
	var out []string
	for _, m := range quoted.FindAllStringSubmatch(files+" "+proof, -1) {
		switch name := m[1]; {
		case testName.MatchString(name):
			if !tests[name] {
				out = append(out, fmt.Sprintf("row %s: no test is called %s", id, name))
			}
		case !there(name):
			out = append(out, fmt.Sprintf("row %s: %s does not exist", id, name))
		}
	}
	if !wellState.MatchString(state) {
		out = append(out, fmt.Sprintf("row %s has state %q; the states are: done, partly: what is missing, not yet", id, state))
	}
	if state == "done" && (!quoted.MatchString(files) || !quoted.MatchString(proof)) {
		out = append(out, fmt.Sprintf("row %s is called done without a file and a test", id))
	}
	return out
}

// tableRows returns the cells of each table row that is neither a header nor a rule.
func tableRows(doc string) [][]string {
	var rows [][]string
	lines := strings.Split(doc, "\n")
	for i, l := range lines {
		rule := strings.HasPrefix(l, "|--") || strings.HasPrefix(l, "| --") || strings.HasPrefix(l, "|:-")
		header := i+1 < len(lines) && strings.HasPrefix(strings.ReplaceAll(lines[i+1], " ", ""), "|--")
		if !strings.HasPrefix(l, "|") || rule || header {
			continue
		}
		var row []string
		for _, cell := range strings.Split(strings.Trim(strings.TrimSpace(l), "|"), " |") {
			row = append(row, strings.TrimSpace(strings.TrimPrefix(cell, "|")))
		}
		rows = append(rows, row)
	}
	return rows
}
