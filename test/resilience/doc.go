// Package resilience breaks one dependency after the other in the middle of a stampede, in every way there is, and writes down
// what the buyers see, how long it takes until all is well again, and whether every promise was kept.
//
// Five processes run on real engines, each engine behind a fault proxy. A cell of the matrix is a dependency and a fault: an
// open-loop storm on a sale of its own, with the fault in its middle. A cell fails when an invariant does, when an outcome stays
// unknown, when the sale does not sell out exactly, when a process ends, or when things are not well again within a generous
// bound; never by a time as such.
//
// By default the cells run in which most can go wrong. With -soak N all run, N times; with -update docs/resilience.md is written
// from what was measured. RESILIENCE_ONLY is a regular expression of the cells to run, RESILIENCE_SEED the first seed.
package resilience
