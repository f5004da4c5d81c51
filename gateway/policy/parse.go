package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"penstock/config"
)

// MaxFile is the longest policy file in bytes.
const MaxFile = 1 << 20

// source is a file that was read, with the place of each of its values.
type source struct {
	File
	nodes map[string]*yaml.Node // by key, such as rules[2].match[0]
}

// at makes a problem with the value of a key.
func (s *source) at(key, what string) *Problem {
	p := &Problem{Key: key, What: what, Example: example(key)}
	for k := key; ; {
		if n := s.nodes[k]; n != nil {
			p.Line = n.Line
			if k == key && n.Kind == yaml.ScalarNode {
				p.Value = n.Value
			}
			return p
		}
		i := strings.LastIndexAny(k, ".[")
		if i < 0 {
			return p
		}
		k = k[:i]
	}
}

var lineOf = regexp.MustCompile(`line (\d+): `)

// parse reads a file without judging what it means. Errors are *Problem.
func parse(text []byte) (*source, error) {
	if len(text) > MaxFile {
		return nil, &Problem{What: fmt.Sprintf("the file has %d bytes, at most %d are read", len(text), MaxFile)}
	}
	var root, more yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	err := d.Decode(&root)
	if errors.Is(err, io.EOF) {
		return nil, &Problem{Line: 1, What: "the file is empty; a policy that changes nothing is written {}", Example: "addresses: {deny: [203.0.113.0/24]}"}
	}
	if err == nil {
		if err = d.Decode(&more); err == nil {
			return nil, &Problem{Line: more.Line, What: "a second document begins here; a policy is one", Example: "one document without ---"}
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	if err != nil {
		return nil, syntax(err)
	}
	s := &source{nodes: map[string]*yaml.Node{}}
	if err := s.walk(root.Content[0], reflect.TypeFor[File](), ""); err != nil {
		return nil, err
	}
	if err := root.Decode(&s.File); err != nil {
		return nil, syntax(err)
	}
	return s, nil
}

// syntax gives an error of the YAML reader a line of its own.
func syntax(err error) *Problem {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	p := &Problem{What: text, Example: "limits: [{name: ip, by: [ip], rate: 100/m}]"}
	if m := lineOf.FindStringSubmatch(text); m != nil {
		p.Line, _ = strconv.Atoi(m[1])
		p.What = strings.Replace(text, m[0], "", 1)
	}
	return p
}

// walk looks at each value by itself, so that the first that does not fit is named with its place.
func (s *source) walk(n *yaml.Node, t reflect.Type, key string) error {
	s.nodes[key] = n
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		return s.at(key, "is an alias or an anchor; a policy says each thing where it stands")
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	leaf := reads(t) || t.Kind() != reflect.Struct && t.Kind() != reflect.Map && t.Kind() != reflect.Slice
	switch {
	case n.ShortTag() == "!!null" && !leaf:
		return nil
	case leaf:
		return s.leaf(n, t, key)
	case t.Kind() == reflect.Slice:
		return s.list(n, t, key)
	}
	return s.mapping(n, t, key)
}

// reads reports a type that reads itself.
func reads(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[yaml.Unmarshaler]()) || p.Implements(reflect.TypeFor[interface{ UnmarshalText([]byte) error }]())
}

func (s *source) leaf(n *yaml.Node, t reflect.Type, key string) error {
	if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" {
		return s.at(key, "must be one value")
	}
	v := reflect.New(t)
	err := n.Decode(v.Interface())
	if err == nil && v.Elem().IsZero() && wantsMore(t, key) {
		return s.at(key, "is not more than 0; what is left out has its default")
	}
	if err == nil {
		return nil
	}
	what := err.Error()
	if _, ok := errors.AsType[*yaml.TypeError](err); ok {
		what = "is no " + kinds[t.Kind()]
	}
	p := s.at(key, strings.TrimPrefix(what, strconv.Quote(n.Value)+" "))
	return p
}

// positive are the last names of numbers and durations of which nothing is no value: rooms take 0 for what was left out, so that whoever
// wrote it would get the default without being told.
var positive = []string{
	"inFlight", "floor", "target", "waiting", "failures", "successes", "open", "down", "up", "every", "timeout", "for",
	"connect", "connections", "try", "streams", "idle",
}

func wantsMore(t reflect.Type, key string) bool {
	number := t.Kind() == reflect.Int || t.Kind() == reflect.Int64 || t.Kind() == reflect.Float64
	return number && (slices.Contains(positive, key[strings.LastIndexByte(key, '.')+1:]) || strings.HasPrefix(key, "shedding.patience."))
}

var kinds = map[reflect.Kind]string{
	reflect.Int: "whole number", reflect.Int64: "whole number", reflect.Float64: "number", reflect.String: "text", reflect.Bool: "true or false",
}

func (s *source) list(n *yaml.Node, t reflect.Type, key string) error {
	if n.Kind != yaml.SequenceNode {
		return s.at(key, "must be a list")
	}
	for i, item := range n.Content {
		if err := s.walk(item, t.Elem(), key+"["+strconv.Itoa(i)+"]"); err != nil {
			return err
		}
	}
	return nil
}

func (s *source) mapping(n *yaml.Node, t reflect.Type, key string) error {
	if n.Kind != yaml.MappingNode {
		return s.at(key, "must be a mapping of names to values")
	}
	fields := map[string]reflect.Type{}
	if t.Kind() == reflect.Struct {
		for f := range t.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			fields[name] = f.Type
		}
	}
	seen := map[string]int{}
	for i := 0; i < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		at := strings.TrimPrefix(key+"."+name.Value, ".")
		s.nodes[at] = value
		if line, twice := seen[name.Value]; twice {
			return &Problem{Line: name.Line, Key: at, What: fmt.Sprintf("stands on line %d already", line), Example: example(at)}
		}
		seen[name.Value] = name.Line
		elem, known := fields[name.Value]
		if t.Kind() == reflect.Map {
			if err := s.name(name, t.Key(), at); err != nil {
				return err
			}
			elem, known = t.Elem(), true
		}
		if !known {
			delete(s.nodes, at)
			return &Problem{Line: name.Line, Key: at, What: "is no key; known here are " + strings.Join(sorted(fields), ", "), Near: config.Nearest(name.Value, sorted(fields)), Example: example(key)}
		}
		if err := s.walk(value, elem, at); err != nil {
			return err
		}
	}
	return nil
}

// name checks the name of a member of a map.
func (s *source) name(n *yaml.Node, t reflect.Type, key string) error {
	if n.Kind != yaml.ScalarNode || n.Decode(reflect.New(t).Interface()) != nil {
		return &Problem{Line: n.Line, Key: key, Value: n.Value, What: "is not known here", Example: example(key)}
	}
	return nil
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
