//go:build !race

package payment_test

// pairs is the number of orders for which pay and expire race.
const pairs = 1000
