package upstream

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// What is converted becomes a tree first: map[string]any, []any, string, json.Number, bool and nil. Bounds keep small bodies from
// becoming large trees.
const (
	maxDepth   = 32
	maxMembers = 10_000
)

var mediaTypes = map[Form]string{"json": "application/json", "form": "application/x-www-form-urlencoded", "xml": "application/xml"}

var errDeep = fmt.Errorf("is nested deeper than %d", maxDepth)

func decode(f Form, body []byte) (any, error) {
	if !utf8.Valid(body) {
		return nil, errors.New("is not UTF-8")
	}
	switch f {
	case "form":
		return decodeForm(body)
	case "xml":
		return decodeXML(body)
	}
	return decodeJSON(body)
}

func encode(f Form, root string, tree any) ([]byte, error) {
	switch f {
	case "form":
		return encodeForm(tree)
	case "xml":
		return encodeXML(root, tree)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(tree)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// decodeJSON keeps numbers as they are written, and refuses members that occur twice: two readers could take two values.
func decodeJSON(body []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	v, err := jsonValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err = d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("has something behind the value")
	}
	return v, nil
}

func jsonValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errDeep
	}
	t, err := d.Token()
	if err != nil {
		return nil, errors.New("is not JSON")
	}
	switch t {
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := jsonValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, jsonEnd(d)
	case json.Delim('{'):
		object := map[string]any{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, errors.New("is not JSON")
			}
			if _, twice := object[name.(string)]; twice {
				return nil, fmt.Errorf("has the member %q twice", name)
			}
			if object[name.(string)], err = jsonValue(d, depth+1); err != nil {
				return nil, err
			}
		}
		return object, jsonEnd(d)
	}
	return t, nil
}

func jsonEnd(d *json.Decoder) error {
	if _, err := d.Token(); err != nil {
		return errors.New("is not JSON")
	}
	return nil
}

func decodeForm(body []byte) (any, error) {
	if bytes.Count(body, []byte("&")) >= maxMembers {
		return nil, errors.New("has too many members")
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, errors.New("is no form")
	}
	tree := map[string]any{}
	for name, all := range values {
		for _, v := range append([]string{name}, all...) {
			if !utf8.ValidString(v) {
				return nil, errors.New("is not UTF-8")
			}
		}
		if len(all) == 1 {
			tree[name] = all[0]
			continue
		}
		list := make([]any, len(all))
		for i, v := range all {
			list[i] = v
		}
		tree[name] = list
	}
	return tree, nil
}

func encodeForm(tree any) ([]byte, error) {
	object, ok := tree.(map[string]any)
	if !ok {
		return nil, errors.New("is no object: a form has named members only")
	}
	values := url.Values{}
	for name, v := range object {
		list, several := v.([]any)
		if !several {
			list = []any{v}
		}
		for _, v := range list {
			text, ok := scalar(v)
			if !ok {
				return nil, fmt.Errorf("has the member %q, which is nested: a form cannot hold it, name what it holds under fields", name)
			}
			if v != nil {
				values.Add(name, text)
			}
		}
	}
	return []byte(values.Encode()), nil
}

// scalar is the text of what is neither list nor object.
func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "", true
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		if v {
			return "true", true
		}
		return "false", true
	}
	return "", false
}

// element is what was read of an XML element.
type element struct {
	members map[string]any
	text    strings.Builder
}

// add keeps a member; one that occurs again makes a list.
func (e *element) add(name string, v any) {
	if e.members == nil {
		e.members = map[string]any{}
	}
	old, again := e.members[name]
	list, several := old.([]any)
	switch {
	case !again:
		e.members[name] = v
	case several:
		e.members[name] = append(list, v)
	default:
		e.members[name] = []any{old, v}
	}
}

func (e *element) value() any {
	text := e.text.String()
	if e.members == nil {
		return text
	}
	if strings.TrimSpace(text) != "" {
		e.members["#text"] = text
	}
	return e.members
}

