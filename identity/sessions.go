package identity

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"penstock/engine/sqldb"
	"penstock/errs"
	"penstock/internal/ident"
)

func (p *People) session(ctx context.Context, id string) (Session, error) {
	s, err := scanSession(func(dest ...any) error {
		return p.db.Scan(ctx, `SELECT `+sessionColumns+` FROM identity_sessions WHERE id=?`, []any{id}, dest...)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return s, unauthenticated()
	}
	return s, err
}

// Pending reports whether the cookie is that of a login which waits for its second factor.
func (p *People) Pending(ctx context.Context, secret string) bool {
	if secret == "" {
		return false
	}
	s, err := p.session(ctx, Digest(secret))
	return err == nil && s.Pending && p.o.Clock.Now().Before(s.Ends)
}

// end deletes sessions and revokes what other systems got through them.
func end(tx sqldb.Tx, ids []string, now time.Time) error {
	for _, id := range ids {
		if _, err := tx.Exec(`DELETE FROM identity_sessions WHERE id=?`, id); err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE identity_oidc_grants SET revoked=? WHERE session=? AND revoked=0`, now.UnixMilli(), id); err != nil {
			return err
		}
	}
	return nil
}

// endAll ends every session of a user but one ("" ends all).
func endAll(tx sqldb.Tx, name, except string, now time.Time) (int64, error) {
	if _, err := tx.Exec(`UPDATE identity_oidc_grants SET revoked=? WHERE user=? AND session<>? AND revoked=0`, now.UnixMilli(), name, except); err != nil {
		return 0, err
	}
	return tx.Exec(`DELETE FROM identity_sessions WHERE user=? AND id<>?`, name, except)
}

// Sessions lists the live sessions of a user, or of everybody for "", newest first.
func (p *People) Sessions(ctx context.Context, name string) ([]Session, error) {
	q, args := `SELECT `+sessionColumns+` FROM identity_sessions WHERE pending=0 AND ends>?`, []any{p.o.Clock.Now().UnixMilli()}
	if name != "" {
		q, args = q+` AND user=?`, append(args, name)
	}
	rows, err := p.db.Query(ctx, q+` ORDER BY created DESC, id`, args...)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	defer rows.Close()
	var all []Session
	for rows.Next() {
		s, err := scanSession(rows.Scan)
		if err != nil {
			return nil, err
		}
		if p.o.Clock.Now().Sub(s.Seen) < p.o.Idle {
			all = append(all, s)
		}
	}
	return all, rows.Err()
}

// Logout ends the session of a cookie, and what other systems got through it. It is idempotent.
func (p *People) Logout(ctx context.Context, secret string) error {
	if secret == "" {
		return nil
	}
	s, err := p.session(ctx, Digest(secret))
	if errs.CodeOf(err) == errs.Unauthenticated {
		return nil
	}
	if err != nil {
		return err
	}
	return p.End(ctx, s.User, s.ID, "logout")
}

// End ends one session. Errors: not-found.
func (p *People) End(ctx context.Context, who, id, why string) error {
	s, err := p.session(ctx, id)
	if errs.CodeOf(err) == errs.Unauthenticated {
		return errs.New(errs.NotFound, "no such session")
	}
	if err != nil {
		return err
	}
	err = p.db.Do(ctx, ident.SlotOf(s.User), func(tx sqldb.Tx) error {
		if err := end(tx, []string{id}, p.o.Clock.Now()); err != nil {
			return err
		}
		return raise(tx)
	})
	if err != nil {
		return err
	}
	return errors.Join(p.o.Audit(ctx, Act{Who: who, Act: "session.end", Object: "user/" + s.User, Why: why, Before: `{"session":"` + id[:16] + `"}`}), p.Refresh(ctx))
}

// LogoutEverywhere ends every session of a user and returns how many there were.
func (p *People) LogoutEverywhere(ctx context.Context, who, name, why string) (n int64, err error) {
	if _, err := p.user(reader{ctx, p.db}, name); err != nil {
		return 0, notFound(err, name)
	}
	err = p.db.Do(ctx, ident.SlotOf(name), func(tx sqldb.Tx) (err error) {
		if n, err = endAll(tx, name, "", p.o.Clock.Now()); err != nil {
			return err
		}
		return raise(tx)
	})
	if err != nil {
		return 0, err
	}
	return n, errors.Join(p.o.Audit(ctx, Act{Who: who, Act: "user.logout", Object: "user/" + name, Why: why, After: fmt.Sprintf(`{"sessions":%d}`, n)}), p.Refresh(ctx))
}

// sweep deletes what has ended. Every instance does it; nobody minds.
func (p *People) sweep(ctx context.Context) error {
	now := p.o.Clock.Now()
	return p.db.Do(ctx, sqldb.NoLock, func(tx sqldb.Tx) error {
		for _, d := range []struct {
			query  string
			before time.Time
		}{
			{`DELETE FROM identity_sessions WHERE ends<?`, now},
			{`DELETE FROM identity_sessions WHERE seen<?`, now.Add(-p.o.Idle - sweepEvery)},
			{`DELETE FROM identity_enrolments WHERE began<?`, now.Add(-enrolmentLife)},
			{`DELETE FROM identity_throttle WHERE last<?`, now.Add(-forget)},
			{`DELETE FROM identity_oidc_tokens WHERE ends<?`, now.Add(-p.o.Life)}, // reuse is told from nonsense for a while
			{`DELETE FROM identity_oidc_grants WHERE ends<?`, now.Add(-p.o.Life)},
		} {
			if _, err := tx.Exec(d.query, d.before.UnixMilli()); err != nil {
				return err
			}
		}
		return nil
	})
}
