package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"penstock/app"
	"penstock/config"
)

func newConfig(e *env) *cobra.Command {
	check := &cobra.Command{Use: "check", Short: "say whether the configuration is valid", Args: args()}
	show := &cobra.Command{Use: "show", Short: "print the configuration in force, secrets masked", Args: args()}
	example := &cobra.Command{Use: "example", Short: "print a file to start from", Args: args()}
	reference := &cobra.Command{Use: "reference", Short: "print what every key means, as markdown", Args: args()}
	checked, shown := addSettings(e, check), addSettings(e, show)
	check.RunE = func(*cobra.Command, []string) error {
		cfg, err := checked.load()
		if err == nil {
			err = app.Check(cfg)
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(e.out, "the configuration is valid")
		return err
	}
	show.RunE = func(*cobra.Command, []string) error {
		cfg, err := shown.load()
		if err != nil {
			return err
		}
		_, err = fmt.Fprint(e.out, cfg.Show())
		return err
	}
	example.RunE = func(*cobra.Command, []string) error {
		_, err := fmt.Fprint(e.out, config.Example())
		return err
	}
	reference.RunE = func(*cobra.Command, []string) error {
		_, err := fmt.Fprint(e.out, config.Reference())
		return err
	}
	return group("config", "the configuration: check, show, example, reference", check, show, example, reference)
}
