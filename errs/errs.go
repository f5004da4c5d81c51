// Package errs is the one error type that crosses room boundaries, and the one table that maps its codes to HTTP.
//
// A code is the last path element of an RFC 9457 problem type (docs/problems/<code>.md is its page). The same code always
// travels with the same status. An outcome nobody knows yet is a code of its own, [Unknown]; it is never reported as failure.
package errs

import (
	"errors"
	"fmt"
	"time"
)

// Code names one kind of problem. It is stable: clients and dashboards match on it.
type Code string

// Codes of the money path. The comment says what the caller may conclude.
const (
	// SoldOut is final: SQL confirmed that nothing is available and nothing is held.
	SoldOut Code = "sold-out"
	// LimitReached is final for this key: the user's allowance for the SKU is used up.
	LimitReached Code = "limit-reached"
	// StockHeld means that nothing is free now but unpaid holds exist; the same key may be tried again.
	StockHeld Code = "stock-held"
	// NotEnoughLeft means that fewer units are free than were asked for; field "left" says how many.
	NotEnoughLeft Code = "not-enough-left"
	// NoWaitingList means that the sale keeps none.
	NoWaitingList Code = "no-waiting-list"
	// AlreadyWaiting means that the user waits for the SKU already; field "entry" says where.
	AlreadyWaiting Code = "already-waiting"
	// StockAvailable means that nobody needs to wait: the units are free.
	StockAvailable Code = "stock-available"
	// PassRequired means that the sale admits by a line or a draw; field "join" says where.
	PassRequired Code = "pass-required"
	// PassUsed means that the pass has bound another key: each is good for one attempt.
	PassUsed Code = "pass-used"
	// LineClosed means that the stock does not reach a new entry; fields "left" and "ahead" say why.
	LineClosed Code = "line-closed"
	// NoLine means that the sale admits everybody without one.
	NoLine Code = "no-line"
	// ProofRequired means that joining costs some work; fields "challenge" and "bits" say which.
	ProofRequired Code = "proof-required"
	// KeyInProgress means that another call with the same key is running.
	KeyInProgress Code = "key-in-progress"
	// KeyReused means that the key was used before with another body.
	KeyReused Code = "key-reused"
	// KeyMissing means that the Idempotency-Key header is absent or malformed.
	KeyMissing Code = "key-missing"
	// SaleNotOpen is said before the start; field "opensAt" says when.
	SaleNotOpen Code = "sale-not-open"
	// SaleClosed is said after the end.
	SaleClosed Code = "sale-closed"
	// SalePaused is said while an operator has paused the sale.
	SalePaused Code = "sale-paused"
	// QuotaExceeded means that the caller is too fast; not executed.
	QuotaExceeded Code = "quota-exceeded"
	// ReducedCapacity means that the server cannot take the call now; not executed.
	ReducedCapacity Code = "reduced-capacity"
	// UpstreamUnavailable means that the service behind the call cannot be asked; not executed.
	UpstreamUnavailable Code = "upstream-unavailable"
	// UpstreamFailed means that the service behind the call gave no answer that can be used.
	UpstreamFailed Code = "upstream-failed"
	// UpstreamTimeout means that the service behind a reading call did not answer in time.
	UpstreamTimeout Code = "upstream-timeout"
	// Unknown means that the outcome is not known yet; ask again with the same key.
	Unknown Code = "unknown-outcome"
	// IllegalTransition means that the order's state does not allow the act.
	IllegalTransition Code = "illegal-transition"
	// PaymentInProgress means that another payment of the order is live.
	PaymentInProgress Code = "payment-in-progress"
	// MethodUnknown means that the shop does not take this payment method.
	MethodUnknown Code = "payment-method-unknown"
	// RefundTooLarge means that more would be refunded than was captured.
	RefundTooLarge Code = "refund-too-large"
	// InsufficientBalance means that a user's balance, with its credit, does not suffice; field "available" says what does.
	InsufficientBalance Code = "insufficient-balance"
	// StockInUse means that a withdrawal would go below what is held and sold.
	StockInUse Code = "stock-in-use"
	// VersionMismatch means that If-Match named another version.
	VersionMismatch Code = "version-mismatch"
	// VersionRequired means that If-Match is missing where it is required.
	VersionRequired Code = "version-required"
	// Conflict means that the thing to create exists already.
	Conflict Code = "conflict"
	// NotFound also answers for what exists but belongs to somebody else.
	NotFound Code = "not-found"
	// Invalid means that the request does not follow the schema; [Error.Fields] says where.
	Invalid Code = "invalid-request"
	// TooLarge means that the body or a header is over its limit.
	TooLarge Code = "body-too-large"
	// UnsupportedMedia means that the content type is not JSON.
	UnsupportedMedia Code = "unsupported-media-type"
	// MethodNotAllowed means that the path exists but not with this method.
	MethodNotAllowed Code = "method-not-allowed"
	// Unauthenticated means that the token is missing, malformed, expired or signed by an unknown key.
	Unauthenticated Code = "unauthenticated"
	// Forbidden means that the token is good but may not do this.
	Forbidden Code = "forbidden"
	// BadSignature means that a callback's signature, timestamp or form is not acceptable.
	BadSignature Code = "bad-signature"
	// RequestTimeout means that the request body did not arrive in time; not executed.
	RequestTimeout Code = "request-timeout"
	// Internal is a defect of ours. Its detail never reaches a client.
	Internal Code = "internal"
)

