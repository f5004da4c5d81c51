package identity

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"time"

	"crypto/rand"

	"penstock/engine/sqldb"
	"penstock/errs"
	"penstock/internal/ident"
)

// From says where a try to log in comes from. Device and Session are the cookies it brought.
type From struct {
	Address         netip.Addr
	Agent           string
	Device, Session string
}

// Login is a login that went well, or that waits for the second factor.
type Login struct {
	// Cookie is the secret of a session that did not exist before; the one that was brought is over.
	Cookie string
	// Device marks the browser as known; "" while Pending.
	Device  string
	Pending bool
	Session Session
}

// wrong is the one answer to a wrong name, a wrong password, a wrong code and a disabled user.
func wrong() error {
	return errs.New(errs.Unauthenticated, "the name, the password or the code is wrong")
}

// Login checks a password. Errors: unauthenticated; quota-exceeded with the time to wait; reduced-capacity. Neither the answer
// nor the work tells whether the user exists.
func (p *People) Login(ctx context.Context, from From, name, password string) (Login, error) {
	if len(password) > maxPassword || len(name) > 64 {
		name, password = "", "" // known to nobody; the work stays the same
	}
	counters, known := p.counters(from, name)
	if err := p.waits(ctx, counters); err != nil {
		return Login{}, err
	}
	u, err := p.user(reader{ctx, p.db}, name)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Login{}, err
	}
	if err := p.charge(ctx, counters); err != nil {
		return Login{}, err
	}
	h := p.hash
	if known {
		h = p.known
	}
	good, stale, err := h.matches(ctx, u.hash, password)
	if err != nil {
		return Login{}, errors.Join(err, p.release(context.WithoutCancel(ctx), counters, false))
	}
	if !good || u.Disabled {
		return Login{}, errors.Join(wrong(), p.failed(ctx, from, u.Name, "password"))
	}
	if stale {
		p.rehash(ctx, h, u, password)
	}
	if u.TOTP {
		l, err := p.begin(ctx, from, u.User, []string{"pwd"}, true)
		return l, errors.Join(err, p.release(ctx, counters, false))
	}
	return p.complete(ctx, from, u.User, counters, []string{"pwd"})
}

// Second completes a login with a one-time code or a recovery code. Errors are those of Login.
func (p *People) Second(ctx context.Context, from From, code string) (Login, error) {
	id := Digest(from.Session)
	s, err := p.session(ctx, id)
	if err != nil {
		return Login{}, err
	}
	now := p.o.Clock.Now()
	if !s.Pending || !now.Before(s.Ends) {
		return Login{}, unauthenticated()
	}
	counters, _ := p.counters(from, s.User)
	if err := p.charge(ctx, counters); err != nil {
		return Login{}, err
	}
	var good bool
	var how string
	err = p.db.Do(ctx, ident.SlotOf(s.User), func(tx sqldb.Tx) error {
		u, err := p.user(tx, s.User)
		if err != nil {
			return err
		}
		good, how, err = p.spend(tx, u, plainCode(code), now)
		good = good && !u.Disabled
		return err
	})
	if err != nil {
		return Login{}, errors.Join(err, p.release(context.WithoutCancel(ctx), counters, false))
	}
	if !good {
		return Login{}, errors.Join(wrong(), p.failed(ctx, from, s.User, "code"))
	}
	u, err := p.user(reader{ctx, p.db}, s.User)
	if err != nil {
		return Login{}, err
	}
	if how == "recovery" {
		err = p.o.Audit(ctx, Act{Who: u.Name, Act: "user.recovery", Object: "user/" + u.Name, Why: "a recovery code was used"})
		if err != nil {
			return Login{}, err
		}
	}
	return p.complete(ctx, from, u.User, counters, []string{"pwd", "otp"})
}

// spend accepts a code once: a one-time code is later than the last one, a recovery code is deleted.
func (p *People) spend(tx sqldb.Tx, u stored, code string, now time.Time) (good bool, how string, err error) {
	if len(u.totp) == 0 || len(code) > 64 {
		return false, "", nil
	}
	if len(code) > 6 {
		n, err := tx.Exec(`DELETE FROM identity_recovery WHERE user=? AND code=?`, u.Name, Digest(code))
		return n == 1, "recovery", err
	}
	secret, err := p.vault.Open("totp/"+u.Name, u.totp)
	if err != nil {
		return false, "", err
	}
	step, err := stepOf(string(secret), code, now, u.lastStep)
	if err != nil || step == 0 {
		return false, "", err
	}
	n, err := tx.Exec(`UPDATE identity_users SET totp_last=? WHERE name=? AND totp_last<?`, step, u.Name, step)
	return n == 1, "otp", err
}

