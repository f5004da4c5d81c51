// Package line admits buyers to a sale in an order that anybody can recompute: the order of arrival, or for those who came in the
// opening window the order that a draw gave them.
//
// A user has one live entry per SKU. Joining again gives the same entry, so re-joining gains nothing and refreshing loses nothing.
// When an entry's turn comes and its user was seen lately, it is called; he collects a pass, which package auth signs and the
// stock decision lets bind one key. How many are called follows how fast attempts are decided and how many units are left. Who is
// silent when his turn comes is passed over and keeps his place.
//
// An entry is durable before its user is told. Several processes may serve one line over a shared database; one of them calls
// at a time. It is not the waiting list of package stock, which hands units over after a sale sold out. DESIGN.md says how and why.
//
// All methods of [Lines] are safe for concurrent use.
package line
