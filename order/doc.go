// Package order keeps what became of every purchase: orders in their shards, each with its numbered events.
//
// The stock database decides; an order only follows its claim. What happens to a claim arrives as a message ([Orders.Handle])
// and, where a caller must read its own write, directly ([Orders.Follow], [Orders.Cancel], the expiry). Every way leads
// through one writer per database, which puts what is waiting into one transaction of at most 100 rows of its driver (package
// order/driver): the row is made if it is missing, the edge is checked against the table in edges.go, and the row's
// compare-and-set on its version and the event are one commit. So deliveries may be many, late and out of order; the effect is had once, and events are numbered 1..n
// without gap.
//
// It promises: one bad row costs only itself; a nil error means durable; another user's order answers exactly like one that
// does not exist; an order just won is readable as accepted before its row is written. It does not decide between paid and
// released, keep money, or order messages: the claim, package payment and package bus do.
//
// An [Orders] is safe for concurrent use. DESIGN.md tells what a crash does at each step.
package order
