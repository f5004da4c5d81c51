// Package partner is the open API: third-party apps, how they prove who they are, what they may call, and how that ends.
//
// An app proves itself by a signature of each request (RFC 9421 with hmac-sha256, package signature beside this one) or by an
// OAuth 2.0 client-credentials token; either way it is the user "app:<id>". It may call the named APIs that it was given and no
// other. A sandbox app reaches sandbox sales and the sandbox payment only.
//
// What it promises. A signature is taken once, within five minutes of its time, by whatever process: the nonce is remembered by
// Redis or SQL before the call goes on. A disabled or deleted app, a permission that was taken away, a secret that ended, and the
// tokens issued for it, are refused by every process within [Options.Refresh] and never later than [Options.Stale]: a process
// that could not read the apps for that long refuses all of them, saying that nothing was executed.
//
// What it does not promise. It counts no calls (package limit does, by [Apps.Quota]), and tells nothing to a call that is already
// on its way when the app is disabled. Redis that forgets its nonces (flush, failover to an older copy) lets a signature of the
// last ten minutes be used again.
//
// Client secrets are kept as SHA-256 (they have 256 random bits, so that a slow hash would protect nothing), signing secrets
// sealed with AES-256-GCM, for they must be read back. Neither is in any log, answer or export after it was made. All methods of
// [Apps] are safe for concurrent use, and several processes may share a store. DESIGN.md beside this file tells why.
package partner
