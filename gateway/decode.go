package gateway

import (
	"fmt"
	"unicode/utf8"

	"penstock/errs"
	"penstock/stock"
)

// Bounds of an attempt.
const (
	maxItems    = 20
	maxQuantity = 10_000
	maxSKU      = 64
)

// decodeItems reads the body of an attempt, {"items":[{"sku","quantity"}]} or {"sku","quantity"}, and nothing else: unknown
// and repeated members, other types, numbers with a fraction, a SKU named twice and anything after the object are refused with
// a pointer to the place. The result uses into if one item is all there is. The strings do not share memory with body.
func decodeItems(body []byte, into *[1]stock.Item) ([]stock.Item, error) {
	if !utf8.Valid(body) {
		return nil, invalid("", "the body is not UTF-8")
	}
	d := scanner{in: body}
	items, err := d.attempt(into[:0])
	if err != nil {
		return nil, err
	}
	if d.space(); d.at < len(d.in) {
		return nil, d.syntax("nothing may follow the object")
	}
	return items, nil
}

func invalid(pointer, format string, args ...any) *errs.Error {
	e := errs.New(errs.Invalid, "the body does not follow the schema")
	e.Fields = []errs.Field{{Pointer: pointer, Detail: fmt.Sprintf(format, args...)}}
	return e
}

// attempt reads the outer object.
func (d *scanner) attempt(items []stock.Item) ([]stock.Item, error) {
	var (
		short  itemReader
		listed bool
	)
	err := d.object("", func(name []byte) (err error) {
		if string(name) != "items" {
			return short.member(d, "", name)
		}
		if listed {
			return invalid("/items", "the member occurs twice")
		}
		listed = true
		items, err = d.items(items)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case listed && short.seen():
		return nil, invalid("", "give items, or sku and quantity, not both")
	case listed:
		return items, nil
	case !short.seen():
		return nil, invalid("/items", "the member is missing")
	}
	if err := short.complete(""); err != nil {
		return nil, err
	}
	return append(items, short.item()), nil
}

// items reads the list.
func (d *scanner) items(items []stock.Item) ([]stock.Item, error) {
	if !d.next('[') {
		return nil, invalid("/items", "must be a list")
	}
	if d.next(']') {
		return nil, invalid("/items", "at least one item is needed")
	}
	for {
		if len(items) == maxItems {
			return nil, invalid("/items", "at most %d items are allowed", maxItems)
		}
		var one itemReader
		at := itemPointer(len(items))
		if err := d.object(at, func(name []byte) error { return one.member(d, at, name) }); err != nil {
			return nil, err
		}
		if err := one.complete(at); err != nil {
			return nil, err
		}
		for _, other := range items {
			if other.SKU == one.sku {
				return nil, invalid(at+"/sku", "the SKU occurs twice")
			}
		}
		items = append(items, one.item())
		if d.next(']') {
			return items, nil
		}
		if !d.next(',') {
			return nil, d.syntax("expected , or ]")
		}
	}
}

// itemPointer spares the common case its allocation.
func itemPointer(i int) string {
	if i == 0 {
		return "/items/0"
	}
	return fmt.Sprintf("/items/%d", i)
}

// itemReader gathers the members of one item.
type itemReader struct {
	sku      string
	quantity int64
	has      [2]bool
}

func (r *itemReader) seen() bool { return r.has[0] || r.has[1] }

func (r *itemReader) item() stock.Item { return stock.Item{SKU: r.sku, Quantity: r.quantity} }

// member reads the value of one member. at points to the object.
func (r *itemReader) member(d *scanner, at string, name []byte) (err error) {
	var which int
	switch string(name) {
	case "sku":
	case "quantity":
		which = 1
	default:
		return invalid(at+"/"+escapePointer(name), "unknown member")
	}
	if r.has[which] {
		return invalid(at+"/"+string(name), "the member occurs twice")
	}
	r.has[which] = true
	if which == 0 {
		r.sku, err = d.sku(at)
	} else {
		r.quantity, err = d.quantity(at)
	}
	return err
}

func (r *itemReader) complete(at string) error {
	switch {
	case !r.has[0]:
		return invalid(at+"/sku", "the member is missing")
	case !r.has[1]:
		return invalid(at+"/quantity", "the member is missing")
	}
	return nil
}

func (d *scanner) sku(at string) (string, error) {
	if d.space(); d.at == len(d.in) || d.in[d.at] != '"' {
		return "", invalid(at+"/sku", "must be a string")
	}
	text, err := d.text()
	if err != nil {
		return "", err
	}
	if len(text) == 0 || len(text) > maxSKU {
		return "", invalid(at+"/sku", "must have 1 to %d bytes", maxSKU)
	}
	return string(text), nil
}

func (d *scanner) quantity(at string) (int64, error) {
	d.space()
	from, n := d.at, int64(0)
	for d.at < len(d.in) && d.in[d.at] >= '0' && d.in[d.at] <= '9' {
		n = min(n*10+int64(d.in[d.at]-'0'), maxQuantity+1)
		d.at++
	}
	digits := d.at - from
	if digits == 0 || digits > 1 && d.in[from] == '0' || !d.ends() || n < 1 || n > maxQuantity {
		return 0, invalid(at+"/quantity", "must be an integer from 1 to %d", maxQuantity)
	}
	return n, nil
}
