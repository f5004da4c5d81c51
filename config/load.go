package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
	yamlv3 "go.yaml.in/yaml/v3"
)

const envPrefix = "PENSTOCK_"

// Sources say where values come from. The zero Sources is the built-in defaults alone.
type Sources struct {
	// File is the path of a YAML file, or "" for none.
	File string
	// Environ are NAME=value pairs, as os.Environ returns them. Names that do not begin with PENSTOCK_ are ignored.
	Environ []string
	// Flags are values by key name ("listen.public"), for the flags that were given.
	Flags map[string]string
}

// Load returns the configuration that the sources make together; a flag wins over the environment, which wins over the file,
// which wins over the default. An error is of type [Problems], or says that the file could not be read.
func Load(s Sources) (Config, error) {
	c := Default()
	keys := map[string]Key{}
	for _, k := range define(&c) {
		keys[k.Name] = k
	}
	var found Problems
	if s.File != "" {
		layer, err := fromFile(s.File)
		if err != nil {
			return Config{}, err
		}
		found = append(found, apply(keys, layer, s.File)...)
	}
	layer, unknown := fromEnviron(keys, s.Environ)
	found = append(found, unknown...)
	found = append(found, apply(keys, layer, "the environment")...)
	flags := map[string]any{}
	for name, v := range s.Flags {
		flags[name] = v
	}
	found = append(found, apply(keys, flags, "the command line")...)
	if len(found) == 0 {
		found = check(c)
	}
	if len(found) > 0 {
		return Config{}, found
	}
	return c, nil
}

func fromFile(path string) (map[string]any, error) {
	k := koanf.New(".")
	err := k.Load(file.Provider(path), yaml.Parser())
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, fmt.Errorf("config file %s cannot be read: %w", path, pathErr.Err)
	}
	if err != nil {
		return nil, fmt.Errorf("config file %s is not YAML: %s", path, strings.ReplaceAll(err.Error(), "\n", " "))
	}
	if err := single(path); err != nil {
		return nil, err
	}
	return k.All(), nil
}

// single refuses a file of several YAML documents: only the first was read.
func single(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("config file %s cannot be read: %w", path, err)
	}
	defer f.Close()
	d := yamlv3.NewDecoder(f)
	for n := 0; ; n++ {
		var document yamlv3.Node
		switch err := d.Decode(&document); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil || n > 0:
			return fmt.Errorf("config file %s is more than one YAML document: a line --- may only come first", path)
		}
	}
}

// foreign matches what container platforms add to the environment for a service that happens to be called penstock…, and
// the variables of the command line that are not configuration.
var foreign = regexp.MustCompile(`_SERVICE_(HOST|PORT)(_\w+)?$|^PENSTOCK_(\w+_)?PORT(_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)?$|^PENSTOCK_(CONFIG|URL|TOKEN)$`)

func fromEnviron(keys map[string]Key, environ []string) (map[string]any, Problems) {
	byEnv := map[string]string{}
	for name, k := range keys {
		byEnv[k.Env()] = name
	}
	var unknown Problems
	layer := map[string]any{}
	provider := env.Provider("", env.Opt{Prefix: envPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, v string) (string, any) {
			key, ok := byEnv[name]
			switch {
			case ok:
				layer[key] = v
			case !foreign.MatchString(name):
				near := Nearest(name, slices.Collect(maps.Keys(byEnv)))
				unknown = append(unknown, Problem{Key: name, Value: v, Source: "the environment", What: "is a variable that nothing reads", Near: near})
			}
			return "", nil
		}})
	if _, err := provider.Read(); err != nil {
		unknown = append(unknown, Problem{Key: envPrefix, Source: "the environment", What: err.Error()})
	}
	return layer, unknown
}

func apply(keys map[string]Key, layer map[string]any, source string) Problems {
	var found Problems
	for _, name := range slices.Sorted(maps.Keys(layer)) {
		raw := layer[name]
		k, ok := keys[name]
		if !ok {
			if empty(raw) && isSection(name) {
				continue
			}
			found = append(found, unknownKey(keys, name, raw, source))
			continue
		}
		if raw == nil {
			continue
		}
		written, err := asText(raw)
		if _, list := raw.([]any); list && !k.takesList() {
			err = errors.New("is a list where one value belongs")
		}
		if err == nil {
			err = k.v.set(written)
		}
		if err != nil {
			p := Problem{Key: name, Value: written, Source: source, What: err.Error(), Example: k.Example}
			if k.Secret {
				p.Value = stars
			}
			found = append(found, p)
		}
	}
	return found
}

func isSection(name string) bool {
	_, ok := sections[name]
	return ok && name != ""
}

func empty(v any) bool {
	m, ok := v.(map[string]any)
	return v == nil || ok && len(m) == 0
}

func unknownKey(keys map[string]Key, name string, raw any, source string) Problem {
	p := Problem{Key: name, Source: source, What: "is not a key", Near: Nearest(name, slices.Collect(maps.Keys(keys)))}
	p.Value, _ = asText(raw)
	if isSection(name) {
		p.What, p.Near = "is a group of keys, not a value", ""
		for _, k := range Keys() {
			if strings.HasPrefix(k.Name, name+".") {
				p.Near = k.Name
				break
			}
		}
	}
	return p
}

// takesList tells keys whose text is several values with commas between them.
func (k *Key) takesList() bool {
	_, servers := k.v.(engine)
	return servers || strings.HasPrefix(k.v.kind(), "list of ")
}

// asText writes a value of the file the way one would write it in the environment.
func asText(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case []any:
		parts := make([]string, len(v))
		for i, item := range v {
			parts[i], _ = asText(item)
		}
		return strings.Join(parts, ", "), nil
	case map[string]any:
		return "{…}", errors.New("is a group of values where one value belongs")
	}
	return fmt.Sprint(v), nil
}
