package balance

import (
	"context"
	"database/sql"
	"errors"

	"penstock/engine/sqldb"
	"penstock/errs"
	"penstock/internal/clock"
	"penstock/internal/ident"
)

// Options tunes Balances. The zero value works.
type Options struct {
	Clock clock.Clock
}

// Balances is the ledger over a store. See the package comment for its promises.
type Balances struct {
	db  Store
	now clock.Clock
}

// New works on a store, which Close closes.
func New(db Store, o Options) *Balances {
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	return &Balances{db, o.Clock}
}

// Close closes the store.
func (b *Balances) Close() error { return b.db.Close() }

// Post makes a movement, or returns the one that its key made before (replayed).
//
// Errors: [errs.Invalid], [errs.KeyReused], [errs.InsufficientBalance], [errs.ReducedCapacity], [errs.Unknown]: then the same
// call tells what became of it. Nothing moved on the others.
func (b *Balances) Post(ctx context.Context, m Move) (t Transaction, replayed bool, err error) {
	if err := m.check(); err != nil {
		return Transaction{}, false, err
	}
	err = b.db.Do(ctx, ident.SlotOf(m.User), func(tx sqldb.Tx) (err error) {
		t, replayed, err = b.post(tx, m)
		return err
	})
	return t, replayed, err
}

// PostOrRefuse is Post for a caller who wants a refusal to last: a key under which the balance did not suffice moves nothing
// any more, and neither does one that [Balances.Void] was called for. why is "" when the money moved.
func (b *Balances) PostOrRefuse(ctx context.Context, m Move) (t Transaction, why string, err error) {
	if err := m.check(); err != nil {
		return Transaction{}, "", err
	}
	err = b.db.Do(ctx, ident.SlotOf(m.User), func(tx sqldb.Tx) (err error) {
		if t, why, err = settled(tx, m.Once); !errors.Is(err, sql.ErrNoRows) {
			if err == nil && why == "" && !t.same(m) {
				err = errs.New(errs.KeyReused, "the key was used before for another movement")
			}
			return err
		}
		t, _, err = b.post(tx, m)
		if short, ok := errors.AsType[*errs.Error](err); ok && short.Code == errs.InsufficientBalance {
			why = short.Detail
			return b.refuse(tx, m.Once, why)
		}
		return err
	})
	return t, why, err
}

// Settled tells what became of a key: the transaction, or why nothing will move under it. The error is [sql.ErrNoRows] when
// nothing is known of it so far.
func (b *Balances) Settled(ctx context.Context, once string) (t Transaction, why string, err error) {
	return settled(reader{ctx, b.db}, once)
}

// Void makes sure that nothing will move under a key of a user whose slot this is, unless it did: then t is what moved and why is "".
func (b *Balances) Void(ctx context.Context, slot int, once, reason string) (t Transaction, why string, err error) {
	err = b.db.Do(ctx, slot, func(tx sqldb.Tx) (err error) {
		if t, why, err = settled(tx, once); !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		why = reason
		return b.refuse(tx, once, why)
	})
	return t, why, err
}

// GiveBack refunds part of the payment under the key paid, never more in all than was paid. why says why not, or is "".
//
// Errors: [errs.NotFound] when nothing was paid under that key.
func (b *Balances) GiveBack(ctx context.Context, m Move, paid string) (t Transaction, why string, err error) {
	was, refusal, err := b.Settled(ctx, paid)
	if errors.Is(err, sql.ErrNoRows) || err == nil && refusal != "" {
		return Transaction{}, "", errs.New(errs.NotFound, "nothing was paid under %s", paid)
	}
	if err != nil {
		return Transaction{}, "", err
	}
	m.Kind, m.User, m.Ref = Refund, was.User, was.Ref
	if err := m.check(); err != nil {
		return Transaction{}, "", err
	}
	err = b.db.Do(ctx, was.Slot, func(tx sqldb.Tx) (err error) {
		t, why = Transaction{}, ""
		var back, here int64
		err = tx.Scan(`SELECT coalesce(sum(amount), 0), coalesce(sum(CASE WHEN once=? THEN 1 ELSE 0 END), 0) FROM balance_transactions WHERE slot=? AND ref=? AND ref<>'' AND kind=?`,
			[]any{m.Once, was.Slot, was.Ref, string(Refund)}, &back, &here)
		if err != nil {
			return err
		}
		if here == 0 && (m.Currency != was.Currency || m.Amount > was.Amount-back) {
			why = "more than was paid"
			return nil
		}
		t, _, err = b.post(tx, m)
		return err
	})
	return t, why, err
}

// scans is what finds a row: a transaction or what is committed.
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

func settled(s scans, once string) (t Transaction, why string, err error) {
	if t, err = byOnce(s, once); !errors.Is(err, sql.ErrNoRows) {
		return t, "", err
	}
	err = s.Scan(`SELECT why FROM balance_refusals WHERE once=?`, []any{once}, &why)
	return Transaction{}, why, err
}

func (b *Balances) refuse(tx sqldb.Tx, once, why string) error {
	_, err := tx.Exec(`INSERT INTO balance_refusals (once, why, at) VALUES (?,?,?)`, once, why, b.now.Now().UnixMilli())
	return err
}
