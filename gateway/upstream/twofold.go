package upstream

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/getkin/kin-openapi/openapi3"

	"penstock/errs"
)

// ambiguous finds what two readers could take for two values: the schema would be held against one of them, and the service behind
// could act on the other. The body can be read again afterwards.
func (s *schema) ambiguous(r *http.Request, query url.Values) (found []errs.Field, err error) {
	for _, p := range slices.Concat(s.route.Operation.Parameters, s.route.PathItem.Parameters) {
		if p.Value != nil && times(p.Value, r, query) > 1 && !holdsSeveral(p.Value.Schema) {
			found = append(found, errs.Field{Detail: p.Value.In + " " + p.Value.Name + ": is there more than once"})
		}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "the body could not be read")
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	switch contentType := r.Header.Get("Content-Type"); {
	case len(body) == 0:
	case is(contentType, "json"):
		if _, err := decode("json", body); err != nil {
			found = append(found, errs.Field{Detail: "the body " + err.Error()})
		}
	case is(contentType, "form"):
		found = append(found, s.twiceInForm(body)...)
	}
	return found, nil
}

// times is how often a parameter is there.
func times(p *openapi3.Parameter, r *http.Request, query url.Values) (n int) {
	switch p.In {
	case openapi3.ParameterInQuery:
		return len(query[p.Name])
	case openapi3.ParameterInHeader:
		return len(r.Header.Values(p.Name))
	case openapi3.ParameterInCookie:
		return len(r.CookiesNamed(p.Name))
	}
	return 1
}

func (s *schema) twiceInForm(body []byte) (found []errs.Field) {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return []errs.Field{{Detail: "the body is no form"}}
	}
	if s.route.Operation.RequestBody == nil {
		return nil
	}
	media := s.route.Operation.RequestBody.Value.Content.Get(mediaTypes["form"])
	if media == nil {
		return nil
	}
	whole := alternatives(media.Schema, 0)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if p := member(whole, name); p != nil && len(values[name]) > 1 && !holdsSeveral(p) {
			found = append(found, errs.Field{Pointer: "/" + escape.Replace(name), Detail: "is there more than once"})
		}
	}
	return found
}

// member is the schema of a member, nil if there is none of its own.
func member(whole []*openapi3.Schema, name string) *openapi3.SchemaRef {
	for _, s := range whole {
		if p := s.Properties[name]; p != nil {
			return p
		}
	}
	return nil
}

// holdsSeveral reports a schema that takes a list or an object, whose values may stand one by one.
func holdsSeveral(s *openapi3.SchemaRef) bool {
	return slices.ContainsFunc(alternatives(s, 0), func(one *openapi3.Schema) bool {
		return one.Type.Includes(openapi3.TypeArray) || one.Type.Includes(openapi3.TypeObject)
	})
}

// alternatives are a schema and those that it is put together of, to a depth that no document needs: a schema may name itself.
func alternatives(s *openapi3.SchemaRef, depth int) []*openapi3.Schema {
	if s == nil || s.Value == nil || depth > 8 {
		return nil
	}
	all := []*openapi3.Schema{s.Value}
	for _, part := range slices.Concat(s.Value.AllOf, s.Value.AnyOf, s.Value.OneOf) {
		all = append(all, alternatives(part, depth+1)...)
	}
	return all
}
