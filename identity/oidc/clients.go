package oidc

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"penstock/engine/sqldb"
	"penstock/errs"
	"penstock/identity"
)

// Client is another system that uses the login.
type Client struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Public clients (in a browser, on a device) have no secret.
	Public bool `json:"public"`
	// Redirects and PostLogout are compared as whole strings.
	Redirects  []string `json:"redirects"`
	PostLogout []string `json:"postLogout"`
	// Algorithm signs the ID tokens of the client: RS256, ES256 or EdDSA; "" means RS256.
	Algorithm string `json:"algorithm"`
	// Roles may log in to the client; none means all.
	Roles    []identity.Role `json:"roles"`
	Disabled bool            `json:"disabled"`
	Created  time.Time       `json:"-"`
}

func (c Client) redirects(uri string) bool { return uri != "" && slices.Contains(c.Redirects, uri) }

func (c Client) admits(r identity.Role) bool { return len(c.Roles) == 0 || slices.Contains(c.Roles, r) }

var clientID = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

func invalid(pointer, detail string) error {
	e := errs.New(errs.Invalid, "%s: %s", strings.TrimPrefix(pointer, "/"), detail)
	e.Fields = []errs.Field{{Pointer: pointer, Detail: detail}}
	return e
}

func (c *Client) check() error {
	if c.Algorithm == "" {
		c.Algorithm = RS256
	}
	switch {
	case !clientID.MatchString(c.ID):
		return invalid("/id", "1 to 64 of a-z 0-9 . _ -, beginning with a letter or a digit")
	case c.Name == "" || len(c.Name) > 200:
		return invalid("/name", "1 to 200 bytes")
	case !slices.Contains(algorithms(), c.Algorithm):
		return invalid("/algorithm", "one of RS256, ES256, EdDSA")
	case len(c.Redirects) == 0 || len(c.Redirects) > 20 || len(c.PostLogout) > 20:
		return invalid("/redirects", "1 to 20 redirect URIs, at most 20 for after the logout")
	}
	for _, uri := range append(slices.Clone(c.Redirects), c.PostLogout...) {
		if err := checkRedirect(uri); err != nil {
			return invalid("/redirects", err.Error())
		}
	}
	for _, r := range c.Roles {
		if !r.Valid() {
			return invalid("/roles", "each one of viewer, support, operator, admin")
		}
	}
	return nil
}

// checkRedirect follows RFC 9700: https; http to loopback only; a scheme of an app's own must look like a reversed domain name.
func checkRedirect(uri string) error {
	u, err := url.Parse(uri)
	if err != nil || !u.IsAbs() || u.Fragment != "" || strings.Contains(uri, "#") || u.User != nil || len(uri) > 500 || strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }) {
		return fmt.Errorf("%q is not an absolute URI without fragment and user", uri)
	}
	switch {
	case u.Scheme == "https" && u.Host != "", u.Scheme == "http" && loopback(host(u)), strings.Contains(u.Scheme, "."):
		return nil
	}
	return fmt.Errorf("%q must be https, http on loopback, or have a scheme like com.example.app", uri)
}

// client reads a client and the digest of its secret. Errors: not-found.
func (p *Provider) client(ctx context.Context, id string) (c Client, secret string, err error) {
	var doc []byte
	var created int64
	err = p.people.Store().Scan(ctx, `SELECT doc, secret, created FROM identity_oidc_clients WHERE id=?`, []any{id}, &doc, &secret, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return c, "", errs.New(errs.NotFound, "no such client")
	}
	if err == nil {
		err = json.Unmarshal(doc, &c)
	}
	c.Created = time.UnixMilli(created).UTC()
	return c, secret, err
}

// Client reads a client. Errors: not-found.
func (p *Provider) Client(ctx context.Context, id string) (Client, error) {
	c, _, err := p.client(ctx, id)
	return c, err
}

