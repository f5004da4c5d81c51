package main

import "testing"

// The count of the browser tests is their report's; a suite that did not start is a failure, and so is a run without tests.
func TestBrowserReport(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text                    string
		passed, failed, skipped int
		bad                     bool
	}{
		{`{"numPassedTests":3,"numFailedTests":1,"numPendingTests":2,"numFailedTestSuites":1}`, 3, 1, 2, false},
		{`{"numPassedTests":3,"numFailedTestSuites":1}`, 3, 1, 0, false},
		{`{}`, 0, 0, 0, true},
		{`x`, 0, 0, 0, true},
	} {
		got, err := counted([]byte(c.text))
		if got.passed != c.passed || got.failed != c.failed || got.skipped != c.skipped || (err != nil) != c.bad {
			t.Errorf("%s: %+v, %v", c.text, got, err)
		}
	}
}
