//go:build !race

package cache_test

// scale divides the numbers of keys in the largest tests; the race detector makes each step ten times as dear.
const scale = 1
