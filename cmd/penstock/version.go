package main

import (
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"penstock/config"
)

// build says what this binary was made from.
type build struct {
	Version  string              `json:"version"`
	Commit   string              `json:"commit"`
	Modified bool                `json:"modified"`
	Go       string              `json:"go"`
	Engines  map[string][]string `json:"engines"`
}

func readBuild() build {
	b := build{Version: "unknown", Commit: "unknown", Engines: config.Engines()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Go = info.GoVersion
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func newVersion(e *env) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "version", Short: "version, commit and engines of this binary", Args: args()}
	c.Flags().BoolVar(&asJSON, "json", false, "write one JSON object")
	c.RunE = func(*cobra.Command, []string) error {
		b := readBuild()
		if asJSON {
			return writeJSON(e.out, b)
		}
		commit := b.Commit
		if b.Modified {
			commit += " (modified)"
		}
		rows := [][]string{{"version", b.Version}, {"commit", commit}, {"go", b.Go}}
		for _, part := range []string{"stock", "orders", "gate", "bus"} {
			rows = append(rows, []string{part, strings.Join(b.Engines[part], ", ")})
		}
		fmt.Fprintln(e.out, "penstock")
		return table(e.out, rows)
	}
	return c
}
