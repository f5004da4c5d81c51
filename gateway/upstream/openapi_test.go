package upstream

import (
	"strings"
	"testing"
)

// Parameters and bodies follow the document of the route before anything is sent; each finding has its pointer or its name. OpenAPI
// 3.0 and 3.1 alike.
func TestDocumentsAreFollowed(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"catalog.yaml", "catalog31.yaml"} {
		s := serve(t, says("ok"))
		b := setup(t, `
upstreams: {shop: {targets: [$SHOP]}}
routes:
  - {match: "GET /shop/products/{id}", upstream: shop, path: "/products/{id}", openapi: $FILE}
  - {match: "POST /products", upstream: shop, openapi: $FILE}
`, "$SHOP", s.URL, "$FILE", file)
		json := []string{"Content-Type", "application/json"}
		for _, c := range []struct{ method, path, body, want string }{
			{"GET", "/shop/products/p-1?limit=10", "", ""},
			{"GET", "/shop/products/p-1?limit=11", "", `"detail":"query limit: `},
			{"GET", "/shop/products/p-1?limit=many", "", `"detail":"query limit: `},
			{"GET", "/shop/products/q-1", "", `"detail":"path id: `},
			{"POST", "/products", `{"name":"n","prices":[1]}`, ""},
			{"POST", "/products", `{"name":"n","prices":[1,0]}`, `"pointer":"/prices/1"`},
			{"POST", "/products", `{"name":"much too long","prices":[1]}`, `"pointer":"/name"`},
			{"POST", "/products", `{"name":1,"prices":[1]}`, `"pointer":"/name"`},
			{"POST", "/products", `{"name":"n"}`, `prices`},
			{"POST", "/products", `{"name":"n","prices":[1],"x/y":1}`, `x/y`},
			{"POST", "/products", `{`, `"pointer":""`},
			{"POST", "/products", ``, `"errors"`},
		} {
			before := s.count()
			a := b.call(c.method, c.path, c.body, json...)
			if c.want == "" && (a.status != 200 || s.count() != before+1) || c.want != "" && (a.problem() != "invalid-request" || !strings.Contains(a.body, c.want) || s.count() != before) {
				t.Errorf("%s: %s %s %s: %+v", file, c.method, c.path, c.body, a)
			}
			if _, body := s.last(); c.want == "" && body != c.body {
				t.Errorf("the body became %q", body)
			}
		}
		if a := b.call("POST", "/products", "name=n", "Content-Type", "text/plain"); a.problem() != "unsupported-media-type" {
			t.Errorf("%+v", a)
		}
	}
}

// What two readers could take for two values is refused before it is held against the schema: the service behind could act on the
// value that was not looked at. Lists may stand one by one.
func TestNothingIsValidatedThatCanBeReadTwoWays(t *testing.T) {
	t.Parallel()
	s := serve(t, says("ok"))
	b := setup(t, `
upstreams: {shop: {targets: [$SHOP]}}
routes:
  - {match: "POST /items", upstream: shop, openapi: twofold.yaml}
`, "$SHOP", s.URL)
	const json, form = "application/json", "application/x-www-form-urlencoded"
	const good = `{"name":"n","count":1}`
	for _, c := range []struct {
		query, kind, body string
		header            []string
		want              string
	}{
		{query: "mode=fast", kind: json, body: good},
		{query: "mode=fast&tag=a&tag=b", kind: json, body: good},
		{query: "mode=fast&mode=slow", kind: json, body: good, want: "query mode"},
		{query: "mode=fast&mode=../../x", kind: json, body: good, want: "query mode"},
		{query: "mode=fast&%6Dode=x", kind: json, body: good, want: "query mode"},
		{query: "mode=fast", kind: json, body: `{"name":"n","count":99,"count":1}`, want: "twice"},
		{query: "mode=fast", kind: json, body: `{"name":"n","count":99,"\u0063ount":1}`, want: "twice"},
		{query: "mode=fast", kind: json, body: `{"name":"n","count":1,"more":{"a":1,"a":2}}`, want: "twice"},
		{query: "mode=fast", kind: json, body: good + `{"count":99}`, want: "behind"},
		{query: "mode=fast", kind: json, body: good + ` x`, want: "behind"},
		{query: "mode=fast", kind: json, body: "{\"name\":\"\xff\",\"count\":1}", want: "UTF-8"},
		{query: "mode=fast", kind: form, body: "name=n&count=1&tags=a&tags=b"},
		{query: "mode=fast", kind: form, body: "name=n&count=1&count=99", want: `"pointer":"/count"`},
		{query: "mode=fast", kind: json, body: good, header: []string{"X-Shelf", "1"}},
	} {
		before := s.count()
		a := b.call("POST", "/items?"+c.query, c.body, append(c.header, "Content-Type", c.kind)...)
		if c.want == "" && (a.status != 200 || s.count() != before+1) || c.want != "" && (a.problem() != "invalid-request" || !strings.Contains(a.body, c.want) || s.count() != before) {
			t.Errorf("%s %s: %+v, want %q", c.query, c.body, a, c.want)
		}
		if _, body := s.last(); c.want == "" && body != c.body {
			t.Errorf("the body became %q", body)
		}
	}
}
