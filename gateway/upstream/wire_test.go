package upstream

import (
	"context"
	"errors"
	"net/http"

	"penstock/errs"
)

// wire is what a test's front writes of an error.
type wire struct {
	Type   string       `json:"type"`
	Status int          `json:"status"`
	Detail string       `json:"detail"`
	Errors []errs.Field `json:"errors,omitempty"`
}

func wireOf(err error) wire {
	e, ok := errors.AsType[*errs.Error](err)
	if !ok {
		e = errs.Wrap(errs.Unknown, err, "given up")
	}
	return wire{string(e.Code), e.Code.Status(), e.Detail, e.Fields}
}

type writerKey struct{}

func withWriter(ctx context.Context, w http.ResponseWriter) context.Context {
	return context.WithValue(ctx, writerKey{}, w)
}