// decodeXML reads what is inside the outer element: elements by their local names, attributes as @name, text beside elements as
// #text. Document types are refused, and entities with them.
func decodeXML(body []byte) (any, error) {
	d := xml.NewDecoder(bytes.NewReader(body))
	var open []*element
	var root any
	members := 0
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) && root != nil && len(open) == 0 {
			return root, nil
		}
		if err != nil {
			return nil, errors.New("is not well-formed XML in UTF-8")
		}
		switch t := t.(type) {
		case xml.Directive:
			return nil, errors.New("has a document type or an entity: neither is read")
		case xml.ProcInst:
			if t.Target != "xml" || root != nil || len(open) > 0 {
				return nil, errors.New("has a processing instruction: none is read")
			}
		case xml.StartElement:
			members += 1 + len(t.Attr)
			if root != nil || len(open) > maxDepth || members > maxMembers {
				return nil, errors.New("has a second outer element, is nested too deep, or has too many elements")
			}
			e, err := attributes(t)
			if err != nil {
				return nil, err
			}
			open = append(open, e)
		case xml.EndElement:
			e := open[len(open)-1]
			if open = open[:len(open)-1]; len(open) > 0 {
				open[len(open)-1].add(t.Name.Local, e.value())
			} else {
				root = e.value()
			}
		case xml.CharData:
			if len(open) > 0 {
				open[len(open)-1].text.Write(t)
			} else if len(bytes.TrimSpace(t)) > 0 {
				return nil, errors.New("has text outside of its outer element")
			}
		}
	}
}

func attributes(t xml.StartElement) (*element, error) {
	e := &element{}
	for _, a := range t.Attr {
		if a.Name.Space == "xmlns" || a.Name.Local == "xmlns" {
			continue
		}
		if _, twice := e.members["@"+a.Name.Local]; twice {
			return nil, fmt.Errorf("has the attribute %q twice", a.Name.Local)
		}
		e.add("@"+a.Name.Local, a.Value)
	}
	return e, nil
}

func encodeXML(root string, tree any) ([]byte, error) {
	var b bytes.Buffer
	err := writeElement(&b, root, tree, 0)
	return b.Bytes(), err
}

func writeElement(b *bytes.Buffer, name string, v any, depth int) error {
	if !xmlName(name) || depth > maxDepth {
		return fmt.Errorf("has the member %q, which is no name of an XML element or is too deep", name)
	}
	object, nested := v.(map[string]any)
	b.WriteString("<" + name)
	for _, member := range slices.Sorted(maps.Keys(object)) {
		attribute, ok := strings.CutPrefix(member, "@")
		if !ok {
			continue
		}
		text, ok := scalar(object[member])
		if !ok || !xmlName(attribute) || attribute == "xmlns" {
			return fmt.Errorf("has the member %q, which is no attribute", member)
		}
		b.WriteString(" " + attribute + `="`)
		if err := writeText(b, text); err != nil {
			return err
		}
		b.WriteByte('"')
	}
	b.WriteByte('>')
	if err := writeInside(b, object, nested, v, depth); err != nil {
		return err
	}
	b.WriteString("</" + name + ">")
	return nil
}

func writeInside(b *bytes.Buffer, object map[string]any, nested bool, v any, depth int) error {
	if !nested {
		text, ok := scalar(v)
		if !ok {
			return errors.New("is a list: name its members")
		}
		return writeText(b, text)
	}
	if text, ok := scalar(object["#text"]); ok {
		if err := writeText(b, text); err != nil {
			return err
		}
	}
	for _, member := range slices.Sorted(maps.Keys(object)) {
		if member == "#text" || strings.HasPrefix(member, "@") || object[member] == nil {
			continue
		}
		list, several := object[member].([]any)
		if !several {
			list = []any{object[member]}
		}
		for _, v := range list {
			if err := writeElement(b, member, v, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeText(b *bytes.Buffer, text string) error {
	for _, c := range text {
		if c < 0x20 && c != '\t' && c != '\n' && c != '\r' || c == 0xfffe || c == 0xffff || c == utf8.RuneError {
			return errors.New("has a character that XML cannot hold")
		}
	}
	return xml.EscapeText(b, []byte(text))
}

// xmlName reports the name of an element in Latin or Chinese letters, which every reader takes.
func xmlName(s string) bool {
	for i, c := range s {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c >= 0x4e00 && c <= 0x9fa5
		if !letter && (i == 0 || c != '-' && c != '.' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != ""
}