// complete opens the session, forgets the charges and marks the browser as known.
func (p *People) complete(ctx context.Context, from From, u User, counters []counter, methods []string) (Login, error) {
	l, err := p.begin(ctx, from, u, methods, false)
	if err != nil {
		return Login{}, errors.Join(err, p.release(context.WithoutCancel(ctx), counters, false))
	}
	l.Device = from.Device
	if !p.knows(from.Device, u.Name) {
		l.Device = p.newDevice(u.Name)
	}
	after, _ := json.Marshal(map[string]any{"address": l.Session.Address, "methods": methods}) // always has a JSON form
	err = p.o.Audit(ctx, Act{Who: u.Name, Act: "login", Object: "user/" + u.Name, After: string(after)})
	return l, errors.Join(err, p.release(ctx, counters, true))
}

// failed writes a failure down. What was typed for a name that nobody has is not kept: it may be a password.
func (p *People) failed(ctx context.Context, from From, name, what string) error {
	object := "user/" + name
	if name == "" {
		object = "unknown"
	}
	after, _ := json.Marshal(map[string]any{"address": network(from.Address), "wrong": what})
	return p.failures.tell(ctx, Act{Who: "anonymous", Act: "login.failed", Object: object, After: string(after)})
}

// rehash is a courtesy; when it fails the old hash stays good.
func (p *People) rehash(ctx context.Context, h *hasher, u stored, password string) {
	fresh, err := h.hash(ctx, password)
	if err == nil {
		err = p.db.Do(ctx, ident.SlotOf(u.Name), func(tx sqldb.Tx) error {
			_, err := tx.Exec(`UPDATE identity_users SET password=? WHERE name=? AND password=?`, fresh, u.Name, u.hash)
			return err
		})
	}
	if err != nil {
		p.o.Logger.Warn("identity: a password hash could not be renewed", "user", u.Name, "error", err.Error())
	}
}

// begin makes a session with a secret that did not exist before, and ends the one that was brought.
func (p *People) begin(ctx context.Context, from From, u User, methods []string, pending bool) (Login, error) {
	now := p.o.Clock.Now().UTC().Truncate(time.Millisecond)
	l := Login{Cookie: rand.Text() + rand.Text(), Pending: pending}
	life := p.o.Life
	if pending {
		life = pendingLife
	}
	l.Session = Session{
		ID: Digest(l.Cookie), User: u.Name, Pending: pending, Created: now, Auth: now, Seen: now, Ends: now.Add(life),
		Address: from.Address.String(), Agent: printable(from.Agent, 200), Methods: methods,
	}
	err := p.db.Do(ctx, ident.SlotOf(u.Name), func(tx sqldb.Tx) error {
		if err := p.rotate(tx, from.Session, l.Session); err != nil {
			return err
		}
		s := l.Session
		_, err := tx.Exec(`INSERT INTO identity_sessions (`+sessionColumns+`) VALUES (?,?,?,?,?,?,?,?,?,?)`, s.ID, s.User, s.Pending, now.UnixMilli(),
			now.UnixMilli(), now.UnixMilli(), s.Ends.UnixMilli(), s.Address, s.Agent, strings.Join(s.Methods, " "))
		if err != nil {
			return err
		}
		return raise(tx)
	})
	if err != nil {
		return Login{}, err
	}
	return l, p.Refresh(ctx)
}

// rotate ends the session that was brought, and the oldest ones above the bound, to make place for s. Those that wait for a second
// factor are bounded apart: a password alone ends nobody's session. A disabled user gets none.
func (p *People) rotate(tx sqldb.Tx, brought string, s Session) error {
	var disabled bool
	if err := tx.Scan(tx.Locking(`SELECT disabled FROM identity_users WHERE name=?`), []any{s.User}, &disabled); err != nil {
		return err
	}
	if disabled {
		return wrong()
	}
	if brought != "" {
		if err := end(tx, []string{Digest(brought)}, s.Created); err != nil {
			return err
		}
	}
	rows, err := tx.Query(`SELECT id FROM identity_sessions WHERE user=? AND pending=? ORDER BY created DESC, id`, s.User, s.Pending)
	if err != nil {
		return err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		all = append(all, id)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil || len(all) < perUser {
		return err
	}
	return end(tx, all[perUser-1:], s.Created)
}

// printable cuts a text to what can stand in a log line.
func printable(s string, most int) string {
	s = strings.ToValidUTF8(s, "?")
	s = strings.Map(func(r rune) rune {
		if control(r) {
			return '?'
		}
		return r
	}, s)
	for len(s) > most {
		r := []rune(s)
		s = string(r[:len(r)-max(1, (len(s)-most)/4)])
	}
	return s
}
