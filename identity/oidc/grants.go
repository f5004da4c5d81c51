package oidc

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"penstock/engine/sqldb"
	"penstock/errs"
	"penstock/identity"
	"penstock/internal/ident"
)

// Kinds of tokens; they are stored as digests.
const (
	kindCode    = "code"
	kindAccess  = "access"
	kindRefresh = "refresh"
)

// grantDoc is what a user's login gave a client.
type grantDoc struct {
	Scopes    []string  `json:"scopes"`
	Nonce     string    `json:"nonce,omitempty"`
	Redirect  string    `json:"redirect"`
	Challenge string    `json:"challenge"`
	Auth      time.Time `json:"auth"`
	Methods   []string  `json:"methods"`
}

type grant struct {
	grantDoc
	id, client, user, session string
	ends                      time.Time
	revoked                   bool
}

func (p *Provider) grant(ctx context.Context, req request, who identity.Who) (string, error) {
	doc, err := json.Marshal(grantDoc{
		Scopes: req.scopes, Nonce: req.q.Get("nonce"), Redirect: req.q.Get("redirect_uri"), Challenge: req.q.Get("code_challenge"),
		Auth: who.Session.Auth, Methods: who.Session.Methods,
	})
	if err != nil {
		return "", err
	}
	id, code, now := rand.Text(), rand.Text()+rand.Text(), p.people.Now()
	return code, p.people.Store().Do(ctx, ident.SlotOf(id), func(tx sqldb.Tx) error {
		_, err := tx.Exec(`INSERT INTO identity_oidc_grants (id, client, user, session, doc, ends, revoked) VALUES (?,?,?,?,?,?,0)`,
			id, req.client.ID, who.User.Name, who.Session.ID, string(doc), who.Session.Ends.UnixMilli())
		if err != nil {
			return err
		}
		return keep(tx, kindCode, code, id, now.Add(codeLife))
	})
}

func keep(tx sqldb.Tx, kind, secret, grantID string, ends time.Time) error {
	_, err := tx.Exec(`INSERT INTO identity_oidc_tokens (id, kind, grant_id, ends, used) VALUES (?,?,?,?,0)`, identity.Digest(secret), kind, grantID, ends.UnixMilli())
	return err
}

type scans interface {
	Scan(query string, args []any, dest ...any) error
}

type reader struct {
	ctx context.Context
	db  sqldb.Store
}

func (r reader) Scan(query string, args []any, dest ...any) error {
	return r.db.Scan(r.ctx, query, args, dest...)
}

func readGrant(s scans, id string) (g grant, err error) {
	var doc []byte
	var ends, revoked int64
	err = s.Scan(`SELECT id, client, user, session, doc, ends, revoked FROM identity_oidc_grants WHERE id=?`, []any{id}, &g.id, &g.client, &g.user, &g.session, &doc, &ends, &revoked)
	if err == nil {
		err = json.Unmarshal(doc, &g.grantDoc)
	}
	g.ends, g.revoked = time.UnixMilli(ends), revoked > 0
	return g, err
}

func noGrant() error {
	return refuse("invalid_grant", "the code or token is not known, over, used before or of another client")
}

// ticket is a code or a refresh token that a client brings.
type ticket struct {
	kind, secret string
	client       Client
	// redirect and verifier belong to a code.
	redirect, verifier string
	// scopes are what a refresh asks for. More than was granted is refused; less gets what was granted, as the answer says.
	scopes []string
}

// tokens is what a ticket is exchanged for. refresh is "" where it was not asked for.
type tokens struct {
	grant           grant
	access, refresh string
	life            time.Duration
}

// exchange spends a ticket, once. One that was spent before ends the grant: either the client or a thief holds a copy, and
// nobody can tell which. What is wrong with a ticket otherwise leaves it as it is.
func (p *Provider) exchange(ctx context.Context, t ticket) (out tokens, err error) {
	var grantID string
	err = p.people.Store().Scan(ctx, `SELECT grant_id FROM identity_oidc_tokens WHERE id=? AND kind=?`, []any{identity.Digest(t.secret), t.kind}, &grantID)
	if errors.Is(err, sql.ErrNoRows) {
		return out, noGrant()
	}
	if err != nil {
		return out, err
	}
	var refused error
	err = p.people.Store().Do(ctx, ident.SlotOf(grantID), func(tx sqldb.Tx) error {
		var err error
		out, refused, err = p.spend(tx, t, grantID)
		return err
	})
	if err == nil && refused != nil {
		err = errors.Join(refused, p.tellReuse(ctx, refused, t, out.grant))
	}
	return out, err
}

// reused marks the refusal of a ticket that came a second time.
type reused struct{ error }

func (r reused) Unwrap() error { return r.error }

func (p *Provider) tellReuse(ctx context.Context, refused error, t ticket, g grant) error {
	if !errors.As(refused, new(reused)) {
		return nil
	}
	return p.people.Tell(ctx, identity.Act{Who: "oidc-client/" + t.client.ID, Act: "oidc.reuse", Object: "user/" + g.user, Why: "a " + t.kind + " came a second time; what was granted through it is over"})
}

