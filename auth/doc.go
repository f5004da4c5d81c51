// Package auth tells who is calling: it signs and verifies bearer tokens (JWT) and the short-lived passes they are exchanged
// for before a sale opens.
//
// The keys stand in one file, keys.json of the data directory: a JWK set, readable by its owner only, made on first use. One
// key per use signs; the others go on verifying until they are removed. The file is read again when it changes, so a key that
// another process rotated in is known within a second.
//
// A token is checked with the algorithm of the key it names, never with the one it claims for itself. A pass is one
// HMAC-SHA256 over the user, the sale and the expiry: verifying costs about a microsecond, where an Ed25519 signature costs
// forty. Asymmetric checks of tokens not seen before run in a bounded number of slots; when none frees in time the answer is
// reduced-capacity, and nothing was executed.
//
// Not promised: revocation of a single token before it expires (remove its key instead). Everything is safe for concurrent use.
package auth
