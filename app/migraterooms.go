package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"penstock/engine/sqldb"
	"penstock/identity"
	"penstock/line"
	"penstock/partner"
	"penstock/webhook"
)

// room is one whose tables live in a file of its own, or in the database of the stock.
type room struct {
	file, key  string // key is the file, and the configuration's key, of what seals its secrets
	configured string
	from, to   storeOpener
	tables     []sqldb.Table
	sealed     []string // rows that hold such secrets
}

// apps moves the third-party apps with their secrets, and the nonces of what they signed lately.
func (m *migration) apps(ctx context.Context) error {
	return m.room(ctx, room{
		file: "apps.db", key: "apps.key", configured: m.target.cfg.Apps.Key, from: m.source.sqliteApps, to: m.target.mysqlApps,
		tables: partner.Tables(), sealed: []string{"partner_apps WHERE deleted=0"},
	})
}

// hooks moves the endpoints of webhooks, and what is and was to be delivered to them.
func (m *migration) hooks(ctx context.Context) error {
	return m.room(ctx, room{
		file: "webhooks.db", key: "webhooks.key", configured: m.target.cfg.Webhooks.Key, from: m.source.sqliteWebhooks, to: m.target.mysqlWebhooks,
		tables: webhook.Tables(), sealed: []string{"webhook_endpoints"},
	})
}

// people moves the logins of the back office, those that are open included, and the systems that they are good for.
func (m *migration) people(ctx context.Context) error {
	return m.room(ctx, room{
		file: "identity.db", key: "identity.key", configured: m.target.cfg.Identity.Key, from: m.source.sqliteIdentity, to: m.target.mysqlIdentity,
		tables: identity.Tables(), sealed: []string{"identity_users WHERE length(totp)>0", "identity_enrolments", "identity_oidc_keys"},
	})
}

// lines moves who stands in which place of which line, and the draws with their secrets.
func (m *migration) lines(ctx context.Context) error {
	return m.room(ctx, room{file: "line.db", from: m.source.sqliteLines, to: m.target.mysqlLines, tables: line.Tables()})
}

func (m *migration) room(ctx context.Context, r room) error {
	if _, err := os.Stat(m.source.path(r.file)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	to := func(ctx context.Context) (sqldb.Store, error) {
		return open(ctx, "stock", m.target.cfg.Stock, map[string]storeOpener{"mysql": r.to})
	}
	return between(ctx, r.from, to, func(from, to sqldb.Store) error {
		for _, rows := range r.sealed {
			if err := m.sealed(ctx, from, rows, r); err != nil {
				return err
			}
		}
		return sqldb.Copy(ctx, from, to, r.tables, func(table string, rows uint64) { m.say(table, rows, rows) })
	})
}

// sealed refuses to move secrets that the processes over the target could not open: there the key must be the one that the
// directory's file holds.
func (m *migration) sealed(ctx context.Context, from sqldb.Store, rows string, r room) error {
	was, err := os.ReadFile(m.source.path(r.key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it was configured, and the same configuration is given now
	}
	if err != nil {
		return err
	}
	var n int
	if err := from.Scan(ctx, "SELECT count(*) FROM "+rows, nil, &n); err != nil || n == 0 {
		return err
	}
	if r.configured == "" {
		kept, err := os.ReadFile(m.target.path(r.key))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		r.configured = string(kept)
	}
	if strings.TrimSpace(r.configured) != strings.TrimSpace(string(was)) {
		return fmt.Errorf("secrets in %s are sealed with its %s: set %s to what that file holds, for every process, and run penstock migrate again", m.source.cfg.Data, r.key, r.key)
	}
	return nil
}
