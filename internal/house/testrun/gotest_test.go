package main

import (
	"bytes"
	"strings"
	"testing"
)

// The count is the tests' own: each test and subtest once, a package that fails without a failing test once, a package whose
// tests failed not once more; a skipped test is named with its reason; only failed tests' output is shown.
func TestReadCountsWhatHappened(t *testing.T) {
	t.Parallel()
	events := `{"Action":"run","Package":"p","Test":"A"}
{"Action":"output","Package":"p","Test":"A","Output":"quiet\n"}
{"Action":"output","Package":"p","Test":"A","Output":"    a_test.go:1: measured: 12 ms\n"}
{"Action":"pass","Package":"p","Test":"A"}
{"Action":"output","Package":"p","Test":"B","Output":"b_test.go:1: wrong\n"}
{"Action":"fail","Package":"p","Test":"B"}
{"Action":"output","Package":"p","Test":"C","Output":"=== RUN C\n"}
{"Action":"output","Package":"p","Test":"C","Output":"    c_test.go:3: no mount here\n"}
{"Action":"skip","Package":"p","Test":"C"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}
{"ImportPath":"q","Action":"build-output","Output":"q.go:1: undefined: x\n"}
{"Action":"output","Package":"q","Output":"FAIL\tq [build failed]\n"}
{"Action":"fail","Package":"q","FailedBuild":"q"}
{"Action":"skip","Package":"without/tests"}
`
	var out bytes.Buffer
	c, err := read(strings.NewReader(events), &out)
	if err != nil {
		t.Fatal(err)
	}
	if c.passed != 1 || c.failed != 2 || c.skipped != 1 {
		t.Errorf("counted %d passed, %d failed, %d skipped; want 1, 2, 1", c.passed, c.failed, c.skipped)
	}
	if len(c.why) != 1 || !strings.Contains(c.why[0], "no mount here") {
		t.Errorf("reasons of skips: %q", c.why)
	}
	for _, want := range []string{"wrong", "FAIL\tp", "undefined: x", "FAIL\tq", "A: 12 ms"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output lacks %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "quiet") {
		t.Errorf("output of a passed test is shown:\n%s", out.String())
	}
}
