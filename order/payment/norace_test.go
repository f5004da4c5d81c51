//go:build !race

package payment_test

// sqlitePairs is the number of orders for which pay and expire race.
const sqlitePairs = 1000
