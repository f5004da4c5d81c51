package identity

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"math"
	"net/netip"
	"sort"
	"strconv"
	"strings"
	"time"

	"crypto/rand"

	"penstock/engine/sqldb"
	"penstock/errs"
)

// How guessing is slowed without a lock that a stranger could turn.
//
// Each try is charged before its password is looked at, so that parallel tries cannot slip past; a success takes its charge back.
// After some free failures each further one doubles the pause until the next try. A browser that logged in to the account before
// carries a signed device cookie: it is charged to its own counter and to nothing else, so that whatever strangers do to the
// address or to the account, its owner gets in. Everybody else is charged three times:
//
//	pair     (address, account)  5 free, then 1 s, 2 s, … 15 min    one guesser
//	address                     30 free, then 1 s, 2 s, …  5 min    one guesser, many accounts
//	account                    100 free, then 1 s, 2 s, …  1 min    many addresses, one account
//	device   (device, account)  10 free, then 1 s, 2 s, … 15 min    a stolen cookie: it is in place of the other three
//
// So the account's own pause, which strangers can cause, is at most a minute and hits only browsers that never logged in to it.
// Counters are kept in SQL: several instances do not add up to more tries. They say nothing of whether an account exists.
type policy struct {
	free       int64
	base, most time.Duration
}

const (
	// forget is after how long without a failure a counter begins at 0.
	forget     = 6 * time.Hour
	deviceLife = 365 * 24 * time.Hour
)

var (
	pairPolicy    = policy{5, time.Second, 15 * time.Minute}
	addressPolicy = policy{30, time.Second, 5 * time.Minute}
	accountPolicy = policy{100, time.Second, time.Minute}
	devicePolicy  = policy{10, time.Second, 15 * time.Minute}
)

// pause is how long to wait after the n-th failure.
func (p policy) pause(n int64) time.Duration {
	over := n - p.free
	if over <= 0 {
		return 0
	}
	return min(p.base<<min(over-1, 20), p.most)
}

// counter is one thing that a try is charged to. own counters belong to who tries: a success clears them.
type counter struct {
	id  string
	own bool
	policy
}

// counters are what a try is charged to, in the order in which their rows are locked.
func (p *People) counters(from From, name string) (all []counter, known bool) {
	address := network(from.Address)
	if p.knows(from.Device, name) {
		all = []counter{{Digest("device\x00" + from.Device + "\x00" + name), true, devicePolicy}}
		return all, true
	}
	all = []counter{
		{Digest("pair\x00" + address + "\x00" + name), true, pairPolicy},
		{Digest("address\x00" + address), false, addressPolicy},
		{Digest("account\x00" + name), false, accountPolicy},
	}
	sort.Slice(all, func(i, j int) bool { return all[i].id < all[j].id })
	return all, false
}

// network is what one client can change at will: an IPv6 /64, or an IPv4 address.
func network(a netip.Addr) string {
	if a = a.Unmap(); a.Is6() {
		if n, err := a.WithZone("").Prefix(64); err == nil {
			return n.String()
		}
	}
	return a.String()
}

func tooFast(wait time.Duration) error {
	e := errs.New(errs.QuotaExceeded, "too many failed logins; try again later")
	e.RetryAfter = max(wait, time.Second)
	return e
}

// scans is a transaction, or what is committed.
type scans interface {
	Scan(query string, args []any, dest ...any) error
}

type reader struct {
	ctx context.Context
	db  Store
}

func (r reader) Scan(query string, args []any, dest ...any) error {
	return r.db.Scan(r.ctx, query, args, dest...)
}

// waits returns how long a try has to wait, without charging it: a look that costs nothing but a read.
func (p *People) waits(ctx context.Context, all []counter) error {
	now := p.o.Clock.Now()
	for _, c := range all {
		if _, until, err := load(reader{ctx, p.db}, c, now, `SELECT failures, last, until FROM identity_throttle WHERE id=?`); err != nil {
			return err
		} else if now.Before(until) {
			return tooFast(until.Sub(now))
		}
	}
	return nil
}

func load(s scans, c counter, now time.Time, query string) (failures int64, until time.Time, err error) {
	var last, end int64
	err = s.Scan(query, []any{c.id}, &failures, &last, &end)
	if errors.Is(err, sql.ErrNoRows) {
		return -1, time.Time{}, nil
	}
	if now.Sub(millis(last)) > forget {
		failures = 0
	}
	return failures, millis(end), err
}

// charge counts a try as failed on every counter, or refuses it and counts nothing.
func (p *People) charge(ctx context.Context, all []counter) error {
	return p.db.Do(ctx, sqldb.NoLock, func(tx sqldb.Tx) error {
		now := p.o.Clock.Now()
		failures := make([]int64, len(all))
		for i, c := range all {
			n, until, err := load(tx, c, now, tx.Locking(`SELECT failures, last, until FROM identity_throttle WHERE id=?`))
			if err != nil {
				return err
			}
			if now.Before(until) {
				return tooFast(until.Sub(now))
			}
			failures[i] = n
		}
		for i, c := range all {
			n := max(failures[i], 0) + 1
			args := []any{n, now.UnixMilli(), now.Add(c.pause(n)).UnixMilli(), c.id}
			query := `UPDATE identity_throttle SET failures=?, last=?, until=? WHERE id=?`
			if failures[i] < 0 {
				query = `INSERT INTO identity_throttle (failures, last, until, id) VALUES (?,?,?,?)`
			}
			if _, err := tx.Exec(query, args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// release takes a charge back: wholly from what is the caller's own when clear is set, else one failure from each. A pause that
// others have earned stays. No row stays without a failure: those who are turned away must not fill the table.
func (p *People) release(ctx context.Context, all []counter, clear bool) error {
	return p.db.Do(ctx, sqldb.NoLock, func(tx sqldb.Tx) error {
		for _, c := range all {
			most := int64(1)
			if clear && c.own {
				most = math.MaxInt64
			}
			n, err := tx.Exec(`DELETE FROM identity_throttle WHERE id=? AND failures<=?`, c.id, most)
			if err == nil && n == 0 { // until is set first: MySQL shows what comes after a column its new value
				_, err = tx.Exec(`UPDATE identity_throttle SET until=CASE WHEN failures<=? THEN 0 ELSE until END, failures=failures-1 WHERE id=?`, c.free+1, c.id)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// newDevice makes the cookie that tells a browser which logged in to the account apart from a stranger's.
func (p *People) newDevice(name string) string {
	text := rand.Text() + "." + strconv.FormatInt(p.o.Clock.Now().Unix(), 10)
	return text + "." + p.vault.Sign("device", name+"\x00"+text)
}

// knows reports a device cookie of this account that is not too old.
func (p *People) knows(device, name string) bool {
	dot := strings.LastIndexByte(device, '.')
	if dot < 0 || len(device) > 200 || !p.vault.Verify("device", name+"\x00"+device[:dot], device[dot+1:]) {
		return false
	}
	if mac, err := base64.RawURLEncoding.Strict().DecodeString(device[dot+1:]); err != nil || len(mac) != 32 {
		return false
	}
	_, at, _ := strings.Cut(device[:dot], ".")
	sec, err := strconv.ParseInt(at, 10, 64)
	return err == nil && p.o.Clock.Now().Sub(time.Unix(sec, 0)) < deviceLife
}
