// Package gateway is what a call passes before a room sees it: the chain of stages (one file each; their order is in gateway.go, chain),
// the attempt path, the problem format and the HTTP server around them.
//
// It promises that every answer of our own but 2xx and 3xx is an RFC 9457 problem with a listed type, that no panic, hostile byte or slow
// client gets further than its own call, and that a refusal by a stage means: not executed. It decides nothing about stock.
//
// The attempt path is a plain handler with its own JSON reader and writer. Bodies of won answers and of final noes are made
// from what is stored and nothing else, so that a replay is the same bytes; everything that changes from call to call
// (request id, trace, replay mark) is in headers. Problems that bind nothing carry the request id in the body as well.
//
// Everything is safe for concurrent use. Package gateway/api holds the other calls.
package gateway
