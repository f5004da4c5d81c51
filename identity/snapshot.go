package identity

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"penstock/engine/sqldb"
	"penstock/errs"
)

// snapshot is the users and the sessions as they were at a moment. It never changes.
type snapshot struct {
	version  int64
	at       time.Time // when its version was asked for
	users    map[string]User
	sessions map[string]Session
}

// raise tells every instance to read the rows again. It is the last statement of a transaction, so that two of them never wait
// for each other in a circle.
func raise(tx sqldb.Tx) error {
	_, err := tx.Exec(`UPDATE identity_version SET n=n+1 WHERE id=1`)
	return err
}

// Refresh asks for the version and reads the rows if it has changed.
func (p *People) Refresh(ctx context.Context) error {
	p.reloading.Lock()
	defer p.reloading.Unlock()
	return p.refresh(ctx)
}

// refresh is bounded, so that a database that hangs is asked again before the snapshot is too old.
func (p *People) refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, staleAfter-refreshEvery)
	defer cancel()
	next := &snapshot{at: p.o.Clock.Now()}
	if err := p.db.Scan(ctx, `SELECT n FROM identity_version WHERE id=1`, nil, &next.version); err != nil {
		return fmt.Errorf("read the version of users: %w", err)
	}
	if last := p.snap.Load(); last != nil && last.version == next.version {
		next.users, next.sessions = last.users, last.sessions
		p.snap.Store(next)
		return nil
	}
	var err error
	if next.users, err = p.readUsers(ctx); err != nil {
		return err
	}
	if next.sessions, err = p.readSessions(ctx); err != nil {
		return err
	}
	p.snap.Store(next)
	return nil
}

const userColumns = `name, role, display, email, password, disabled, totp, totp_last, created, changed`

// stored is a user with what never leaves the room.
type stored struct {
	User
	hash     string
	totp     []byte
	lastStep int64
}

func (u *stored) dest(created, changed *int64) []any {
	return []any{&u.Name, &u.Role, &u.Display, &u.Email, &u.hash, &u.Disabled, &u.totp, &u.lastStep, created, changed}
}

func (u *stored) done(created, changed int64) {
	u.TOTP, u.Created, u.Changed = len(u.totp) > 0, millis(created), millis(changed)
}

func millis(n int64) time.Time { return time.UnixMilli(n).UTC() }

func (p *People) readUsers(ctx context.Context) (map[string]User, error) {
	rows, err := p.db.Query(ctx, `SELECT `+userColumns+` FROM identity_users`)
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	defer rows.Close()
	all := map[string]User{}
	for rows.Next() {
		var u stored
		var created, changed int64
		if err := rows.Scan(u.dest(&created, &changed)...); err != nil {
			return nil, err
		}
		u.done(created, changed)
		all[u.Name] = u.User
	}
	return all, rows.Err()
}

const sessionColumns = `id, user, pending, created, auth, seen, ends, address, agent, methods`

func scanSession(scan func(...any) error) (s Session, err error) {
	var created, auth, seen, ends int64
	var methods string
	err = scan(&s.ID, &s.User, &s.Pending, &created, &auth, &seen, &ends, &s.Address, &s.Agent, &methods)
	s.Created, s.Auth, s.Seen, s.Ends = millis(created), millis(auth), millis(seen), millis(ends)
	s.Methods = strings.Fields(methods)
	return s, err
}

func (p *People) readSessions(ctx context.Context) (map[string]Session, error) {
	rows, err := p.db.Query(ctx, `SELECT `+sessionColumns+` FROM identity_sessions WHERE pending=0 AND ends>?`, p.o.Clock.Now().UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("read sessions: %w", err)
	}
	defer rows.Close()
	all := map[string]Session{}
	for rows.Next() {
		s, err := scanSession(rows.Scan)
		if err != nil {
			return nil, err
		}
		all[s.ID] = s
	}
	return all, rows.Err()
}

// fresh returns the snapshot, or refuses when it is too old to vouch for anybody.
func (p *People) fresh() (*snapshot, error) {
	s := p.snap.Load()
	if age := p.o.Clock.Now().Sub(s.at); age > staleAfter {
		e := errs.New(errs.ReducedCapacity, "who may log in cannot be read just now; nothing was executed")
		e.RetryAfter = refreshEvery
		return nil, e
	}
	return s, nil
}

