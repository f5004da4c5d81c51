package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"penstock/errs"
)

// ProblemType is the media type of every answer that is not a success.
const ProblemType = "application/problem+json"

// titles are the fixed human names of the problem types; docs/problems has a page for each.
var titles = map[errs.Code]string{
	errs.SoldOut: "Sold out", errs.LimitReached: "Limit per buyer reached", errs.StockHeld: "All units are held",
	errs.PassRequired: "A pass is required", errs.PassUsed: "The pass was used", errs.LineClosed: "The line is closed", errs.NoLine: "No line", errs.ProofRequired: "Work is required",
	errs.NoWaitingList: "No waiting list", errs.AlreadyWaiting: "Waiting already", errs.StockAvailable: "Units are free",
	errs.NotEnoughLeft: "Not enough units left", errs.KeyInProgress: "The key is in progress", errs.KeyReused: "The key was used for something else",
	errs.KeyMissing: "Idempotency-Key missing or malformed", errs.SaleNotOpen: "The sale is not open yet", errs.SaleClosed: "The sale is closed",
	errs.SalePaused: "The sale is paused", errs.QuotaExceeded: "Too many requests", errs.ReducedCapacity: "No capacity right now",
	errs.Unknown: "The outcome is not known yet", errs.IllegalTransition: "The state does not allow this",
	errs.PaymentInProgress: "A payment is in progress", errs.MethodUnknown: "The payment method is not known", errs.RefundTooLarge: "The refund is too large", errs.InsufficientBalance: "The balance does not suffice", errs.StockInUse: "The units are in use",
	errs.VersionMismatch: "The version has changed", errs.VersionRequired: "If-Match missing", errs.Conflict: "It exists already",
	errs.NotFound: "Not found", errs.Invalid: "Invalid request", errs.TooLarge: "Body too large", errs.UnsupportedMedia: "Unsupported media type",
	errs.MethodNotAllowed: "Method not allowed", errs.Unauthenticated: "Not authenticated", errs.Forbidden: "Forbidden",
	errs.BadSignature: "Bad signature", errs.RequestTimeout: "Request timeout",
	errs.UpstreamUnavailable: "The service cannot be asked", errs.UpstreamFailed: "The service failed", errs.UpstreamTimeout: "The service was too slow", errs.Internal: "Internal error",
}

// Title returns the fixed human name of a problem type.
func Title(c errs.Code) string { return titles[c] }

// Fail answers with the problem that err carries: unknown-outcome for an ended context, and internal, without its text, for any
// other error without a code. It does nothing when the answer has begun.
func (c *Call) Fail(err error) {
	e, ok := errors.AsType[*errs.Error](err)
	switch {
	case ok:
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		e = errs.Wrap(errs.Unknown, err, "the call was given up before its outcome was known")
	default:
		e = errs.Wrap(errs.Internal, err, "something went wrong on our side")
	}
	if e.Code == errs.Internal {
		c.g.o.Logger.Error("a call failed", "error", err.Error(), "route", c.Route, "traceId", c.TraceID)
		e = errs.New(errs.Internal, "something went wrong on our side")
	}
	if c.Status != 0 {
		return
	}
	buf := c.g.buffers.Get().(*buffer)
	defer c.g.buffers.Put(buf)
	b := c.beginProblem(buf.out[:0], e.Code, e.Detail)
	b = appendString(append(appendString(append(b, `,"instance":`...), cut(c.R.URL.EscapedPath())), `,"requestId":`...), c.RequestID)
	b = append(appendExtra(appendExecuted(b, e.Code), e), '}', '\n')
	c.comeAgain(e.Code, e.RetryAfter)
	if e.Code == errs.Unauthenticated {
		c.set("Www-Authenticate", "Bearer")
	}
	c.sendProblem(e.Code, b)
	buf.out = b
}

// maxInstance is how much of a path is worth repeating to who sent it.
const maxInstance = 256

func cut(path string) string {
	if len(path) <= maxInstance {
		return path
	}
	return path[:maxInstance] + "…"
}

// beginProblem writes the members that depend on the code and the detail only. The object stays open.
func (c *Call) beginProblem(b []byte, code errs.Code, detail string) []byte {
	b = append(append(b, `{"type":"`...), c.g.o.ProblemBase...)
	b = append(append(append(b, '/'), code...), `","title":"`...)
	b = append(append(b, titles[code]...), `","status":`...)
	b = appendInt(b, int64(code.Status()))
	return appendString(append(b, `,"detail":`...), detail)
}

func (c *Call) sendProblem(code errs.Code, body []byte) {
	c.Code = code
	c.set("Content-Type", ProblemType)
	c.WriteHeader(code.Status())
	// A client that has gone is no error of ours.
	_, _ = c.Write(body)
}

// appendExecuted says whether the call was executed, where the status leaves that open: false, or null for nobody knows.
func appendExecuted(b []byte, code errs.Code) []byte {
	if e := termsOf(code).executed; e != "" {
		return append(append(b, `,"executed":`...), e...)
	}
	return b
}

// appendExtra writes the findings of a validation and the further members, in the order of their names.
func appendExtra(b []byte, e *errs.Error) []byte {
	if len(e.Fields) > 0 {
		b = append(b, `,"errors":[`...)
		for i, f := range e.Fields {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(append(b, `{"pointer":`...), f.Pointer)
			b = append(appendString(append(b, `,"detail":`...), f.Detail), '}')
		}
		b = append(b, ']')
	}
	for _, name := range slices.Sorted(maps.Keys(e.Extra)) {
		value, err := json.Marshal(e.Extra[name])
		if err != nil || strings.Contains(reservedMembers, " "+name+" ") {
			continue
		}
		b = append(append(appendString(append(b, ','), name), ':'), value...)
	}
	return b
}

const reservedMembers = " type title status detail instance requestId executed errors "
