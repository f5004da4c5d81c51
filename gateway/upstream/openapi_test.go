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
