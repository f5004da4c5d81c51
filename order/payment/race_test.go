//go:build race

package payment_test

// sqlitePairs is smaller here: SQLite in pure Go is some twenty times slower under the race detector.
const sqlitePairs = 100
