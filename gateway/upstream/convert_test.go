package upstream

import (
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// JSON becomes a form and XML comes back as JSON, by the fields of the route; what does not fit is told by its pointer.
func TestFieldsAreMapped(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/xml; charset=utf-8")
		w.Header().Set("Etag", `"1"`)
		_, _ = io.WriteString(w, `<xml><return_code><![CDATA[SUCCESS]]></return_code><total_fee>12345678901234567890</total_fee><item id="1">a &amp; b</item><item id="2"/></xml>`)
	})
	b := setup(t, `
upstreams: {pay: {targets: [$PAY]}}
routes:
  - match: "POST /pay/{order}"
    upstream: pay
    request:
      from: json
      to: form
      fields:
        - {from: "/amount/total", to: /total_fee, type: integer, required: true}
        - {from: "path:order", to: /out_trade_no}
        - {from: "query:lang", to: /lang}
        - {value: "2.0", to: /version}
    response:
      from: xml
      to: json
      fields:
        - {from: /return_code, to: /state}
        - {from: /total_fee, to: /amount/total, type: integer}
        - {from: "/item/0/#text", to: /first}
        - {from: "/item/1/@id", to: /second, type: number}
`, "$PAY", s.URL)
	a := b.call("POST", "/pay/o-1?lang=zh", `{"amount":{"total":9900,"currency":"CNY"},"secret":1}`, "Content-Type", "application/json", "Content-Digest", "sha-256=:x:")
	if want := `{"amount":{"total":12345678901234567890},"first":"a & b","second":2,"state":"SUCCESS"}`; a.body != want || a.header.Get("Content-Type") != "application/json" || a.header.Get("Etag") != "" {
		t.Errorf("%+v", a)
	}
	r, body := s.last()
	if body != "lang=zh&out_trade_no=o-1&total_fee=9900&version=2.0" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.Header.Get("Content-Digest") != "" {
		t.Errorf("%q %v", body, r.Header)
	}
	for body, pointer := range map[string]string{`{"amount":{"total":"1.5"}}`: "/amount/total", `{"amount":{}}`: "/amount/total", `{"amount":{"total":{}}}`: "/amount/total", `{"amount":{"total":null}}`: "/amount/total", `{"a":1,"a":2}`: "", `{`: "", `[]`: "/amount/total"} {
		if a := b.call("POST", "/pay/o-1", body, "Content-Type", "application/json"); a.problem() != "invalid-request" || !strings.Contains(a.body, `"pointer":"`+pointer+`"`) {
			t.Errorf("%s: %+v", body, a)
		}
	}
	if a := b.call("POST", "/pay/o-1?lang=zh&lang=en", `{"amount":{"total":1}}`, "Content-Type", "application/json"); a.problem() != "invalid-request" || !strings.Contains(a.body, "query:lang is there more than once") {
		t.Errorf("%+v", a)
	}
	if a := b.call("POST", "/pay/o-1", `a=1`, "Content-Type", "application/x-www-form-urlencoded"); a.problem() != "unsupported-media-type" {
		t.Errorf("%+v", a)
	}
}

// An answer that cannot be converted is no success: unknown where something may have changed, failed where it was only read.
func TestAnswersThatCannotBeConverted(t *testing.T) {
	t.Parallel()
	var media, text string
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		_, _ = io.WriteString(w, text)
	})
	b := setup(t, `
upstreams: {pay: {targets: [$PAY]}}
routes: [{match: "/x", upstream: pay, maxAnswer: 1KiB, response: {from: xml, to: json}}]
`, "$PAY", s.URL)
	for _, c := range [][2]string{{"application/xml", "<a>"}, {"application/json", "{}"}, {"application/xml", "<a>" + strings.Repeat("x", 1024) + "</a>"}, {"application/xml", `<!DOCTYPE a><a/>`}} {
		media, text = c[0], c[1]
		if a := b.call("POST", "/x", ""); a.problem() != "unknown-outcome" {
			t.Errorf("%v: %+v", c, a)
		}
		if a := b.call("GET", "/x", ""); a.problem() != "upstream-failed" {
			t.Errorf("%v: %+v", c, a)
		}
	}
}

// Document types, entities, depth, size and other tricks of XML are refused; nothing is fetched and nothing grows.
func TestHostileXML(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><l>&b;</l>`, `<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x"><a/>`, `<a>&xxe;</a>`,
		`<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>`, `<?xml-stylesheet href="x"?><a/>`, `<?xml version="1.0" encoding="GBK"?><a/>`,
		strings.Repeat("<a>", 40) + strings.Repeat("</a>", 40), "<a>" + strings.Repeat("<b/>", maxMembers+1) + "</a>", `<a/><b/>`, `<a></b>`, `<a x="1" x="2"/>`, ``, `x`, "<a>\xff</a>", `<a/>x`,
	} {
		if v, err := decode("xml", []byte(text)); err == nil {
			t.Errorf("%.60q is read as %v", text, v)
		}
	}
}

// Whatever is read of a form, as JSON or as XML, is written so that it reads the same again, or refused; nothing panics.
func FuzzRoundTrip(f *testing.F) {
	for _, s := range []string{`{"a":[1,"x",null,true,{"b":1e5}]}`, `a=1&a=2&b=%20x`, `<a b="1">t<c>1</c><c>2</c><d/></a>`, `<a> x </a>`, "<a>&#13;\n\t</a>", `<!DOCTYPE a><a/>`, `{"#text":"x","@y":"z"}`} {
		for i := range 3 {
			f.Add(s, i)
		}
	}
	f.Fuzz(func(t *testing.T, text string, which int) {
		from := []Form{"json", "form", "xml"}[uint(which)%3]
		tree, err := decode(from, []byte(text))
		if err != nil {
			return
		}
		for _, to := range []Form{from, "json", "form", "xml"} {
			out, err := encode(to, "root", tree)
			if err != nil {
				if to == from && from != "xml" || to == "json" {
					t.Fatalf("%q as %s: %v", text, to, err)
				}
				continue
			}
			again, err := decode(to, out)
			if err != nil {
				t.Fatalf("%q became %q as %s: %v", text, out, to, err)
			}
			if (to == from || to == "json") && !reflect.DeepEqual(tree, again) {
				t.Fatalf("%q as %s became %q: %#v, then %#v", text, to, out, tree, again)
			}
		}
	})
}
