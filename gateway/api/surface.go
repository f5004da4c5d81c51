package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"penstock/errs"
	"penstock/gateway"
)

// surface is the set of calls of one listener, with the OpenAPI document that describes them.
type surface struct {
	*routes
	api huma.API
	d   Deps
}

// newSurface starts a listener's calls, described in spec (which several surfaces may share).
func newSurface(d Deps, spec *huma.OpenAPI, unmatched gateway.Access) *surface {
	s := &surface{routes: newRoutes(unmatched), d: d}
	format := huma.Format{Marshal: marshal, Unmarshal: unmarshal}
	s.api = humago.New(s.mux, huma.Config{
		OpenAPI:       spec,
		Formats:       map[string]huma.Format{"application/json": format, "json": format},
		DefaultFormat: "application/json",
		Transformers:  []huma.Transformer{toProblem},
	})
	return s
}

// answered stands for a body that has been written already.
type answered struct{}

func marshal(w io.Writer, v any) error {
	if _, done := v.(answered); done {
		return nil
	}
	return huma.DefaultJSONFormat.Marshal(w, v)
}

// register adds a call. Whoever may make it stands in op.Security, where the document also says it.
func register[I, O any](s *surface, op huma.Operation, h func(context.Context, *I) (*O, error)) {
	s.describe(&op)
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := h(ctx, in)
		if err != nil {
			return nil, failure{err}
		}
		return out, nil
	})
}

// describe fills in what all calls have in common.
func (s *surface) describe(op *huma.Operation) {
	who := gateway.ByAnyone
	switch {
	case op.Security == nil:
	case strings.HasPrefix(op.Path, adminPrefix):
		who = gateway.ByOperator
	default:
		who = gateway.ByUser
	}
	s.access[op.Method+" "+op.Path] = who
	op.BodyReadTimeout = -1 // the gateway has read the body
	op.MaxBodyBytes = 32 << 20
	if op.Responses == nil {
		op.Responses = map[string]*huma.Response{}
	}
	op.Responses["default"] = problemResponse("A problem; its type says which.")
}

// failure is a room's error on its way through the framework.
type failure struct{ err error }

func (f failure) Error() string  { return f.err.Error() }
func (f failure) Unwrap() error  { return f.err }
func (f failure) GetStatus() int { return errs.CodeOf(f.err).Status() }

// toProblem writes every error, the rooms' and the framework's, in the one problem format.
func toProblem(ctx huma.Context, _ string, v any) (any, error) {
	var err error
	switch e := v.(type) {
	case failure:
		err = e.err
	case *huma.ErrorModel:
		err = fromFramework(e)
	default:
		return v, nil
	}
	gateway.FromContext(ctx.Context()).Fail(err)
	return answered{}, nil
}

// fromFramework gives an error of the framework its code.
func fromFramework(e *huma.ErrorModel) error {
	switch e.Status {
	case http.StatusUnsupportedMediaType:
		return errs.New(errs.UnsupportedMedia, "send the body as application/json")
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusNotAcceptable:
	default:
		return errors.New(e.Detail)
	}
	out := errs.New(errs.Invalid, "the request does not follow the schema")
	for _, d := range e.Errors {
		if d != nil {
			out.Fields = append(out.Fields, field(d))
		}
	}
	if len(out.Fields) == 0 {
		out.Fields = []errs.Field{{Detail: e.Detail}}
	}
	return out
}

// inOurWords spells what the library says as Go would read it: layouts of times, and large numbers with an exponent.
func inOurWords(message string) string {
	if what, _, layout := strings.Cut(message, "invalid date/time for format "); layout {
		return what + "must be a time such as 2026-11-11T20:00:00Z"
	}
	words := strings.Split(message, " ")
	for i, w := range words {
		if n, err := strconv.ParseFloat(w, 64); err == nil && strings.Contains(w, "e+") {
			words[i] = strconv.FormatFloat(n, 'f', -1, 64)
		}
	}
	return strings.Join(words, " ")
}

// field turns "body.items[0].sku" into the pointer /items/0/sku. What is not in the body has no pointer; its detail names it.
func field(d *huma.ErrorDetail) errs.Field {
	said := inOurWords(d.Message)
	where, rest, _ := strings.Cut(d.Location, ".")
	if where != "body" && !strings.HasPrefix(where, "body[") {
		return errs.Field{Detail: strings.TrimSpace(where + " " + rest + ": " + said)}
	}
	if rest == "" {
		return errs.Field{Detail: said}
	}
	rest = strings.NewReplacer("~", "~0", "/", "~1", ".", "/", "[", "/", "]", "").Replace(rest)
	return errs.Field{Pointer: "/" + rest, Detail: said}
}
