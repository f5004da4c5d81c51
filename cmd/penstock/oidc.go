package main

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

const clientsPath = "/admin/v1/oidc-clients"

// clientView is what of a client a shell shows.
type clientView struct {
	ID, Name, IDTokenAlg, Secret string
	Public, Disabled             bool
	RedirectURIs, Roles          []string
}

func clientRows(all []clientView) [][]string {
	rows := [][]string{{"CLIENT", "NAME", "KIND", "STATE", "SIGNED", "ROLES", "REDIRECT URIS"}}
	for _, c := range all {
		kind, state := "confidential", "enabled"
		if c.Public {
			kind = "public"
		}
		if c.Disabled {
			state = "disabled"
		}
		rows = append(rows, []string{c.ID, c.Name, kind, state, c.IDTokenAlg, strings.Join(c.Roles, ","), strings.Join(c.RedirectURIs, " ")})
	}
	return rows
}

func oneClient(c clientView) [][]string {
	rows := clientRows([]clientView{c})
	if c.Secret != "" {
		rows = append(rows, nil, []string{"secret", c.Secret, "shown this one time"})
	}
	return rows
}

func newOIDC(e *env) *cobra.Command {
	all := act{use: "list", short: "systems that use the login", run: func(ctx context.Context, o *operator, _ []string) error {
		return list(ctx, o, call{path: clientsPath}, clientRows)
	}}
	rotate := act{use: "rotate CLIENT", short: "give a system a new secret; the old one is over", args: []string{"CLIENT"}, reason: allowed, run: func(ctx context.Context, o *operator, given []string) error {
		return show(ctx, o, call{method: http.MethodPost, path: clientsPath + "/" + url.PathEscape(given[0]) + "/rotate", body: map[string]string{"reason": o.reason}}, oneClient)
	}}
	remove := act{use: "delete CLIENT", short: "take a system away, with what it was granted", args: []string{"CLIENT"}, reason: allowed, run: func(ctx context.Context, o *operator, given []string) error {
		return remove(ctx, o, call{method: http.MethodDelete, path: clientsPath + "/" + url.PathEscape(given[0]), query: url.Values{"reason": {o.reason}}}, given[0])
	}}
	keys := act{use: "keys", short: "sign ID tokens with new keys from now on", reason: allowed, run: func(ctx context.Context, o *operator, _ []string) error {
		return show(ctx, o, call{method: http.MethodPost, path: "/admin/v1/oidc-keys/rotate", body: map[string]string{"reason": o.reason}}, func(v struct{ Keys []string }) [][]string { return [][]string{v.Keys} })
	}}
	return group("oidc", "other systems that use the login (OpenID Connect): create, list, rotate, delete, keys",
		createClient().command(e), asAdmin(all).command(e), asAdmin(rotate).command(e), asAdmin(remove).command(e), asAdmin(keys).command(e))
}

func createClient() act {
	var name, alg string
	var redirects, after, roles []string
	var public bool
	return asAdmin(act{
		use: "create CLIENT", short: "let another system use the login; its secret is shown once", args: []string{"CLIENT"},
		flags: func(c *cobra.Command) {
			c.Flags().StringVar(&name, "name", "", "name to show")
			c.Flags().StringArrayVar(&redirects, "redirect", nil, "redirect URI, compared as a whole; repeat it for more")
			c.Flags().StringArrayVar(&after, "post-logout", nil, "redirect URI for after the logout; repeat it for more")
			c.Flags().StringArrayVar(&roles, "role", nil, "only people of this role may log in to it; repeat it for more")
			c.Flags().StringVar(&alg, "alg", "RS256", "what signs its ID tokens: RS256, ES256 or EdDSA")
			c.Flags().BoolVar(&public, "public", false, "it cannot keep a secret (in a browser, on a device)")
		},
		run: func(ctx context.Context, o *operator, given []string) error {
			if len(redirects) == 0 {
				return usage("for example --redirect https://crm.example/callback", "--redirect is missing")
			}
			if name == "" {
				name = given[0]
			}
			body := map[string]any{"id": given[0], "name": name, "public": public, "redirectUris": redirects, "postLogoutRedirectUris": append([]string{}, after...), "idTokenAlg": alg, "roles": append([]string{}, roles...)}
			return show(ctx, o, call{method: http.MethodPost, path: clientsPath, body: body}, oneClient)
		},
	})
}
