package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"penstock/config"
)

// variable returns the value of an environment variable, or "".
func (e *env) variable(name string) string {
	for _, v := range e.environ {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// settings are the configuration of a command: --config and a flag for each key in keys (nil for all of them).
type settings struct {
	e     *env
	file  string
	flags *pflag.FlagSet
	names map[string]string // key by flag
}

// addSettings gives c the flags of the configuration. Keys that are not for newcomers work but are left out of the help.
func addSettings(e *env, c *cobra.Command, keys ...string) *settings {
	s := &settings{e: e, flags: c.Flags(), names: map[string]string{}}
	c.Flags().StringVar(&s.file, "config", "", "configuration file (PENSTOCK_CONFIG)")
	for _, k := range config.Keys() {
		if len(keys) > 0 && !slices.Contains(keys, k.Name) {
			continue
		}
		c.Flags().String(k.Flag(), k.Default, strings.ReplaceAll(k.Help, "`", "")) // pflag would take the first quoted word for the name of the value
		f := c.Flags().Lookup(k.Flag())
		f.Hidden = !k.Main
		if k.Type() == "true or false" {
			f.NoOptDefVal = "true"
		}
		s.names[k.Flag()] = k.Name
	}
	return s
}

// load returns the configuration that file, environment and flags make.
func (s *settings) load() (config.Config, error) {
	given := map[string]string{}
	s.flags.Visit(func(f *pflag.Flag) {
		if key, ok := s.names[f.Name]; ok {
			given[key] = f.Value.String()
		}
	})
	file := s.file
	if file == "" {
		file = s.e.variable("PENSTOCK_CONFIG")
	}
	c, err := config.Load(config.Sources{File: file, Environ: s.e.environ, Flags: given})
	if code, _ := classify(err); err != nil && code != exitUsage {
		return c, usage("`penstock config example > penstock.yaml` writes a file to start from", "%w", err)
	}
	return c, err
}
