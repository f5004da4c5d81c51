// Package signature signs and verifies HTTP requests: a strict part of RFC 9421 (HTTP Message Signatures) with hmac-sha256, and
// of RFC 9530 (Content-Digest) with sha-256.
//
// Accepted is one signature a request, over the derived components @method, @authority, @path and @query and over any header
// fields, with the parameters created, nonce, keyid and, where the signer likes, expires, alg and tag. Component parameters,
// other derived components and other algorithms are refused: what nobody needs, nobody can confuse. docs/open-api.md tells it to
// those who sign, with vectors.
//
// The package knows neither apps nor clocks; whether a signature is too old or was seen before is the caller's to judge.
// Everything is safe for concurrent use.
package signature
