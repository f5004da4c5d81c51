// Package payment takes money for orders and gives it back.
//
// It promises: a payment is durable before a provider hears of it; an outcome nobody knows stays pending and is asked for,
// never called a failure; a provider's transaction counts once, whatever is delivered how often and in which order; exactly one
// payment of an order pays it, and only if the claim in the stock database went from held to sold for it; every other captured
// amount goes back by itself or becomes a case for an operator; refunds never exceed what was captured. Whatever a crash
// interrupts is taken up again by the recovery loop from the database.
//
// It does not move stock or orders itself: it asks [Claims] and [Orders], whose moves are idempotent. Payments
// live in a [Store]: a SQLite file that one process owns, or a MySQL database that several share, each running Payments of its
// own. All methods are safe for concurrent use. DESIGN.md says what a crash does at each step.
package payment
