// Package sim runs a whole sale in simulated time: seeded buyers, operators, payments, lost commits and restarts against the
// real rooms on real databases, and then the checks that anyone can run. The same seed gives the same result to the byte.
//
// It is all tests; there is nothing to import.
package sim
