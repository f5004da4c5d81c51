// Package statement compares what a provider says it moved with what our ledger has, line by line, and says what to do about
// each difference.
//
// A statement is CSV with a header or NDJSON, with the fields type (capture or refund), ref (the provider's transaction), payment
// and refund (our ids), amount (minor units), currency, state and at; unknown fields are passed over. It is read as a stream: memory does not grow with
// it, because what was seen is kept in a scratch file. Lines are compared by [Compare], in pages, where the ledger is; [Check]
// walks a statement through a ledger that may be in another process. Nothing here changes money.
package statement
