package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"penstock/config"
)

// newRoot is the list of all commands.
func newRoot(e *env) *cobra.Command {
	root := &cobra.Command{
		Use:           "penstock",
		Short:         "sell limited stock to a stampede, without selling a unit twice or losing a buyer who was told yes",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(e.in)
	root.SetOut(e.out)
	root.SetErr(e.err)
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(
		newDemo(e),
		newServe(e),
		newStorm(e),
		newCheck(e),
		newToken(e),
		newUser(e),
		newOIDC(e),
		newKey(e),
		newSale(e),
		newOrder(e),
		newBalance(e),
		newCase(e),
		newStatement(e),
		newDLQ(e),
		newWebhook(e),
		newGateway(e),
		newApp(e),
		newSaga(e),
		newLine(e),
		newDraw(e),
		newExport(e),
		newReport(e),
		newReconcile(e),
		newShard(e),
		newMigrate(e),
		newConfig(e),
		newVersion(e),
	)
	root.SetHelpCommand(newHelp(root))
	return root
}

// newHelp is the help command, which unlike the library's refuses a word that is no command.
func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [command]", Short: "help about any command", Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, words []string) error {
			c, rest, err := root.Find(words)
			if err != nil || len(rest) > 0 {
				return unknownCommand(c, append(rest, words...)[0])
			}
			c.InitDefaultHelpFlag()
			return c.Help()
		},
	}
}

// group returns a command that only holds others.
func group(use, short string, children ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short,
		Args:               cobra.ArbitraryArgs,
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true}, // the word that is wrong is named before its flags
	}
	c.AddCommand(children...)
	c.RunE = func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usage("say which: "+strings.Join(names(c), ", "), "%s needs a subcommand", c.CommandPath())
		}
		return unknownCommand(c, args[0])
	}
	return c
}

func names(c *cobra.Command) []string {
	var all []string
	for _, child := range c.Commands() {
		if child.IsAvailableCommand() {
			all = append(all, child.Name())
		}
	}
	return all
}

func unknownCommand(parent *cobra.Command, word string) error {
	hint := "`" + parent.CommandPath() + " --help` lists what there is"
	if near := config.Nearest(word, names(parent)); near != "" {
		hint = "did you mean `" + parent.CommandPath() + " " + near + "`?"
	}
	return usage(hint, "%q is not a command of %s", word, parent.CommandPath())
}

// rephrase gives errors of the command line library our words.
func rephrase(root *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	if rest, ok := strings.CutPrefix(err.Error(), "unknown command "); ok {
		var word string
		if _, scan := fmt.Sscanf(rest, "%q", &word); scan == nil {
			return unknownCommand(root, word)
		}
	}
	return err
}

// args wants exactly the named positional arguments.
func args(wanted ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, given []string) error {
		if len(given) == len(wanted) {
			return nil
		}
		if len(wanted) == 0 {
			return usage("flags begin with --; `"+c.CommandPath()+" --help` lists them", "%s takes no arguments, got %q", c.CommandPath(), given[0])
		}
		return usage("write `"+c.CommandPath()+" "+strings.Join(wanted, " ")+"`", "%s takes %d argument(s), got %d", c.CommandPath(), len(wanted), len(given))
	}
}
