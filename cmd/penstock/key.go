package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"penstock/auth"
)

func newKey(e *env) *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "list the keys; secrets stay in the file", Args: args()}
	rotate := &cobra.Command{Use: "rotate", Short: "make a new key that signs from now on; older ones go on verifying", Args: args()}
	remove := &cobra.Command{Use: "remove ID", Short: "remove a key: what it signed is refused from then on", Args: args("ID")}
	alg := rotate.Flags().String("alg", auth.EdDSA, "EdDSA or HS256")
	pass := rotate.Flags().Bool("pass", false, "rotate the secret of the passes instead")
	withRing := func(c *cobra.Command, f func(*auth.Ring, []string) error) {
		s := addSettings(e, c, "data", "keys.file")
		c.RunE = func(_ *cobra.Command, given []string) error {
			cfg, err := s.load()
			if err != nil {
				return err
			}
			if _, err := os.Stat(ringPath(cfg)); err != nil {
				return unreachable("--data names the data directory of the server", "there is no key ring: %w", err)
			}
			ring, err := openRing(e, cfg)
			if err != nil {
				return err
			}
			return f(ring, given)
		}
	}
	withRing(list, func(r *auth.Ring, _ []string) error {
		rows := [][]string{{"ID", "ALGORITHM", "SIGNS", "ACTIVE", "CREATED"}}
		for _, k := range r.Keys() {
			signs := "tokens"
			if k.Pass {
				signs = "passes"
			}
			rows = append(rows, []string{k.ID, k.Alg, signs, strconv.FormatBool(k.Active), k.Created.Format(time.RFC3339)})
		}
		return table(e.out, rows)
	})
	withRing(rotate, func(r *auth.Ring, _ []string) error {
		if *alg != auth.EdDSA && *alg != auth.HS256 {
			return usage("write --alg EdDSA or --alg HS256", "--alg %q is not an algorithm of this build", *alg)
		}
		rotate := func() (string, error) { return r.Rotate(*alg) }
		if *pass {
			rotate = r.RotatePass
		}
		id, err := rotate()
		if err == nil {
			fmt.Fprintln(e.out, id)
		}
		return err
	})
	withRing(remove, func(r *auth.Ring, given []string) error { return r.Remove(given[0]) })
	return group("key", "the keys that sign tokens and passes", list, rotate, remove)
}
