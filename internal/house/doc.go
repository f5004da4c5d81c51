// Package house keeps the rules of this house as tests: which room may import which, how big things may get, what every
// package must say about itself, and that the documents speak of the tree as it is.
//
// Each rule is a function from the parsed tree to findings, so that a test can plant a breach and see it found. Exceptions
// stand beside their rule, each with its reason; a reason that no longer applies is itself a finding.
package house