// Status is the one table from code to HTTP status.
var status = map[Code]int{
	SoldOut: 409, LimitReached: 409, StockHeld: 409, NotEnoughLeft: 409, KeyInProgress: 409, KeyReused: 422, KeyMissing: 400,
	PassRequired: 403, PassUsed: 409, LineClosed: 409, NoLine: 409, ProofRequired: 403,
	NoWaitingList: 409, AlreadyWaiting: 409, StockAvailable: 409, InsufficientBalance: 409,
	SaleNotOpen: 403, SaleClosed: 403, SalePaused: 403, QuotaExceeded: 429, ReducedCapacity: 503, Unknown: 503,
	IllegalTransition: 409, PaymentInProgress: 409, MethodUnknown: 422, RefundTooLarge: 409, StockInUse: 409, VersionMismatch: 412, VersionRequired: 428,
	Conflict: 409, NotFound: 404, Invalid: 400, TooLarge: 413, UnsupportedMedia: 415, MethodNotAllowed: 405,
	Unauthenticated: 401, Forbidden: 403, BadSignature: 401, RequestTimeout: 408, Internal: 500,
	UpstreamUnavailable: 503, UpstreamFailed: 502, UpstreamTimeout: 504,
}

// Status returns the HTTP status that always goes with c; 500 for a code that is not in the table.
func (c Code) Status() int {
	if s, ok := status[c]; ok {
		return s
	}
	return 500
}

// Codes lists every code of the table, in no particular order.
func Codes() []Code {
	all := make([]Code, 0, len(status))
	for c := range status {
		all = append(all, c)
	}
	return all
}

// Field is one finding of a validation: a JSON pointer into the body and what is wrong there.
type Field struct {
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

// Error is an error with a code. Detail is for the client; Err is the cause and stays inside.
type Error struct {
	Code   Code
	Detail string
	Fields []Field
	// Extra holds further members of the problem object, such as "opensAt" or "left".
	Extra map[string]any
	// RetryAfter is how long the caller should wait; 0 means that the answer says nothing about it.
	RetryAfter time.Duration
	Err        error
}

// New returns an error with a code and a detail that may be shown to the client.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// Wrap gives err a code. The detail may be shown to the client; err itself is not.
func Wrap(code Code, err error, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...), Err: err}
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Detail, e.Err)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Detail)
}

func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of err, [Internal] for an error without one, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}

// Is reports whether err carries the code.
func Is(err error, code Code) bool { return err != nil && CodeOf(err) == code }
