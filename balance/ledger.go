package balance

import (
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"penstock/engine/sqldb"
	"penstock/errs"
	"penstock/internal/ident"
)

const txColumns = `slot, n, once, kind, user, currency, amount, ref, reason, who, at`

func (t *Transaction) dest(at *int64) []any {
	return []any{&t.Slot, &t.N, &t.Once, &t.Kind, &t.User, &t.Currency, &t.Amount, &t.Ref, &t.Reason, &t.Who, at}
}

func byOnce(s scans, once string) (t Transaction, err error) {
	var at int64
	err = s.Scan(`SELECT `+txColumns+` FROM balance_transactions WHERE once=?`, []any{once}, t.dest(&at)...)
	t.At = time.UnixMilli(at).UTC()
	return t, err
}

// post is one movement in the transaction that holds its slot. It writes nothing when it fails with a code.
func (b *Balances) post(tx sqldb.Tx, m Move) (t Transaction, replayed bool, err error) {
	t, err = byOnce(tx, m.Once)
	if err == nil && !t.same(m) {
		return Transaction{}, false, errs.New(errs.KeyReused, "the key was used before for another movement")
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return t, err == nil, err
	}
	t = Transaction{Move: m, Slot: ident.SlotOf(m.User), At: b.now.Now().UTC().Truncate(time.Millisecond)}
	nameFrom, nameTo := m.Kind.sides()
	from, err := load(tx, t, nameFrom, -m.Amount)
	if err != nil {
		return t, false, err
	}
	to, err := load(tx, t, nameTo, m.Amount)
	if err == nil {
		err = errors.Join(from.enough(), to.fits())
	}
	if err != nil {
		return t, false, err
	}
	if t.N, err = next(tx, t.Slot); err != nil {
		return t, false, err
	}
	_, err = tx.Exec(`INSERT INTO balance_transactions (`+txColumns+`) VALUES (?,?,?,?,?,?,?,?,?,?,?)`,
		t.Slot, t.N, t.Once, string(t.Kind), t.User, t.Currency, t.Amount, t.Ref, t.Reason, t.Who, t.At.UnixMilli())
	if err == nil {
		err = from.write(tx, t, 2*t.N)
	}
	if err == nil {
		err = to.write(tx, t, 2*t.N+1)
	}
	return t, false, err
}

// next takes the next number of a book.
func next(tx sqldb.Tx, slot int) (n int64, err error) {
	err = tx.Scan(`SELECT last_n FROM balance_books WHERE slot=?`, []any{slot}, &n)
	if errors.Is(err, sql.ErrNoRows) {
		_, err = tx.Exec(`INSERT INTO balance_books (slot, last_n) VALUES (?, 1)`, slot)
		return 1, err
	}
	if err == nil {
		_, err = tx.Exec(`UPDATE balance_books SET last_n=? WHERE slot=?`, n+1, slot)
	}
	return n + 1, err
}

// side is an account with the change that a movement makes.
type side struct {
	account  Account
	owner    string
	currency string
	known    bool
	balance  int64
	credit   int64
	change   int64
}

func load(tx sqldb.Tx, t Transaction, a Account, change int64) (side, error) {
	s := side{account: a, owner: a.owned(t.User), currency: t.Currency, change: change, known: true}
	err := tx.Scan(`SELECT balance, credit FROM balance_accounts WHERE slot=? AND owner=? AND account=? AND currency=?`,
		[]any{t.Slot, s.owner, string(a), s.currency}, &s.balance, &s.credit)
	if errors.Is(err, sql.ErrNoRows) {
		s.known, err = false, nil
	}
	return s, err
}

// enough refuses to take what is not there. Cash is what came in from outside: it owes what users have.
func (s side) enough() error {
	if s.account == Cash {
		if s.balance < math.MinInt64-s.change {
			return s.full()
		}
		return nil
	}
	if left := s.balance + s.credit; left < -s.change {
		e := errs.New(errs.InsufficientBalance, "the balance does not suffice: %d %s can be used, %d are needed", max(left, 0), s.currency, -s.change)
		e.Extra = map[string]any{"available": max(left, 0), "needed": -s.change, "currency": s.currency}
		return e
	}
	return nil
}

func (s side) fits() error {
	if s.balance > math.MaxInt64-s.change {
		return s.full()
	}
	return nil
}

func (s side) full() error {
	return errs.New(errs.Invalid, "account %s of %s would hold more than can be counted", s.account, s.currency)
}

func (s side) write(tx sqldb.Tx, t Transaction, pos int64) error {
	s.balance += s.change
	if err := s.save(tx, t.Slot, t.At); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO balance_entries (slot, pos, n, account, owner, currency, amount, balance) VALUES (?,?,?,?,?,?,?,?)`,
		t.Slot, pos, t.N, string(s.account), s.owner, s.currency, s.change, s.balance)
	return err
}

func (s side) save(tx sqldb.Tx, slot int, now time.Time) error {
	at := now.UnixMilli()
	if !s.known {
		_, err := tx.Exec(`INSERT INTO balance_accounts (slot, account, owner, currency, balance, credit, at) VALUES (?,?,?,?,?,?,?)`,
			slot, string(s.account), s.owner, s.currency, s.balance, s.credit, at)
		return err
	}
	n, err := tx.Exec(`UPDATE balance_accounts SET balance=?, credit=?, at=? WHERE slot=? AND owner=? AND account=? AND currency=?`,
		s.balance, s.credit, at, slot, s.owner, string(s.account), s.currency)
	if err == nil && n != 1 {
		err = fmt.Errorf("the account %s of %q has gone", s.account, s.owner)
	}
	return err
}
