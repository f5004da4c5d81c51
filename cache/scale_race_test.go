//go:build race

package cache_test

const scale = 10