// spend runs in the transaction: refused is an answer that must be committed, err one that must not.
func (p *Provider) spend(tx sqldb.Tx, t ticket, grantID string) (out tokens, refused, err error) {
	now, id := p.people.Now(), identity.Digest(t.secret)
	var ends, used int64
	if err = tx.Scan(tx.Locking(`SELECT ends, used FROM identity_oidc_tokens WHERE id=?`), []any{id}, &ends, &used); err != nil {
		return out, nil, err
	}
	g, err := readGrant(tx, grantID)
	if errors.Is(err, sql.ErrNoRows) {
		return out, noGrant(), nil
	}
	if err != nil {
		return out, nil, err
	}
	out.grant = g
	if g.client != t.client.ID {
		return out, noGrant(), nil
	}
	if used > 0 {
		_, err = tx.Exec(`UPDATE identity_oidc_grants SET revoked=? WHERE id=? AND revoked=0`, now.UnixMilli(), g.id)
		return out, reused{noGrant()}, err
	}
	if g.revoked || now.UnixMilli() >= ends || !now.Before(g.ends) || t.kind == kindCode && !t.proves(g) {
		return out, noGrant(), nil
	}
	if ok, err := p.alive(tx, g, t.client); err != nil || !ok {
		return out, noGrant(), err
	}
	for _, s := range t.scopes {
		if !slices.Contains(g.Scopes, s) {
			return out, refuse("invalid_scope", "more than was granted"), nil
		}
	}
	if _, err = tx.Exec(`UPDATE identity_oidc_tokens SET used=? WHERE id=?`, now.UnixMilli(), id); err != nil {
		return out, nil, err
	}
	return p.issue(tx, out, now)
}

// proves compares redirect URI and PKCE verifier (RFC 7636) with what the code was asked for with.
func (t ticket) proves(g grant) bool {
	sum := sha256.Sum256([]byte(t.verifier))
	return t.redirect == g.Redirect && len(t.verifier) >= 43 && len(t.verifier) <= 128 && base64.RawURLEncoding.EncodeToString(sum[:]) == g.Challenge
}

// alive asks the rows, not the snapshot: the session stands, the user is not disabled and may use the client.
func (p *Provider) alive(s scans, g grant, c Client) (bool, error) {
	var role identity.Role
	var disabled bool
	err := s.Scan(`SELECT u.role, u.disabled FROM identity_users u JOIN identity_sessions s ON s.user=u.name WHERE u.name=? AND s.id=? AND s.pending=0`,
		[]any{g.user, g.session}, &role, &disabled)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil && !disabled && !c.Disabled && c.admits(role), err
}

func (p *Provider) issue(tx sqldb.Tx, out tokens, now time.Time) (tokens, error, error) {
	g := out.grant
	out.life = min(accessLife, g.ends.Sub(now))
	out.access = rand.Text() + rand.Text()
	if err := keep(tx, kindAccess, out.access, g.id, now.Add(out.life)); err != nil {
		return out, nil, err
	}
	if slices.Contains(g.Scopes, "offline_access") {
		out.refresh = rand.Text() + rand.Text()
		if err := keep(tx, kindRefresh, out.refresh, g.id, g.ends); err != nil {
			return out, nil, err
		}
	}
	return out, nil, nil
}

// access finds what an access token stands for, if its grant is alive now.
func (p *Provider) access(ctx context.Context, secret string) (grant, identity.User, error) {
	bad := &oauthError{"invalid_token", "the access token is not good, or over", 401}
	committed := reader{ctx, p.people.Store()}
	var grantID string
	var ends int64
	err := committed.Scan(`SELECT grant_id, ends FROM identity_oidc_tokens WHERE id=? AND kind=?`, []any{identity.Digest(secret), kindAccess}, &grantID, &ends)
	if errors.Is(err, sql.ErrNoRows) {
		return grant{}, identity.User{}, bad
	}
	if err != nil {
		return grant{}, identity.User{}, err
	}
	g, err := readGrant(committed, grantID)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return g, identity.User{}, err
	}
	now := p.people.Now()
	if err != nil || g.revoked || now.UnixMilli() >= ends || !now.Before(g.ends) {
		return g, identity.User{}, bad
	}
	c, err := p.Client(ctx, g.client)
	if errs.CodeOf(err) == errs.NotFound {
		return g, identity.User{}, bad
	}
	if err != nil {
		return g, identity.User{}, err
	}
	switch ok, err := p.alive(committed, g, c); {
	case err != nil:
		return g, identity.User{}, err
	case !ok:
		return g, identity.User{}, bad
	}
	u, err := p.people.User(ctx, g.user)
	return g, u, err
}

// claims are what the scopes let a client know of a user.
func claims(u identity.User, scopes []string) map[string]any {
	out := map[string]any{"sub": u.Name}
	for _, s := range scopes {
		switch s {
		case "profile":
			out["preferred_username"], out["name"] = u.Name, u.Display
			if u.Display == "" {
				out["name"] = u.Name
			}
		case "email":
			if u.Email != "" {
				out["email"], out["email_verified"] = u.Email, false
			}
		case "roles":
			out["role"] = string(u.Role)
		}
	}
	return out
}

func fields(s string) []string { return strings.Fields(s) }
