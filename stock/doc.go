// Package stock makes the one decision that everything else hangs on: who gets which unit.
//
// Attempts from all connections are gathered into batches; each batch is decided by a pure function inside one durable
// transaction of the stock database (see driver.Writer), and all its answers go out after the commit. The same path carries
// sales, releases, top-ups and changes of a sale, so that one writer orders everything about a sale.
//
// Promises: units only move available → held → sold | released; a win is durable before it is told; the same key and items
// get the same answer for ever; a final "sold out" is said only when nothing is available and nothing is held; whatever could
// not be settled in time is [Unknown], never a failure, and the committer goes on settling it after the caller has left.
//
// Not promised: who comes first between two calls in flight at the same time. The order of decision is the journal's.
//
// All methods of [Stock] are safe for concurrent use.
package stock