// Clients lists all clients, by id. There are few.
func (p *Provider) Clients(ctx context.Context) ([]Client, error) {
	rows, err := p.people.Store().Query(ctx, `SELECT doc, created FROM identity_oidc_clients ORDER BY id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Client
	for rows.Next() {
		var c Client
		var doc []byte
		var created int64
		if err := rows.Scan(&doc, &created); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(doc, &c); err != nil {
			return nil, err
		}
		c.Created = time.UnixMilli(created).UTC()
		all = append(all, c)
	}
	return all, rows.Err()
}

// CreateClient adds a client and returns its secret, which is shown once; "" for a public one. Errors: invalid-request, conflict.
func (p *Provider) CreateClient(ctx context.Context, who string, c Client) (Client, string, error) {
	if err := c.check(); err != nil {
		return c, "", err
	}
	secret, digest := newSecret(c)
	doc, err := json.Marshal(c)
	if err != nil {
		return c, "", err
	}
	c.Created = p.people.Now().UTC().Truncate(time.Millisecond)
	err = p.people.Store().Do(ctx, sqldb.NoLock, func(tx sqldb.Tx) error {
		added, err := tx.Insert(`INSERT INTO identity_oidc_clients (id, doc, secret, created) VALUES (?,?,?,?)`, c.ID, string(doc), digest, c.Created.UnixMilli())
		if err == nil && !added {
			err = errs.New(errs.Conflict, "there is a client %s already", c.ID)
		}
		return err
	})
	if err != nil {
		return c, "", err
	}
	return c, secret, p.people.Tell(ctx, identity.Act{Who: who, Act: "oidc-client.create", Object: "oidc-client/" + c.ID, After: string(doc)})
}

func newSecret(c Client) (secret, digest string) {
	if c.Public {
		return "", ""
	}
	secret = rand.Text() + rand.Text()
	return secret, identity.Digest(secret)
}

// ChangeClient replaces what a client is, but not its secret. A client that is disabled gets nothing any more. Errors:
// invalid-request, not-found.
func (p *Provider) ChangeClient(ctx context.Context, who, why string, c Client) (Client, error) {
	if err := c.check(); err != nil {
		return c, err
	}
	was, err := p.Client(ctx, c.ID)
	if err != nil {
		return c, err
	}
	if was.Public != c.Public {
		return c, invalid("/public", "cannot change: make another client")
	}
	before, _ := json.Marshal(was)
	doc, err := json.Marshal(c)
	if err != nil {
		return c, err
	}
	err = p.people.Store().Do(ctx, sqldb.NoLock, func(tx sqldb.Tx) error {
		if _, err := tx.Exec(`UPDATE identity_oidc_clients SET doc=? WHERE id=?`, string(doc), c.ID); err != nil || !c.Disabled {
			return err
		}
		return revokeClient(tx, c.ID, p.people.Now())
	})
	if err != nil {
		return c, err
	}
	c.Created = was.Created
	return c, p.people.Tell(ctx, identity.Act{Who: who, Act: "oidc-client.change", Object: "oidc-client/" + c.ID, Why: why, Before: string(before), After: string(doc)})
}

// RotateSecret gives a client a new secret, shown once; the old one is over. why may be "".
func (p *Provider) RotateSecret(ctx context.Context, who, why, id string) (string, error) {
	c, err := p.Client(ctx, id)
	if err != nil {
		return "", err
	}
	if c.Public {
		return "", invalid("/id", "a public client has no secret")
	}
	secret, digest := newSecret(c)
	err = p.people.Store().Do(ctx, sqldb.NoLock, func(tx sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE identity_oidc_clients SET secret=? WHERE id=?`, digest, id)
		return err
	})
	if err != nil {
		return "", err
	}
	return secret, p.people.Tell(ctx, identity.Act{Who: who, Act: "oidc-client.rotate", Object: "oidc-client/" + id, Why: why})
}

// DeleteClient takes a client away, with everything granted to it. why may be "".
func (p *Provider) DeleteClient(ctx context.Context, who, why, id string) error {
	was, err := p.Client(ctx, id)
	if err != nil {
		return err
	}
	before, _ := json.Marshal(was)
	err = p.people.Store().Do(ctx, sqldb.NoLock, func(tx sqldb.Tx) error {
		if _, err := tx.Exec(`DELETE FROM identity_oidc_clients WHERE id=?`, id); err != nil {
			return err
		}
		return revokeClient(tx, id, p.people.Now())
	})
	if err != nil {
		return err
	}
	return p.people.Tell(ctx, identity.Act{Who: who, Act: "oidc-client.delete", Object: "oidc-client/" + id, Why: why, Before: string(before)})
}

func revokeClient(tx sqldb.Tx, id string, now time.Time) error {
	_, err := tx.Exec(`UPDATE identity_oidc_grants SET revoked=? WHERE client=? AND revoked=0`, now.UnixMilli(), id)
	return err
}

// sameSecret compares in constant time.
func sameSecret(digest, secret string) bool {
	return digest != "" && subtle.ConstantTimeCompare([]byte(digest), []byte(identity.Digest(secret))) == 1
}