func unauthenticated() error { return errs.New(errs.Unauthenticated, "log in first") }

// Check returns who a session speaks for. Errors: unauthenticated; reduced-capacity while the snapshot cannot be refreshed.
func (p *People) Check(ctx context.Context, secret string) (Who, error) {
	if secret == "" || len(secret) > 128 {
		return Who{}, unauthenticated()
	}
	snap, err := p.fresh()
	if err != nil {
		return Who{}, err
	}
	id := Digest(secret)
	s, ok := snap.sessions[id]
	if !ok && p.o.Clock.Now().Sub(snap.at) >= missEvery && p.reloading.TryLock() {
		// Another instance may have made it less than a second ago.
		err := p.refresh(ctx)
		p.reloading.Unlock()
		if err != nil {
			return Who{}, errs.Wrap(errs.ReducedCapacity, err, "who is logged in cannot be read just now; nothing was executed")
		}
		snap = p.snap.Load()
		s, ok = snap.sessions[id]
	}
	now := p.o.Clock.Now()
	u := snap.users[s.User]
	if !ok || s.Pending || !now.Before(s.Ends) || u.Name == "" || u.Disabled {
		return Who{}, unauthenticated()
	}
	if err := p.touch(ctx, &s, now); err != nil {
		return Who{}, err
	}
	return Who{s, u}, nil
}

// touch notes that a session is used, and refuses one that was not for too long. Before it refuses it asks whether another
// instance saw it.
func (p *People) touch(ctx context.Context, s *Session, now time.Time) error {
	p.mu.Lock()
	if t, ok := p.touched[s.ID]; ok && t.After(s.Seen) {
		s.Seen = t
	}
	p.mu.Unlock()
	if now.Sub(s.Seen) >= p.o.Idle {
		var seen int64
		err := p.db.Scan(ctx, `SELECT seen FROM identity_sessions WHERE id=?`, []any{s.ID}, &seen)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err != nil || now.Sub(millis(seen)) >= p.o.Idle {
			return unauthenticated()
		}
		s.Seen = millis(seen)
	}
	if now.Sub(s.Seen) >= p.o.Idle/60 {
		p.mu.Lock()
		p.touched[s.ID] = now
		p.mu.Unlock()
		s.Seen = now
	}
	return nil
}

// writeTouched keeps when sessions were used last, for the other instances. The map empties when its rows are in the snapshot's
// past: what was written stays until the next change of version reads it back.
func (p *People) writeTouched(ctx context.Context) error {
	p.mu.Lock()
	due := map[string]time.Time{}
	for id, t := range p.touched {
		due[id] = t
	}
	p.mu.Unlock()
	if len(due) == 0 {
		return nil
	}
	snap := p.snap.Load()
	err := p.db.Do(ctx, sqldb.NoLock, func(tx sqldb.Tx) error {
		for id, t := range due {
			if _, err := tx.Exec(`UPDATE identity_sessions SET seen=? WHERE id=? AND seen<?`, t.UnixMilli(), id, t.UnixMilli()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keep when sessions were used: %w", err)
	}
	p.settle(snap, due)
	return nil
}

// settle puts what was written into the snapshot, unless a newer one has been read meanwhile.
func (p *People) settle(snap *snapshot, written map[string]time.Time) {
	p.reloading.Lock()
	defer p.reloading.Unlock()
	next := *p.snap.Load()
	if next.version == snap.version {
		next.sessions = make(map[string]Session, len(snap.sessions))
		for id, s := range snap.sessions {
			if t, ok := written[id]; ok && t.After(s.Seen) {
				s.Seen = t
			}
			next.sessions[id] = s
		}
		p.snap.Store(&next)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, t := range written {
		if p.touched[id].Equal(t) {
			delete(p.touched, id)
		}
	}
}

// Person returns a user as the snapshot has it. Errors: not-found, reduced-capacity.
func (p *People) Person(name string) (User, error) {
	snap, err := p.fresh()
	if err != nil {
		return User{}, err
	}
	u, ok := snap.users[name]
	if !ok {
		return User{}, noUser(name)
	}
	return u, nil
}
