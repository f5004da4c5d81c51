package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"penstock/identity"
)

const usersPath = "/admin/v1/users"

func userPath(name string) string { return usersPath + "/" + url.PathEscape(name) }

// userView is what of a person a shell shows.
type userView struct {
	Name, Display, Email, Role, Password string
	Disabled, TOTP                       bool
	ChangedAt                            time.Time
}

func userRows(all []userView) [][]string {
	rows := [][]string{{"USER", "ROLE", "STATE", "SECOND FACTOR", "DISPLAY", "EMAIL", "CHANGED"}}
	for _, u := range all {
		state, second := "enabled", "none"
		if u.Disabled {
			state = "disabled"
		}
		if u.TOTP {
			second = "totp"
		}
		rows = append(rows, []string{u.Name, u.Role, state, second, u.Display, u.Email, u.ChangedAt.Format(time.RFC3339)})
	}
	return rows
}

func oneUser(u userView) [][]string {
	rows := userRows([]userView{u})
	if u.Password != "" {
		rows = append(rows, nil, []string{"password", u.Password, "shown this one time"})
	}
	return rows
}

func newUser(e *env) *cobra.Command {
	return group("user", "people of the back office: create, list, change, disable, enable, password, totp, logout, sessions",
		createUser().command(e), listUsers().command(e), changeUser().command(e), switchUser("disable", true).command(e), switchUser("enable", false).command(e),
		passwordOfUser().command(e), totpOfUser().command(e), logoutUser().command(e), sessionsOfUser().command(e))
}

// asAdmin makes an act whose token, when it is made from the key ring, speaks for an admin: who holds the ring may sign anything.
func asAdmin(a act) act {
	a.role = string(identity.Admin)
	return a
}

func createUser() act {
	var role, display, email string
	var stdin bool
	return asAdmin(act{
		use: "create NAME", short: "add a person; without --password-stdin a password is generated and shown once", args: []string{"NAME"},
		flags: func(c *cobra.Command) {
			c.Flags().StringVar(&role, "role", "", "viewer, support, operator or admin")
			c.Flags().StringVar(&display, "display", "", "name to show")
			c.Flags().StringVar(&email, "email", "", "address to show to other systems")
			stdinFlag(c, &stdin)
		},
		run: func(ctx context.Context, o *operator, given []string) error {
			if !identity.Role(role).Valid() {
				return usage("for example --role operator", "--role %q is not one of viewer, support, operator, admin", role)
			}
			password, err := readPassword(o.e, stdin)
			if err != nil {
				return err
			}
			body := map[string]any{"name": given[0], "role": role, "display": display, "email": email, "password": password}
			return show(ctx, o, call{method: http.MethodPost, path: usersPath, body: body}, oneUser)
		},
	})
}

func stdinFlag(c *cobra.Command, p *bool) {
	c.Flags().BoolVar(p, "password-stdin", false, "read the password from standard input: asked for on a terminal, else the first line")
}

// readPassword returns "" when none is to be read: then the server makes one.
func readPassword(e *env, wanted bool) (string, error) {
	if !wanted {
		return "", nil
	}
	if f, ok := e.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return askPassword(e, f)
	}
	line, err := bufio.NewReader(io.LimitReader(e.in, 4096)).ReadString('\n')
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", usage("write it on the first line, at least 12 bytes", "no password on standard input: %v", err)
	}
	return line, nil
}

func askPassword(e *env, f *os.File) (string, error) {
	var typed [2]string
	for i, ask := range []string{"Password: ", "Again: "} {
		fmt.Fprint(e.err, ask)
		raw, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(e.err)
		if err != nil {
			return "", err
		}
		typed[i] = string(raw)
	}
	if typed[0] != typed[1] || typed[0] == "" {
		return "", usage("type it twice, at least 12 bytes", "the two passwords are not the same")
	}
	return typed[0], nil
}

func listUsers() act {
	var query func() url.Values
	return asAdmin(act{
		use: "list", short: "who there is, by name",
		flags: func(c *cobra.Command) { query = pages(c) },
		run: func(ctx context.Context, o *operator, _ []string) error {
			return list(ctx, o, call{path: usersPath, query: query()}, userRows)
		},
	})
}

