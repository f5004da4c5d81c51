package upstream

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"penstock/errs"
)

const conversionExample = "request: {from: json, to: form, fields: [{from: /amount, to: /total_fee, type: integer}]}"

// converter turns bodies from one form into another.
type converter struct {
	Conversion
	fields []mapped
}

type mapped struct {
	Field
	from, to []string
}

func (c *Conversion) check(key string, request bool) error {
	if c == nil {
		return nil
	}
	for _, w := range []struct {
		wrong bool
		key   string
		what  string
	}{
		{c.From == "" || c.To == "", "", "needs from and to"},
		{c.To == "xml" && !xmlName(c.Root), ".root", "must be the name of the outer element when to is xml"},
		{c.To != "xml" && c.Root != "", ".root", "is for xml only"},
	} {
		if w.wrong {
			return bad(key+w.key, cmp.Or(map[string]string{".root": "request: {from: json, to: xml, root: order}"}[w.key], conversionExample), "%s", w.what)
		}
	}
	for i, f := range c.Fields {
		at := key + ".fields[" + strconv.Itoa(i) + "]"
		elsewhere := strings.HasPrefix(f.From, "path:") || strings.HasPrefix(f.From, "query:")
		switch {
		case (f.From == "") == (f.Value == ""):
			return bad(at, conversionExample, "needs either from or value")
		case f.From != "" && !strings.HasPrefix(f.From, "/") && (!elsewhere || !request):
			return bad(at+".from", "from: /amount", "is no JSON pointer")
		case len(f.To) < 2 || f.To[0] != '/':
			return bad(at+".to", "to: /total_fee", "is no JSON pointer to a member")
		case c.To == "form" && strings.Count(f.To, "/") > 1:
			return bad(at+".to", "to: /total_fee", "is nested: a form has named members only")
		case f.Type != "" && f.Type != "string" && f.Type != "integer" && f.Type != "number" && f.Type != "boolean":
			return bad(at+".type", "type: integer", "is none of string, integer, number, boolean")
		}
		for _, other := range c.Fields[:i] {
			if other.To == f.To || strings.HasPrefix(other.To, f.To+"/") || strings.HasPrefix(f.To, other.To+"/") {
				return bad(at+".to", "to: /total_fee", "is where another field goes")
			}
		}
	}
	return nil
}

func newConverter(c *Conversion) (*converter, error) {
	if c == nil {
		return nil, nil
	}
	out := &converter{Conversion: *c}
	for _, f := range c.Fields {
		out.fields = append(out.fields, mapped{f, pointer(f.From), pointer(f.To)})
	}
	return out, nil
}

var unescape = strings.NewReplacer("~1", "/", "~0", "~")

func pointer(s string) []string {
	if !strings.HasPrefix(s, "/") {
		return nil
	}
	parts := strings.Split(s[1:], "/")
	for i := range parts {
		parts[i] = unescape.Replace(parts[i])
	}
	return parts
}

// misfit is a member that cannot be converted.
type misfit struct{ pointer, what string }

func (m *misfit) Error() string { return strings.TrimSpace(m.pointer + " " + m.what) }

// convert turns a body. in is the request whose path and query fields may name; nil for answers.
func (c *converter) convert(body []byte, in *http.Request) ([]byte, error) {
	var tree any = map[string]any{}
	if len(body) > 0 || in == nil {
		var err error
		if tree, err = decode(c.From, body); err != nil {
			return nil, &misfit{what: "the body " + err.Error()}
		}
	}
	if len(c.fields) > 0 {
		var err error
		if tree, err = c.pick(tree, in); err != nil {
			return nil, err
		}
	}
	out, err := encode(c.To, c.Root, tree)
	if err != nil {
		return nil, &misfit{what: "the body " + err.Error()}
	}
	return out, nil
}

// pick makes a tree of the members that fields name.
func (c *converter) pick(tree any, in *http.Request) (any, error) {
	out := map[string]any{}
	for _, f := range c.fields {
		v, found := f.value(tree, in)
		if f.Required && (!found || v == nil) {
			return nil, &misfit{f.place(), "is missing"}
		}
		if !found {
			continue
		}
		if name, ok := strings.CutPrefix(f.From, "query:"); ok && len(in.URL.Query()[name]) > 1 {
			return nil, &misfit{f.place(), f.From + " is there more than once"}
		}
		v, err := typed(v, f.Type)
		if err != nil {
			return nil, &misfit{f.place(), err.Error()}
		}
		if err = store(out, f.to, v); err != nil {
			return nil, &misfit{f.place(), err.Error()}
		}
	}
	return out, nil
}

// place is the pointer that a caller knows.
func (f mapped) place() string {
	if f.from == nil {
		return ""
	}
	return f.From
}

func (f mapped) value(tree any, in *http.Request) (any, bool) {
	if f.Value != "" {
		return f.Value, true
	}
	if name, ok := strings.CutPrefix(f.From, "path:"); ok {
		return in.PathValue(name), true
	}
	if name, ok := strings.CutPrefix(f.From, "query:"); ok {
		q := in.URL.Query()
		return q.Get(name), q.Has(name)
	}
	for _, part := range f.from {
		switch v := tree.(type) {
		case map[string]any:
			member, ok := v[part]
			if !ok {
				return nil, false
			}
			tree = member
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(v) {
				return nil, false
			}
			tree = v[i]
		default:
			return nil, false
		}
	}
	return tree, true
}

