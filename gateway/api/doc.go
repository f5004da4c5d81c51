// Package api holds the calls of the three listeners but for the attempt path, which is package gateway's: what buyers, what
// operators and what probes may ask, their JSON, and the OpenAPI document made from them.
//
// It promises that nothing of one listener answers on another, that every admin route wants an operator, that another user's
// id answers exactly like one that does not exist (the rooms say not-found for both), and that a streamed export that ends
// early breaks its connection. It decides nothing: every call is one call of a room, named in rooms.go.
//
// The handlers are safe for concurrent use when the rooms are.
package api