func changeUser() act {
	var role string
	return asAdmin(act{
		use: "role NAME", short: "give a person another role; all sessions end", args: []string{"NAME"},
		reason: allowed,
		flags: func(c *cobra.Command) {
			c.Flags().StringVar(&role, "role", "", "viewer, support, operator or admin")
		},
		run: func(ctx context.Context, o *operator, given []string) error {
			if !identity.Role(role).Valid() {
				return usage("for example --role support", "--role %q is not one of viewer, support, operator, admin", role)
			}
			return show(ctx, o, call{method: http.MethodPatch, path: userPath(given[0]), body: map[string]any{"role": role, "reason": o.reason}}, oneUser)
		},
	})
}

func switchUser(word string, disabled bool) act {
	return asAdmin(act{
		use: word + " NAME", short: map[bool]string{true: "keep a person out; all sessions end within seconds", false: "let a person in again"}[disabled], args: []string{"NAME"},
		reason: allowed,
		run: func(ctx context.Context, o *operator, given []string) error {
			return show(ctx, o, call{method: http.MethodPatch, path: userPath(given[0]), body: map[string]any{"disabled": disabled, "reason": o.reason}}, oneUser)
		},
	})
}

func passwordOfUser() act {
	var stdin bool
	return asAdmin(act{
		use: "password NAME", short: "give a person a new password; all sessions end", args: []string{"NAME"},
		flags: func(c *cobra.Command) { stdinFlag(c, &stdin) },
		run: func(ctx context.Context, o *operator, given []string) error {
			password, err := readPassword(o.e, stdin)
			if err != nil {
				return err
			}
			return show(ctx, o, call{method: http.MethodPut, path: userPath(given[0]) + "/password", body: map[string]any{"password": password}}, oneUser)
		},
	})
}

type totpView struct {
	Secret, URI   string
	RecoveryCodes []string
}

func totpOfUser() act {
	var off bool
	return asAdmin(act{
		use: "totp NAME", short: "give a person a second factor, shown once, or take it away with --off; all sessions end", args: []string{"NAME"},
		reason: allowed,
		flags: func(c *cobra.Command) {
			c.Flags().BoolVar(&off, "off", false, "take it away")
		},
		run: func(ctx context.Context, o *operator, given []string) error {
			path := userPath(given[0]) + "/totp"
			if off {
				return remove(ctx, o, call{method: http.MethodDelete, path: path, body: map[string]any{"reason": o.reason}}, "the second factor of "+given[0])
			}
			return show(ctx, o, call{method: http.MethodPut, path: path}, func(t totpView) [][]string {
				rows := [][]string{{"secret", t.Secret}, {"uri", t.URI}}
				for _, code := range t.RecoveryCodes {
					rows = append(rows, []string{"recovery code", code})
				}
				return append(rows, []string{"", "shown this one time"})
			})
		},
	})
}

func logoutUser() act {
	return asAdmin(act{
		use: "logout NAME", short: "end all sessions of a person", args: []string{"NAME"},
		reason: allowed,
		run: func(ctx context.Context, o *operator, given []string) error {
			return show(ctx, o, call{method: http.MethodPost, path: userPath(given[0]) + "/logout", body: map[string]any{"reason": o.reason}}, func(v struct{ Ended int64 }) [][]string {
				return [][]string{{"sessions ended", fmt.Sprint(v.Ended)}}
			})
		},
	})
}

type sessionView struct {
	ID, User, Address, Agent  string
	CreatedAt, SeenAt, EndsAt time.Time
	Methods                   []string
}

func sessionsOfUser() act {
	var user string
	return asAdmin(act{
		use: "sessions", short: "who is logged in, newest first",
		flags: func(c *cobra.Command) { c.Flags().StringVar(&user, "user", "", "only those of one person") },
		run: func(ctx context.Context, o *operator, _ []string) error {
			query := url.Values{}
			set(query, "user", user)
			return show(ctx, o, call{method: http.MethodGet, path: "/admin/v1/sessions", query: query}, func(p page[sessionView]) [][]string {
				rows := [][]string{{"SESSION", "USER", "BY", "SINCE", "SEEN", "ENDS", "ADDRESS", "AGENT"}}
				for _, s := range p.Items {
					rows = append(rows, []string{s.ID, s.User, strings.Join(s.Methods, "+"), s.CreatedAt.Format(time.RFC3339), s.SeenAt.Format(time.RFC3339), s.EndsAt.Format(time.RFC3339), s.Address, s.Agent})
				}
				return rows
			})
		},
	})
}
