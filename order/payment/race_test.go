//go:build race

package payment_test

// pairs is smaller here: SQLite in pure Go is some twenty times slower under the race detector.
const pairs = 100
