package gateway

import (
	"fmt"
	"net/http"
	"runtime/debug"

	"penstock/errs"
)

// recoverPanic answers a panic with internal and keeps the process alive. The answer tells nothing of the cause; the log does.
// A handler that has begun its answer, or gives it up by http.ErrAbortHandler, has its connection cut instead, so that half an
// answer is never taken for a whole one.
func (g *Gateway) recoverPanic(next Handler) Handler {
	return func(c *Call) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			c.Log = true
			if p == http.ErrAbortHandler {
				panic(p)
			}
			c.Panic = p
			c.Code = errs.Internal
			g.o.Logger.Error("panic in a handler", "panic", fmt.Sprint(p), "route", c.Route, "traceId", c.TraceID, "stack", string(debug.Stack()))
			if c.Status != 0 {
				panic(http.ErrAbortHandler)
			}
			c.Fail(errs.New(errs.Internal, "something went wrong on our side"))
		}()
		next(c)
	}
}
