package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"penstock/auth"
	"penstock/config"
	"penstock/identity"
)

const maxTokens = 1_000_000

// tokenFlags say which tokens to make.
type tokenFlags struct {
	user, role string
	life       time.Duration
	count      int
	json       bool
}

func newToken(e *env) *cobra.Command {
	var f tokenFlags
	c := &cobra.Command{
		Use:   "token --user U",
		Short: "make bearer tokens from the key ring of a data directory",
		Long:  "Make bearer tokens from the key ring of a data directory, one a line, whether or not a server runs on it.\nWith --count they are for users U-1 … U-N.",
		Args:  args(),
	}
	c.Flags().StringVar(&f.user, "user", "", "who the token speaks for")
	c.Flags().StringVar(&f.role, "role", "", "viewer, support, operator or admin, or nothing for a buyer")
	c.Flags().DurationVar(&f.life, "for", time.Hour, "how long it is good for")
	c.Flags().IntVar(&f.count, "count", 0, "how many, for users U-1 … U-N")
	c.Flags().BoolVar(&f.json, "json", false, "write one JSON object")
	s := addSettings(e, c, "data", "keys.file")
	c.RunE = func(*cobra.Command, []string) error {
		if err := f.validate(); err != nil {
			return err
		}
		cfg, err := s.load()
		if err != nil {
			return err
		}
		return printTokens(e, cfg, f)
	}
	return c
}

func (f tokenFlags) validate() error {
	switch {
	case f.user == "":
		return usage("for example `penstock token --user alice`", "--user is missing")
	case f.role != "" && !identity.Role(f.role).Valid():
		return usage("leave --role out for a buyer, or write --role viewer, support, operator or admin", "--role %q is not a role", f.role)
	case strings.HasPrefix(f.user, "app:"):
		return usage("an app gets a token at POST /oauth2/token, see docs/open-api.md", "--user %q: what begins with app: is an app and nobody else", f.user)
	case f.life <= 0:
		return usage("for example --for 1h", "--for %v is not a time to come", f.life)
	case f.count < 0 || f.count > maxTokens:
		return usage("for example --count 1000", "--count %d is not between 0 and %d", f.count, maxTokens)
	}
	return nil
}

// ringPath is where the key ring of a configuration is.
func ringPath(cfg config.Config) string {
	if cfg.Keys.File != "" {
		return cfg.Keys.File
	}
	return filepath.Join(cfg.Data, "keys.json")
}

// openRing opens the key ring, and says so when that makes a new one.
func openRing(e *env, cfg config.Config) (*auth.Ring, error) {
	path := ringPath(cfg)
	_, before := os.Stat(path)
	ring, err := auth.Open(path, auth.Options{})
	if err == nil && errors.Is(before, fs.ErrNotExist) {
		fmt.Fprintln(e.err, "penstock: made a new key ring,", path)
	}
	return ring, err
}

type mintedToken struct {
	User    string    `json:"user"`
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
}

func printTokens(e *env, cfg config.Config, f tokenFlags) error {
	ring, err := openRing(e, cfg)
	if err != nil {
		return err
	}
	expires := time.Now().Add(f.life).UTC().Truncate(time.Second)
	users := []string{f.user}
	if f.count > 0 {
		users = make([]string, f.count)
		for i := range users {
			users[i] = f.user + "-" + strconv.Itoa(i+1)
		}
	}
	w := bufio.NewWriter(e.out)
	var all []mintedToken
	for _, u := range users {
		t, err := ring.Sign(auth.Claims{User: u, Role: f.role, Expires: expires})
		if err != nil {
			return usage("user ids are 1 to 128 bytes of UTF-8 without control characters", "--user %q: %w", f.user, err)
		}
		if f.json {
			all = append(all, mintedToken{u, t, expires})
			continue
		}
		fmt.Fprintln(w, t)
	}
	if f.json {
		return writeJSON(e.out, map[string]any{"tokens": all})
	}
	return w.Flush()
}
