package balance

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"penstock/engine/sqldb"
	"penstock/errs"
	"penstock/saga/participant"
)

// BranchRef is what the movements of a branch of a transaction across services are for.
func BranchRef(transaction, branch string) string { return "tx/" + transaction + "/" + branch }

// Suffixes of the keys of a branch's movements, behind its reference.
const (
	holdKey = "/hold"
	takeKey = "/take"
	backKey = "/give-back"
)

// TakenUnder is the key of the movement that took what a branch held.
func TakenUnder(ref string) string { return ref + takeKey }

// Branch returns what a branch held by its [BranchRef], and what became of it: Take, GiveBack, or Hold while it is held. The
// error is [sql.ErrNoRows] when it never held anything.
func (b *Balances) Branch(ctx context.Context, ref string) (held Transaction, is Kind, err error) {
	r := reader{ctx, b.db}
	if held, err = byOnce(r, ref+holdKey); err != nil {
		return Transaction{}, "", err
	}
	is, err = endOf(r, ref)
	return held, is, err
}

// endOf is how a hold ended: Take, GiveBack, or Hold.
func endOf(s scans, ref string) (Kind, error) {
	for key, kind := range map[string]Kind{takeKey: Take, backKey: GiveBack} {
		_, err := byOnce(s, ref+key)
		if err == nil || !errors.Is(err, sql.ErrNoRows) {
			return kind, err
		}
	}
	return Hold, nil
}

// unlessEnded refuses a call about a hold that has ended as the kind, which the ledger knows when the barrier has forgotten it.
func unlessEnded(s scans, ref string, kind Kind) error {
	is, err := endOf(s, ref)
	if err == nil && is == kind {
		err = participant.Refuse(errs.New(errs.IllegalTransition, "what %s held has ended as %s", ref, kind))
	}
	return err
}

// Prune removes what keeps calls apart of branches that ended before a time, up to most, and returns how many; see
// [barrier.Table.Prune]. Those of transactions that a coordinator here knows are for Forget.
func (p Participant) Prune(ctx context.Context, before time.Time, most int, ours func(ctx context.Context, transaction string) (bool, error)) (int, error) {
	return barrierTable.Prune(ctx, p.b.db, before, most, ours)
}

// Forget removes what keeps calls of these transactions apart. They must have ended, so that nobody calls any more. Should
// somebody do it all the same, no money moves: the keys of the ledger stay.
func (p Participant) Forget(ctx context.Context, transactions []string) error {
	return p.b.db.Do(ctx, sqldb.NoLock, func(tx sqldb.Tx) error {
		for _, name := range transactions {
			if err := barrierTable.Forget(tx, name); err != nil {
				return err
			}
		}
		return nil
	})
}
