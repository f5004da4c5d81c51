package main

import "testing"

// The counts of the pages' tests are read from the line that closes their run.
func TestVitestCounts(t *testing.T) {
	t.Parallel()
	c := vitest([]byte(" Test Files  1 failed | 3 passed (4)\n      Tests  1 failed | 33 passed | 2 skipped (36)\n   Start at  19:06:57\n"))
	if c.failed != 1 || c.passed != 33 || c.skipped != 2 || len(c.why) != 1 {
		t.Errorf("%+v", c)
	}
	if c := vitest([]byte("error")); c.all() != 0 {
		t.Errorf("%+v", c)
	}
}
