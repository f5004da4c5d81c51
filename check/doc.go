// Package check computes the invariants of the proof page from what the outside can see: the exports, the stock rows and, where
// there is one, the history of a load generator. It asks nobody inside whether things are right.
//
// A check reads each export once, front to back, and keeps a small fixed record per purchase (about 300 bytes with its indexes),
// so that a million claims fit in a few hundred MiB. Names of users and keys are kept as 64-bit hashes.
//
// What it promises: every invariant is reported with how many things were looked at, and one that could not be judged is
// "not-run" with the reason, never "pass". What it does not: it does not repair, and it says nothing of moments it did not see.
//
// Read order: [Run] waits until nothing is in flight, takes the stock rows, reads the exports, and takes the stock rows again; if
// they moved meanwhile it starts over. Of a source that runs, a violation counts when several readings in a row show it, word for
// word; a stock row that moved during a reading is not compared with ledger and claims in it. [Run] may be called concurrently; a [Source] must then allow it.
package check
