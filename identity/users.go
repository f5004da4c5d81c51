package identity

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"penstock/engine/sqldb"
	"penstock/errs"
	"penstock/internal/ident"
)

// user reads a user with what never leaves the room; the error is [sql.ErrNoRows] when there is none.
func (p *People) user(s scans, name string) (stored, error) {
	var u stored
	var created, changed int64
	err := s.Scan(`SELECT `+userColumns+` FROM identity_users WHERE name=?`, []any{name}, u.dest(&created, &changed)...)
	if err == nil {
		u.done(created, changed)
	}
	return u, err
}

func notFound(err error, name string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return noUser(name)
	}
	return err
}

// User reads a user. Errors: not-found.
func (p *People) User(ctx context.Context, name string) (User, error) {
	u, err := p.user(reader{ctx, p.db}, name)
	return u.User, notFound(err, name)
}

// Users lists everybody, by name: those after a name, or from the first for "".
func (p *People) Users(ctx context.Context, after string, limit int) ([]User, error) {
	rows, err := p.db.Query(ctx, `SELECT `+userColumns+` FROM identity_users WHERE name>? ORDER BY name LIMIT ?`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	defer rows.Close()
	var all []User
	for rows.Next() {
		var u stored
		var created, changed int64
		if err := rows.Scan(u.dest(&created, &changed)...); err != nil {
			return nil, err
		}
		u.done(created, changed)
		all = append(all, u.User)
	}
	return all, rows.Err()
}

// Create adds a user with a password. Errors: invalid-request, conflict, reduced-capacity.
func (p *People) Create(ctx context.Context, who string, u User, password string) (User, error) {
	if err := u.check(); err != nil {
		return User{}, err
	}
	if err := checkPassword(u.Name, password); err != nil {
		return User{}, err
	}
	hash, err := p.hash.hash(ctx, password)
	if err != nil {
		return User{}, err
	}
	now := p.o.Clock.Now()
	err = p.db.Do(ctx, ident.SlotOf(u.Name), func(tx sqldb.Tx) error {
		added, err := tx.Insert(`INSERT INTO identity_users (`+userColumns+`) VALUES (?,?,?,?,?,0,?,0,?,?)`, u.Name, string(u.Role), u.Display, u.Email, hash,
			[]byte{}, now.UnixMilli(), now.UnixMilli())
		if err != nil {
			return err
		}
		if !added {
			return errs.New(errs.Conflict, "there is a user %s already", u.Name)
		}
		return raise(tx)
	})
	if err != nil {
		return User{}, err
	}
	after, err := p.User(ctx, u.Name)
	if err != nil {
		return User{}, err
	}
	return after, p.told(ctx, Act{Who: who, Act: "user.create", Object: "user/" + u.Name, After: summary(after)})
}

// Change sets role, display, email and disabled of a user. A user who is disabled, or gets another role, is logged out
// everywhere. Errors: invalid-request, not-found.
func (p *People) Change(ctx context.Context, who, why string, u User) (before, after User, err error) {
	if err := u.check(); err != nil {
		return before, after, err
	}
	now := p.o.Clock.Now()
	err = p.db.Do(ctx, ident.SlotOf(u.Name), func(tx sqldb.Tx) error {
		was, err := p.user(tx, u.Name)
		if err != nil {
			return notFound(err, u.Name)
		}
		before = was.User
		_, err = tx.Exec(`UPDATE identity_users SET role=?, display=?, email=?, disabled=?, changed=? WHERE name=?`, string(u.Role), u.Display, u.Email, u.Disabled,
			now.UnixMilli(), u.Name)
		if err == nil && (u.Disabled || u.Role != was.Role) {
			_, err = endAll(tx, u.Name, "", now)
		}
		if err != nil {
			return err
		}
		return raise(tx)
	})
	if err != nil {
		return before, after, err
	}
	if after, err = p.User(ctx, u.Name); err != nil {
		return before, after, err
	}
	return before, after, p.told(ctx, Act{Who: who, Act: "user.change", Object: "user/" + u.Name, Why: why, Before: summary(before), After: summary(after)})
}

// SetPassword replaces a password and logs the user out everywhere but in the session keep ("" keeps none).
func (p *People) SetPassword(ctx context.Context, who, name, password, keep string) error {
	if err := checkPassword(name, password); err != nil {
		return err
	}
	hash, err := p.hash.hash(ctx, password)
	if err != nil {
		return err
	}
	err = p.amend(ctx, name, keep, func(tx sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE identity_users SET password=? WHERE name=?`, hash, name)
		return err
	})
	if err != nil {
		return err
	}
	return p.told(ctx, Act{Who: who, Act: "user.password", Object: "user/" + name})
}

// OwnPassword is SetPassword for the user himself, who knows the old one. Guesses at it are slowed like logins.
func (p *People) OwnPassword(ctx context.Context, from From, who Who, old, fresh string) error {
	return p.proved(ctx, from, who, old, func(name, keep string) error { return p.SetPassword(ctx, name, name, fresh, keep) })
}

// proved does what only the user himself may, once he has shown that he knows his password. do gets his name and his session.
func (p *People) proved(ctx context.Context, from From, who Who, password string, do func(name, keep string) error) error {
	counters, _ := p.counters(from, who.User.Name)
	if err := p.charge(ctx, counters); err != nil {
		return err
	}
	u, err := p.user(reader{ctx, p.db}, who.User.Name)
	if err != nil {
		return notFound(err, who.User.Name)
	}
	good, _, err := p.hash.matches(ctx, u.hash, password)
	if err != nil {
		return errors.Join(err, p.release(context.WithoutCancel(ctx), counters, false))
	}
	if !good {
		return errors.Join(errs.New(errs.Forbidden, "the password is wrong"), p.failed(ctx, from, u.Name, "password"))
	}
	return errors.Join(do(u.Name, who.Session.ID), p.release(ctx, counters, true))
}

// amend changes a user and ends what rests on what was before: sessions, and a second factor that waits for its first code.
func (p *People) amend(ctx context.Context, name, keep string, do func(sqldb.Tx) error) error {
	now := p.o.Clock.Now()
	return p.db.Do(ctx, ident.SlotOf(name), func(tx sqldb.Tx) error {
		if _, err := p.user(tx, name); err != nil {
			return notFound(err, name)
		}
		if err := do(tx); err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM identity_enrolments WHERE user=?`, name); err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE identity_users SET changed=? WHERE name=?`, now.UnixMilli(), name); err != nil {
			return err
		}
		if _, err := endAll(tx, name, keep, now); err != nil {
			return err
		}
		return raise(tx)
	})
}

// Enrol gives a user a new second factor, in place of one he may have, and logs him out everywhere but in the session keep. It is in
// force at once: somebody else hands it over. Who sets up his own is [People.BeginOwnFactor].
func (p *People) Enrol(ctx context.Context, who, name, keep string) (Enrolment, error) {
	e := newEnrolment(p.o.Issuer, name)
	err := p.amend(ctx, name, keep, func(tx sqldb.Tx) error {
		return setFactor(tx, name, factor{sealed: p.vault.Seal("totp/"+name, []byte(e.Secret)), recovery: e.digests()})
	})
	if err != nil {
		return Enrolment{}, err
	}
	return e, p.told(ctx, Act{Who: who, Act: "user.totp", Object: "user/" + name, After: `{"totp":true}`})
}

// Unenrol takes the second factor away.
func (p *People) Unenrol(ctx context.Context, who, name, why string) error {
	err := p.amend(ctx, name, "", func(tx sqldb.Tx) error { return setFactor(tx, name, factor{sealed: []byte{}}) })
	if err != nil {
		return err
	}
	return p.told(ctx, Act{Who: who, Act: "user.totp", Object: "user/" + name, Why: why, After: `{"totp":false}`})
}

// told records an act and lets this instance see it at once.
func (p *People) told(ctx context.Context, a Act) error {
	return errors.Join(p.o.Audit(ctx, a), p.Refresh(ctx))
}

func summary(u User) string {
	text, _ := json.Marshal(map[string]any{"role": u.Role, "disabled": u.Disabled, "totp": u.TOTP, "email": u.Email, "display": u.Display}) // always has a JSON form
	return string(text)
}
