// Package overload sends a running Penstock more than it may do, and looks at what it still does. The capacity is set by the
// policy, far below what the machine can do, so that the machine can offer twenty times as much and answer besides.
//
// make test runs each load for two seconds. OVERLOAD=full, as in make soak, runs each for ten and judges how fast refusals are,
// which a machine that does other things beside cannot promise.
package overload
