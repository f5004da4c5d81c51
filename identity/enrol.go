package identity

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"penstock/engine/sqldb"
	"penstock/errs"
	"penstock/internal/ident"
)

// enrolmentLife is how long a second factor waits for its first code.
const enrolmentLife = 30 * time.Minute

// factor is a second factor as the rows hold it; without a secret it is none.
type factor struct {
	sealed   []byte
	recovery []string // digests
	last     int64    // step of the last code that was accepted
}

// setFactor puts a factor in force, in place of the one before.
func setFactor(tx sqldb.Tx, name string, f factor) error {
	if _, err := tx.Exec(`UPDATE identity_users SET totp=?, totp_last=? WHERE name=?`, f.sealed, f.last, name); err != nil {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM identity_recovery WHERE user=?`, name); err != nil {
		return err
	}
	for _, code := range f.recovery {
		if _, err := tx.Exec(`INSERT INTO identity_recovery (user, code) VALUES (?,?)`, name, code); err != nil {
			return err
		}
	}
	return nil
}

// BeginOwnFactor makes a new second factor for the user himself, who knows his password: a session that was left open is not enough
// to take it over. It changes nothing until [People.ConfirmOwnFactor] has seen a code of it, within half an hour; beginning again
// replaces it. Guesses at the password are slowed like logins. Errors: forbidden for a wrong password; those of Login.
func (p *People) BeginOwnFactor(ctx context.Context, from From, who Who, password string) (e Enrolment, err error) {
	err = p.proved(ctx, from, who, password, func(name, _ string) error {
		e = newEnrolment(p.o.Issuer, name)
		sealed := p.vault.Seal("totp/"+name, []byte(e.Secret))
		err := p.db.Do(ctx, ident.SlotOf(name), func(tx sqldb.Tx) error {
			if _, err := tx.Exec(`DELETE FROM identity_enrolments WHERE user=?`, name); err != nil {
				return err
			}
			_, err := tx.Exec(`INSERT INTO identity_enrolments (user, totp, recovery, began) VALUES (?,?,?,?)`, name, sealed, strings.Join(e.digests(), " "),
				p.o.Clock.Now().UnixMilli())
			return err
		})
		if err != nil {
			return err
		}
		return p.o.Audit(ctx, Act{Who: name, Act: "user.totp.begin", Object: "user/" + name})
	})
	if err != nil {
		return Enrolment{}, err
	}
	return e, nil
}

// ConfirmOwnFactor puts the second factor that was begun in force, shown by a code of it, and ends the user's other sessions. The code
// is spent. Guesses are slowed like logins. Errors: forbidden for a wrong code, which changes nothing; conflict when nothing waits for
// a code; those of Login.
func (p *People) ConfirmOwnFactor(ctx context.Context, from From, who Who, code string) error {
	name := who.User.Name
	counters, _ := p.counters(from, name)
	if err := p.charge(ctx, counters); err != nil {
		return err
	}
	wrong := false
	err := p.amend(ctx, name, who.Session.ID, func(tx sqldb.Tx) error {
		f, err := p.begun(tx, name, plainCode(code))
		if wrong = err == nil && f.last == 0; wrong {
			return errs.New(errs.Forbidden, "the code is wrong; nothing has changed")
		}
		if err != nil {
			return err
		}
		return setFactor(tx, name, f)
	})
	if wrong {
		return errors.Join(err, p.failed(ctx, from, name, "code"))
	}
	if err == nil {
		err = p.told(ctx, Act{Who: name, Act: "user.totp", Object: "user/" + name, After: `{"totp":true}`})
	}
	return errors.Join(err, p.release(context.WithoutCancel(ctx), counters, false))
}

// begun reads the factor that waits, with the step of the code, which is 0 for a wrong one.
func (p *People) begun(tx sqldb.Tx, name, code string) (f factor, err error) {
	var digests string
	var began int64
	err = tx.Scan(tx.Locking(`SELECT totp, recovery, began FROM identity_enrolments WHERE user=?`), []any{name}, &f.sealed, &digests, &began)
	now := p.o.Clock.Now()
	if errors.Is(err, sql.ErrNoRows) || err == nil && now.Sub(millis(began)) >= enrolmentLife {
		return f, errs.New(errs.Conflict, "no second factor waits for its first code; begin again")
	}
	if err != nil {
		return f, err
	}
	f.recovery = strings.Fields(digests)
	secret, err := p.vault.Open("totp/"+name, f.sealed)
	if err != nil {
		return f, err
	}
	f.last, err = stepOf(string(secret), code, now, 0)
	return f, err
}
