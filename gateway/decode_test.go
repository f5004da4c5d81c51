package gateway

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"penstock/errs"
	"penstock/stock"
)

// Both forms of an attempt read as what they say, whatever the white space, the order of members and the escapes.
func TestDecodeItems(t *testing.T) {
	t.Parallel()
	one := []stock.Item{{SKU: "a", Quantity: 1}}
	for body, want := range map[string][]stock.Item{
		`{"sku":"a","quantity":1}`:                                          one,
		" {\n\"quantity\" : 1 ,\t\"sku\":\"a\"}\r\n":                        one,
		`{"items":[{"sku":"a","quantity":1}]}`:                              one,
		`{"items":[{"sku":"a","quantity":1},{"quantity":10000,"sku":"b"}]}`: {{SKU: "a", Quantity: 1}, {SKU: "b", Quantity: 10000}},
		`{"\u0073ku":"\u0061","quantity":1}`:                                one,
		`{"sku":"\u4e2d\ud83d\ude00\"\\\/\b\f\n\r\t","quantity":2}`:         {{SKU: "中😀\"\\/\b\f\n\r\t", Quantity: 2}},
		`{"sku":"` + strings.Repeat("s", 64) + `","quantity":1}`:            {{SKU: strings.Repeat("s", 64), Quantity: 1}},
	} {
		var into [1]stock.Item
		got, err := decodeItems([]byte(body), &into)
		if err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", body, d)
		}
	}
}

// Whatever is not exactly an attempt is refused, with a pointer to the place.
func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	many := strings.Repeat(`{"sku":"x","quantity":1},`, 20)
	for i := range 20 {
		many = strings.Replace(many, `"x"`, `"`+string(rune('a'+i))+`"`, 1)
	}
	for body, pointer := range map[string]string{
		``: "", ` `: "", `null`: "", `[]`: "", `"a"`: "", `{`: "", `{}`: "/items", `{"items":[]}`: "/items", `{"items":{}}`: "/items", `{"items":null}`: "/items",
		`{"items":[1]}`:                                                 "/items/0",
		`{"sku":"a"}`:                                                   "/quantity",
		`{"quantity":1}`:                                                "/sku",
		`{"sku":"a","quantity":0}`:                                      "/quantity",
		`{"sku":"a","quantity":-1}`:                                     "/quantity",
		`{"sku":"a","quantity":10001}`:                                  "/quantity",
		`{"sku":"a","quantity":99999999999999999999999}`:                "/quantity",
		`{"sku":"a","quantity":18446744073709551617}`:                   "/quantity",
		`{"sku":"a","quantity":1.0}`:                                    "/quantity",
		`{"sku":"a","quantity":1e0}`:                                    "/quantity",
		`{"sku":"a","quantity":01}`:                                     "/quantity",
		`{"sku":"a","quantity":"1"}`:                                    "/quantity",
		`{"sku":"a","quantity":null}`:                                   "/quantity",
		`{"sku":"a","quantity":true}`:                                   "/quantity",
		`{"sku":"","quantity":1}`:                                       "/sku",
		`{"sku":1,"quantity":1}`:                                        "/sku",
		`{"sku":"` + strings.Repeat("s", 65) + `","quantity":1}`:        "/sku",
		`{"sku":"a","quantity":1,"price":0}`:                            "/price",
		`{"sku":"a","quantity":1,"a/b~c":0}`:                            "/a~1b~0c",
		`{"Sku":"a","quantity":1}`:                                      "/Sku",
		`{"sku":"a","sku":"a","quantity":1}`:                            "/sku",
		`{"sku":"a","quantity":1,"quantity":2}`:                         "/quantity",
		`{"items":[{"sku":"a","quantity":1}],"items":[]}`:               "/items",
		`{"items":[{"sku":"a","quantity":1}],"sku":"a","quantity":1}`:   "",
		`{"items":[{"sku":"a","quantity":1},{"sku":"a","quantity":2}]}`: "/items/1/sku",
		`{"items":[{"sku":"a","quantity":1,"x":1}]}`:                    "/items/0/x",
		`{"items":[` + many + `{"sku":"z","quantity":1}]}`:              "/items",
		`{"sku":"a","quantity":1}x`:                                     "",
		`{"sku":"a","quantity":1}{}`:                                    "",
		`{"sku":"a","quantity":1,}`:                                     "",
		`{"sku":"a" "quantity":1}`:                                      "",
		`{"sku":"a\u0000"`:                                              "",
		"{\"sku\":\"a\x00\",\"quantity\":1}":                            "",
		"{\"sku\":\"\xff\",\"quantity\":1}":                             "",
		"\ufeff" + `{"sku":"a","quantity":1}`:                           "",
		`{"sku":"\ud800","quantity":1}`:                                 "",
		`{"sku":"\udc00\ud800","quantity":1}`:                           "",
		`{"sku":"\x","quantity":1}`:                                     "",
		`{"sku":"\u12`:                                                  "",
		`{"sku":"a`:                                                     "",
	} {
		var into [1]stock.Item
		items, err := decodeItems([]byte(body), &into)
		e, ok := err.(*errs.Error)
		if !ok || e.Code != errs.Invalid || len(e.Fields) != 1 || e.Fields[0].Pointer != pointer || e.Fields[0].Detail == "" {
			t.Errorf("%q: %v, %+v; want the pointer %q", body, items, err, pointer)
		}
	}
}

// Whatever decodes is valid JSON that the standard library reads as the same items, and obeys the bounds.
func FuzzDecodeItems(f *testing.F) {
	for _, s := range []string{oneItem, `{"items":[{"sku":"a","quantity":1},{"sku":"\u00e9","quantity":22}]}`, `{"sku":"a","quantity":1e1}`, `{`, `{"items":[{"sku":"\ud83d\ude00","quantity":9}]} `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var into [1]stock.Item
		got, err := decodeItems(body, &into)
		if err != nil {
			if !errs.Is(err, errs.Invalid) {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		var want struct {
			stock.Item
			Items []stock.Item `json:"items"`
		}
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatalf("%q was taken, but is no JSON: %v", body, err)
		}
		if want.Items == nil {
			want.Items = []stock.Item{want.Item}
		}
		if d := cmp.Diff(want.Items, got); d != "" {
			t.Fatalf("%q: %s", body, d)
		}
		for _, i := range got {
			if i.SKU == "" || len(i.SKU) > maxSKU || i.Quantity < 1 || i.Quantity > maxQuantity || len(got) > maxItems {
				t.Fatalf("%q gave %+v", body, got)
			}
		}
	})
}

// Whatever text there is, it is written as JSON that reads as the same text.
func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "a", "\"\\\n\x00\x1f", "中😀", "\xff\xfe", "a\xed\xa0\x80b", "\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		if err := json.Unmarshal(appendString(nil, s), &got); err != nil || got != strings.ToValidUTF8(s, "\ufffd") && got != string([]rune(s)) {
			t.Fatalf("%q was written as %s, which reads as %q, %v", s, appendString(nil, s), got, err)
		}
	})
}
