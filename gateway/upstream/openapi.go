package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"penstock/errs"
)

// schema is the operation of a document that a route follows.
type schema struct {
	route *routers.Route
	path  []string // segments of the pattern
}

// readSchema finds the operation by the path of the route, or by its path at the upstream. References to other files and hosts
// are not followed.
func readSchema(file, method, path, behind string) (*schema, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for _, template := range []string{path, behind} {
		item := doc.Paths.Find(strings.ReplaceAll(template, "...}", "}"))
		if template == "" || item == nil || item.GetOperation(method) == nil {
			continue
		}
		op := item.GetOperation(method)
		if op.RequestBody != nil {
			for media := range op.RequestBody.Value.Content {
				if !is(media, "json") && !is(media, "form") {
					return nil, fmt.Errorf("%s: the body of %s %s is %s; application/json and forms are validated", file, method, template, media)
				}
			}
		}
		return &schema{&routers.Route{Spec: doc, Path: template, PathItem: item, Method: method, Operation: op}, strings.Split(path, "/")}, nil
	}
	return nil, fmt.Errorf("%s has no operation %s %s", file, method, path)
}

// validator checks a request before it is sent, nil without a document.
func (r *route) validator() func(*http.Request) error {
	if r.schema == nil {
		return nil
	}
	return r.schema.validate
}

func (s *schema) validate(r *http.Request) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return errs.New(errs.Invalid, "the query is malformed")
	}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	twofold, err := s.ambiguous(r, query)
	if err != nil {
		return err
	}
	if len(twofold) > 0 {
		return unfit(twofold)
	}
	err = openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
		Request: r, PathParams: s.values(r.URL), QueryParams: query, Route: s.route,
		Options: &openapi3filter.Options{
			MultiError: true, SkipSettingDefaults: true, RejectWhenRequestBodyNotSpecified: true,
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, // who calls is known already
		},
	})
	if err == nil {
		return nil
	}
	if media, ok := errors.AsType[*openapi3filter.RequestError](err); ok && strings.Contains(media.Reason, "Content-Type") {
		return errs.New(errs.UnsupportedMedia, "the body is of no type that this call takes")
	}
	return unfit(findings(err, nil))
}

func unfit(found []errs.Field) error {
	out := errs.New(errs.Invalid, "the request does not follow the schema")
	out.Fields = found
	return out
}

var wildcard = regexp.MustCompile(`\{([^{}.]+)(\.\.\.)?\}`)

// wildcards are the names in a pattern.
func wildcards(path string) (names []string) {
	for _, m := range wildcard.FindAllStringSubmatch(path, -1) {
		names = append(names, m[1])
	}
	return names
}

// values reads the wildcards of the pattern, which the mux has matched already.
func (s *schema) values(u *url.URL) map[string]string {
	found := map[string]string{}
	segments := strings.Split(u.EscapedPath(), "/")
	for i, p := range s.path {
		m := wildcard.FindStringSubmatch(p)
		if m == nil || i >= len(segments) {
			continue
		}
		value := segments[i]
		if m[2] != "" {
			value = strings.Join(segments[i:], "/")
		}
		found[m[1]], _ = url.PathUnescape(value)
	}
	return found
}

var escape = strings.NewReplacer("~", "~0", "/", "~1")

// findings lists what is wrong. What is not in the body has no pointer; its detail names it.
func findings(err error, at *openapi3filter.RequestError) (all []errs.Field) {
	switch e := err.(type) {
	case openapi3.MultiError:
		for _, one := range e {
			all = append(all, findings(one, at)...)
		}
		return all
	case *openapi3filter.RequestError:
		if e.Err != nil {
			return findings(e.Err, e)
		}
		return []errs.Field{{Detail: place(e) + e.Reason}}
	case *openapi3.SchemaError:
		if at != nil && at.Parameter != nil {
			return []errs.Field{{Detail: place(at) + e.Reason}}
		}
		pointer := ""
		for _, part := range e.JSONPointer() {
			pointer += "/" + escape.Replace(part)
		}
		return []errs.Field{{Pointer: pointer, Detail: e.Reason}}
	}
	if at != nil && at.Parameter != nil {
		return []errs.Field{{Detail: place(at) + firstLine(err)}}
	}
	return []errs.Field{{Detail: "body: " + firstLine(err)}}
}

func place(e *openapi3filter.RequestError) string {
	if e == nil || e.Parameter == nil {
		return "body: "
	}
	return e.Parameter.In + " " + e.Parameter.Name + ": "
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
