package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"penstock/app"
)

func newMigrate(e *env) *cobra.Command {
	var from string
	c := &cobra.Command{
		Use:   "migrate --from DIR --config F",
		Short: "move an embedded data directory to the databases of a configuration",
		Long: "Copy stock, ledger, orders, balances, payments, bank lines, transactions, dead letters, apps, webhooks, back-office logins and lines of a\n" +
			"data directory into the empty databases that the configuration names,\n" +
			"read everything back and compare it. Stop the server first: nobody may sell meanwhile. While messages of orders or payments wait\n" +
			"for their readers it refuses. Afterwards the directory is marked and is\n" +
			"not sold from again; start with the new configuration. Copy the directory's keys.json to where keys.file says, so that tokens\n" +
			"stay good. Broken off, it may be repeated.",
		Args: args(),
	}
	c.Flags().StringVar(&from, "from", "", "data directory to move")
	s := addSettings(e, c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := s.load()
		if err != nil {
			return err
		}
		if from == "" {
			return usage("for example `penstock migrate --from ./data --config penstock.yaml`", "--from is missing")
		}
		b := readBuild()
		p := &progress{out: e.err, live: e.terminal}
		err = app.Migrate(c.Context(), from, cfg, app.Options{Log: io.Discard, Version: b.Version, Commit: b.Commit}, p.say)
		p.end()
		if errors.Is(err, context.Canceled) {
			return failed("start it again; what was copied is kept", "stopped before everything was copied")
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(e.out, "%s was moved and compared; start with the new configuration\n", from)
		return err
	}
	return c
}

// progress shows how far each part of a job is: drawn over itself on a terminal, one line for each part elsewhere.
type progress struct {
	out  io.Writer
	live bool
	part string
	text string
}

func (p *progress) say(part string, done, total uint64) {
	if part != p.part {
		p.end()
	}
	p.part = part
	p.text = fmt.Sprintf("%-14s %d of %d", part, done, total)
	if p.live {
		fmt.Fprintf(p.out, "\r\x1b[K%s", p.text)
	}
}

// end finishes the line of a part.
func (p *progress) end() {
	switch {
	case p.part == "":
	case p.live:
		fmt.Fprintln(p.out)
	default:
		fmt.Fprintln(p.out, p.text)
	}
	p.part = ""
}
