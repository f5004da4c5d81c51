package main

import (
	"errors"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"penstock/config"
)

// flagError says in our words what is wrong with a flag, and which one may have been meant.
func flagError(c *cobra.Command, err error) error {
	hint := "`" + c.CommandPath() + " --help` lists the flags"
	if bad, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		wanted, example := valueOf(bad.GetFlag().Value.Type())
		return usage("for example --"+bad.GetFlag().Name+" "+example, "--%s is %q; it is %s", bad.GetFlag().Name, bad.GetValue(), wanted)
	}
	if bare, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		_, example := valueOf(bare.GetFlag().Value.Type())
		return usage("for example --"+bare.GetFlag().Name+" "+example, "--%s needs a value", bare.GetFlag().Name)
	}
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok && unknown.GetSpecifiedShortnames() == "" {
		var all []string
		c.Flags().VisitAll(func(f *pflag.Flag) { all = append(all, f.Name) })
		if near := config.Nearest(unknown.GetSpecifiedName(), all); near != "" {
			hint = "did you mean --" + near + "?"
		}
	}
	return usage(hint, "%v", err)
}

// valueOf says what the values of a type of flag are, with an example.
func valueOf(kind string) (wanted, example string) {
	switch kind {
	case "int", "int64":
		return "a whole number that fits 64 bits, without a unit", "50"
	case "uint64", "uint":
		return "a whole number from 0 on that fits 64 bits, without a unit", "50"
	case "float64":
		return "a number, without a unit", "1.5"
	case "bool":
		return "true or false", "true"
	case "duration":
		return "a time with its unit, such as 90s, 15m or 24h", "15m"
	}
	return "no value that it takes", "VALUE"
}
