package balance

import (
	"context"
	"fmt"
	"time"

	"penstock/engine/sqldb"
	"penstock/errs"
	"penstock/internal/ident"
)

// Standings returns what a user has, by currency; empty for a user who never had anything.
func (b *Balances) Standings(ctx context.Context, user string) ([]Standing, error) {
	rows, err := b.db.Query(ctx, `SELECT account, currency, balance, credit FROM balance_accounts WHERE slot=? AND owner=? ORDER BY currency, account`,
		ident.SlotOf(user), user)
	if err != nil {
		return nil, fmt.Errorf("read balances: %w", err)
	}
	defer rows.Close()
	var all []Standing
	for rows.Next() {
		var account Account
		var s Standing
		if err := rows.Scan(&account, &s.Currency, &s.Balance, &s.Credit); err != nil {
			return nil, err
		}
		if n := len(all); n == 0 || all[n-1].Currency != s.Currency {
			all = append(all, Standing{Currency: s.Currency})
		}
		at := &all[len(all)-1]
		if account == Held {
			at.Held = s.Balance
		} else if account == User {
			at.Balance, at.Credit = s.Balance, s.Credit
		}
	}
	return all, rows.Err()
}

// Entries returns what touched a user's accounts, newest first: those before the position, or the newest for 0.
func (b *Balances) Entries(ctx context.Context, user string, before int64, limit int) ([]Entry, error) {
	q, args := `SELECT e.pos, e.account, e.amount, e.balance, t.slot, t.n, t.once, t.kind, t.user, t.currency, t.amount, t.ref, t.reason, t.who, t.at
		FROM balance_entries e JOIN balance_transactions t ON t.slot=e.slot AND t.n=e.n WHERE e.slot=? AND e.owner=?`, []any{ident.SlotOf(user), user}
	if before > 0 {
		q, args = q+` AND e.pos<?`, append(args, before)
	}
	rows, err := b.db.Query(ctx, q+` ORDER BY e.pos DESC LIMIT ?`, append(args, limit)...)
	if err != nil {
		return nil, fmt.Errorf("read entries: %w", err)
	}
	defer rows.Close()
	var all []Entry
	for rows.Next() {
		var e Entry
		var at int64
		if err := rows.Scan(append([]any{&e.Pos, &e.Account, &e.Change, &e.Balance}, e.dest(&at)...)...); err != nil {
			return nil, err
		}
		e.At = time.UnixMilli(at).UTC()
		all = append(all, e)
	}
	return all, rows.Err()
}

// SetCredit sets how far below zero the user's account may go. It is idempotent.
//
// Errors: [errs.Invalid]; [errs.InsufficientBalance] when the account is further below already.
func (b *Balances) SetCredit(ctx context.Context, l Limit) (before, after Standing, err error) {
	if err := checkAccount(l.User, l.Currency); err != nil {
		return before, after, err
	}
	if l.Credit < 0 || l.Credit > Most {
		return before, after, invalid("/limit", fmt.Sprintf("must be 0 to %d minor units", int64(Most)))
	}
	err = b.db.Do(ctx, ident.SlotOf(l.User), func(tx sqldb.Tx) error {
		t := Transaction{Move: Move{User: l.User, Currency: l.Currency}, Slot: ident.SlotOf(l.User)}
		held, err := load(tx, t, Held, 0)
		if err != nil {
			return err
		}
		s, err := load(tx, t, User, 0)
		if err != nil {
			return err
		}
		before = Standing{l.Currency, s.balance, held.balance, s.credit}
		if s.balance < -l.Credit {
			return errs.New(errs.InsufficientBalance, "the account owes %d %s, so the limit cannot be %d", -s.balance, l.Currency, l.Credit)
		}
		s.credit, after = l.Credit, before
		after.Credit = l.Credit
		return s.save(tx, t.Slot, b.now.Now())
	})
	return before, after, err
}
