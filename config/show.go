package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Show returns the whole configuration as a YAML file that would load again, with secrets as stars.
func (c Config) Show() string {
	return write(define(&c), func(b *strings.Builder, k Key, indent string) {
		value := k.v.String()
		if k.Secret && value != "" {
			value = stars
		}
		value = Masked(value)
		fmt.Fprintf(b, "%s%s: %s\n", indent, leaf(k.Name), yamlText(value))
	})
}

// Example returns a file that says what every key does. It loads as it is, and changes nothing: every value is the default.
func Example() string {
	c := Default()
	head := "# Penstock configuration. Every value below is the default; keep what you change.\n" +
		"# The environment (PENSTOCK_LISTEN_PUBLIC) wins over this file, a flag (--listen-public) over both.\n\n"
	return head + write(define(&c), func(b *strings.Builder, k Key, indent string) {
		fmt.Fprintf(b, "%s# %s\n", indent, plain(k.Help))
		fmt.Fprintf(b, "%s# %s, for example %s\n", indent, plain(k.Type()), k.Example)
		fmt.Fprintf(b, "%s%s: %s\n", indent, leaf(k.Name), yamlText(k.v.String()))
	})
}

// write lays keys out as nested YAML. Keys of one group stand together in the definitions.
func write(keys []Key, one func(b *strings.Builder, k Key, indent string)) string {
	var b strings.Builder
	group := ""
	for _, k := range keys {
		g, indent := groupOf(k.Name), ""
		if g != group && g != "" {
			fmt.Fprintf(&b, "%s:\n", g)
		}
		if group = g; g != "" {
			indent = "  "
		}
		one(&b, k, indent)
	}
	return b.String()
}

func groupOf(name string) string {
	g, _, ok := strings.Cut(name, ".")
	if !ok {
		return ""
	}
	return g
}

func leaf(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

func plain(s string) string { return strings.ReplaceAll(s, "`", "") }

// bare matches what YAML reads as the same text without quotes, numbers and booleans included: they load as they are written.
var bare = regexp.MustCompile(`^[A-Za-z0-9./][A-Za-z0-9./_-]*$`)

func yamlText(s string) string {
	if bare.MatchString(s) && s != "null" {
		return s
	}
	return strconv.Quote(s)
}

// Reference returns the reference of all keys as markdown; docs/config.md is this text.
func Reference() string {
	var b strings.Builder
	b.WriteString(`# Configuration

Made by ` + "`penstock config reference`" + ` from the definitions in ` + "`config/keys.go`" + `; do not edit by hand.

One YAML file (` + "`penstock serve --config F`, or `PENSTOCK_CONFIG=F`" + `), then the environment, then flags; later wins. Nothing need be set.
The environment variable of a key is its path in capitals, ` + "`PENSTOCK_LISTEN_PUBLIC`" + `; its flag is ` + "`--listen-public`" + `. Lists are written with commas
in both. A key that is not listed here is an error, and so is an environment variable that begins with ` + "`PENSTOCK_`" + ` and means nothing.
` + "`penstock config check`" + ` finds what is wrong, ` + "`show`" + ` prints what is in force, ` + "`example`" + ` prints a file to start from.

Durations are written ` + "`2ms`, `5s`, `15m`, `1h30m`; rates `100/m`, `1/s`, `20/10s` or `off`; sizes `512`, `64KiB`, `1MiB`" + `.
`)
	byGroup := map[string][]Key{}
	var order []string
	for _, k := range Keys() {
		g := groupOf(k.Name)
		if byGroup[g] == nil {
			order = append(order, g)
		}
		byGroup[g] = append(byGroup[g], k)
	}
	for _, g := range order {
		title := g
		if g == "" {
			title = "top level"
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| key | type | default | example | meaning |\n|---|---|---|---|---|\n", title, sections[g])
		for _, k := range byGroup[g] {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", k.Name, k.Type(), code(k.Default), code(k.Example), k.Help)
		}
	}
	return b.String()
}

func code(s string) string {
	if s == "" {
		return "empty"
	}
	return "`" + s + "`"
}

// Engines returns the engines of this build by the key that chooses among them.
func Engines() map[string][]string {
	all := map[string][]string{}
	for _, k := range Keys() {
		if e, ok := k.v.(engine); ok {
			for _, scheme := range append(e.embedded, e.remote...) {
				all[k.Name] = append(all[k.Name], strings.TrimRight(scheme, ":/"))
			}
		}
	}
	return all
}
