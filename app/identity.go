package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"

	"penstock/engine/groupcommit"
	"penstock/engine/mysql"
	"penstock/gateway"
	"penstock/gateway/api"
	"penstock/identity"
	"penstock/identity/oidc"
	"penstock/identity/web"
	"penstock/stock/driver"
	"penstock/webhook/standard"
)

// login is the back office's: who may use the admin listener, by which pages, and which other systems may use it too.
type login struct {
	people   *identity.People
	web      *web.Web
	provider *oidc.Provider // nil without an issuer
}

// startIdentity opens the logins of the back office, where there is an admin listener.
func (a *App) startIdentity(ctx context.Context) (func(context.Context) error, error) {
	key, err := a.identityKey()
	if err != nil {
		return nil, err
	}
	vault, err := identity.NewVault([]byte(key.Reveal()))
	if err != nil {
		return nil, err
	}
	db, err := open(ctx, "stock", a.cfg.Stock, map[string]func(context.Context) (identity.Store, error){"sqlite": a.sqliteIdentity, "mysql": a.mysqlIdentity})
	if err != nil {
		return nil, err
	}
	if err := a.openLogin(ctx, db, vault); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return func(context.Context) error { a.login.people.Stop(); return db.Close() }, nil
}

func (a *App) openLogin(ctx context.Context, db identity.Store, vault identity.Vault) (err error) {
	var l login
	l.people, err = identity.New(ctx, db, vault, identity.Options{
		Clock: a.opt.Clock, Logger: a.log, Idle: a.cfg.Identity.Idle, Life: a.cfg.Identity.Life,
		Audit: func(ctx context.Context, act identity.Act) error {
			return a.stock.Record(ctx, driver.Audit{Who: act.Who, Act: act.Act, Object: act.Object, Why: act.Why, Before: act.Before, After: act.After})
		},
	})
	if err != nil {
		return err
	}
	pages := web.Options{Life: a.cfg.Identity.Life, Client: clientOf}
	if issuer := a.cfg.Identity.Issuer; issuer != "" {
		if l.provider, err = oidc.New(ctx, l.people, oidc.Options{Issuer: issuer}); err != nil {
			return fmt.Errorf("identity.issuer: %w", err)
		}
		pages.Origins, pages.FormTo = []string{issuer}, l.provider.FormTo
	}
	if l.web, err = web.New(l.people, pages); err != nil {
		return err
	}
	if l.provider != nil {
		l.provider.Use(l.web)
	}
	a.login = &l
	return l.people.Start(ctx)
}

// clientOf is the address that the gateway found behind the proxies it trusts.
func clientOf(r *http.Request) netip.Addr {
	if c := gateway.FromContext(r.Context()); c != nil {
		return c.Client
	}
	return netip.Addr{}
}

// loginDeps gives the admin listener its logins.
func (a *App) loginDeps(d *api.Deps) {
	if a.login == nil {
		return
	}
	d.People, d.Browser = a.login.people, a.login.web
	d.Gateway.Sessions, d.Gateway.May = a.login.web, identity.May
	if a.login.provider != nil {
		d.OIDC = a.login.provider
	}
}

// identityKey is what seals second factors and signing keys.
func (a *App) identityKey() (standard.Secret, error) {
	if a.cfg.Identity.Key != "" {
		return standard.ParseSecret(a.cfg.Identity.Key)
	}
	return a.keptSecret("identity.key")
}

func (a *App) sqliteIdentity(ctx context.Context) (identity.Store, error) {
	return identity.OpenSQLite(ctx, a.path("identity.db"), groupcommit.Options{Logger: a.log, Fault: a.opt.Fault})
}

// identityPool is small: logins are few, and sessions are checked in memory.
const identityPool = 6

func (a *App) mysqlIdentity(ctx context.Context) (identity.Store, error) {
	return a.besideStock(ctx, "identity", mysql.Options{Pool: identityPool}, identity.OpenMySQL)
}