func store(to map[string]any, at []string, v any) error {
	for _, part := range at[:len(at)-1] {
		next, ok := to[part].(map[string]any)
		if !ok {
			if _, taken := to[part]; taken {
				return errors.New("goes where another field is")
			}
			next = map[string]any{}
			to[part] = next
		}
		to = next
	}
	to[at[len(at)-1]] = v
	return nil
}

var (
	integer = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,30})$`)
	decimal = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?$`)
)

// typed gives a value the type of its field; digits stay as they are.
func typed(v any, t Word) (any, error) {
	text, ok := scalar(v)
	switch {
	case t == "" || v == nil:
		return v, nil
	case !ok:
		return nil, fmt.Errorf("is nested, not %s", t)
	case t == "string":
		return text, nil
	case t == "integer" && integer.MatchString(text), t == "number" && decimal.MatchString(text):
		return json.Number(text), nil
	case t == "boolean" && (text == "true" || text == "1"):
		return true, nil
	case t == "boolean" && (text == "false" || text == "0"):
		return false, nil
	}
	return nil, fmt.Errorf("is no %s", t)
}

// convert prepares the body of a request.
func (j *job) convert() error {
	r := j.route
	if r.method != nil {
		return j.message()
	}
	if r.ask == nil {
		return nil
	}
	if len(j.body) > 0 && !is(j.in.Header.Get("Content-Type"), r.ask.From) {
		return errs.New(errs.UnsupportedMedia, "send the body as %s", mediaTypes[r.ask.From])
	}
	body, err := r.ask.convert(j.body, j.in)
	if err != nil {
		return invalid(err)
	}
	j.body = body
	return nil
}

func invalid(err error) error {
	e := errs.New(errs.Invalid, "the body cannot be converted for the service behind this call")
	if m, ok := errors.AsType[*misfit](err); ok {
		e.Fields = []errs.Field{{Pointer: m.pointer, Detail: m.what}}
	} else {
		e.Fields = []errs.Field{{Detail: err.Error()}}
	}
	return e
}

// is reports a media type of a form.
func is(contentType string, f Form) bool {
	media, params, err := mime.ParseMediaType(contentType)
	if charset := strings.ToLower(params["charset"]); err != nil || charset != "" && charset != "utf-8" {
		return false
	}
	return media == mediaTypes[f] || f == "xml" && media == "text/xml" || f != "form" && strings.HasSuffix(media, "+"+string(f))
}

// media says what the upstream gets, once it is no longer what the caller sent.
func (j *job) media(h http.Header) {
	switch r := j.route; {
	case r.method != nil:
		h.Set("Content-Type", "application/grpc")
		h.Set("Te", "trailers")
		h.Set("Grpc-Timeout", strconv.FormatInt(r.Try.or(r.Timeout.or(defaultTimeout)).Milliseconds(), 10)+"m")
		h.Del("Accept")
	case r.ask != nil:
		h.Set("Content-Type", mediaTypes[r.ask.To])
	default:
		return
	}
	for _, name := range []string{"Content-Digest", "Repr-Digest", "Digest", "Content-Md5"} {
		h.Del(name) // they are of another body
	}
}

// convertAnswer turns the body of a good answer.
func (j *job) convertAnswer(a *http.Response) error {
	r := j.route
	switch {
	case r.method != nil:
		return j.reply(a)
	case r.tell == nil || a.StatusCode/100 != 2 || a.StatusCode == http.StatusNoContent || j.in.Method == http.MethodHead:
		return nil
	case !is(a.Header.Get("Content-Type"), r.tell.From):
		return j.lostAnswer(fmt.Errorf("the answer is %q, not %s", a.Header.Get("Content-Type"), mediaTypes[r.tell.From]))
	}
	body, err := j.whole(a)
	if err == nil {
		body, err = r.tell.convert(body, nil)
	}
	if err != nil {
		return j.lostAnswer(err)
	}
	replace(a, body, mediaTypes[r.tell.To])
	return nil
}

// whole reads an answer that must be in memory.
func (j *job) whole(a *http.Response) ([]byte, error) {
	limit := int64(cmp.Or(j.route.MaxAnswer, 4<<20))
	if enc := a.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return nil, fmt.Errorf("the answer is encoded as %s, which nobody asked for", enc)
	}
	body, err := io.ReadAll(io.LimitReader(a.Body, limit+1))
	if err == nil && int64(len(body)) > limit {
		err = fmt.Errorf("the answer is longer than %d bytes", limit)
	}
	return body, err
}

func replace(a *http.Response, body []byte, media string) {
	a.Body.Close()
	a.Body = io.NopCloser(strings.NewReader(string(body)))
	a.ContentLength = int64(len(body))
	a.Header.Set("Content-Type", media)
	a.Header.Set("Content-Length", strconv.Itoa(len(body)))
	for _, name := range []string{"Etag", "Content-Digest", "Repr-Digest", "Digest", "Content-Md5", "Accept-Ranges", "Content-Encoding"} {
		a.Header.Del(name) // they are of another body
	}
}
