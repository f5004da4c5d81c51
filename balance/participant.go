package balance

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"penstock/engine/sqldb"
	"penstock/errs"
	"penstock/internal/ident"
	"penstock/saga/barrier"
	"penstock/saga/participant"
)

// Participant is the balances as a participant of transactions across services: try holds an amount, confirm takes it, cancel
// gives it back. Its payload is {"user","currency","amount"}, the amount in minor units. What was done and the barrier are one
// commit.
type Participant struct{ b *Balances }

var (
	_ participant.Participant = Participant{}
	_ participant.Staker      = Participant{}
)

// NewParticipant returns the participant.
func NewParticipant(b *Balances) Participant { return Participant{b} }

type payload struct {
	User     string `json:"user"`
	Currency string `json:"currency"`
	Amount   int64  `json:"amount"`
}

func readPayload(raw json.RawMessage) (p payload, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err = d.Decode(&p); err != nil {
		return p, errs.Wrap(errs.Invalid, err, `payload: want {"user","currency","amount"}`)
	}
	if _, err = d.Token(); !errors.Is(err, io.EOF) {
		return p, errs.New(errs.Invalid, "there is more after the payload")
	}
	return p, p.hold(participant.Branch{}).check()
}

// hold is the movement of a try; the others say it again under names of their own.
func (p payload) hold(b participant.Branch) Move {
	ref := BranchRef(b.Transaction, b.Name)
	return Move{Once: ref + holdKey, Kind: Hold, User: p.User, Currency: p.Currency, Amount: p.Amount, Ref: ref}
}

// Stake is the amount.
func (Participant) Stake(raw json.RawMessage) (participant.Stake, error) {
	p, err := readPayload(raw)
	return participant.Stake{Amount: p.Amount, Currency: p.Currency}, err
}

// Try holds the amount. It is refused when the balance does not suffice, and then the branch is closed for good.
func (p Participant) Try(ctx context.Context, br participant.Branch) error {
	want, err := readPayload(br.Payload)
	if err != nil {
		return participant.Refuse(err)
	}
	var short error
	err = p.b.db.Do(ctx, ident.SlotOf(want.User), func(tx sqldb.Tx) error {
		short = nil
		first, err := barrierTable.Enter(tx, p.b.now.Now(), br.Transaction, br.Name, barrier.Try)
		if err != nil || !first {
			return err
		}
		hold := want.hold(br)
		if err = unlessEnded(tx, hold.Ref, GiveBack); err == nil {
			_, _, err = p.b.post(tx, hold)
		}
		if errs.Is(err, errs.InsufficientBalance) {
			short = participant.Refuse(err)
			_, err = barrierTable.Enter(tx, p.b.now.Now(), br.Transaction, br.Name, barrier.Cancel)
		}
		return err
	})
	return errors.Join(err, short)
}

// Confirm takes what is held.
func (p Participant) Confirm(ctx context.Context, br participant.Branch) error {
	return p.end(ctx, br, barrier.Confirm, Take)
}

// Cancel gives back what is held.
func (p Participant) Cancel(ctx context.Context, br participant.Branch) error {
	err := p.end(ctx, br, barrier.Cancel, GiveBack)
	if errs.Is(err, errs.Invalid) {
		return nil // no try takes such a payload, so nothing is held
	}
	return err
}

func (p Participant) end(ctx context.Context, br participant.Branch, op barrier.Op, kind Kind) error {
	key, other := takeKey, GiveBack
	if kind == GiveBack {
		key, other = backKey, Take
	}
	want, err := readPayload(br.Payload)
	if err != nil {
		return participant.Refuse(err)
	}
	return p.b.db.Do(ctx, ident.SlotOf(want.User), func(tx sqldb.Tx) error {
		first, err := barrierTable.Enter(tx, p.b.now.Now(), br.Transaction, br.Name, op)
		if err != nil || !first {
			return err
		}
		m := want.hold(br)
		held, err := byOnce(tx, m.Once)
		if errors.Is(err, sql.ErrNoRows) || err == nil && !held.same(m) {
			return fmt.Errorf("branch %s of transaction %s holds something else than its payload says", br.Name, br.Transaction)
		}
		if err != nil {
			return err
		}
		if err = unlessEnded(tx, m.Ref, other); err != nil {
			return err
		}
		m.Kind, m.Once = kind, m.Ref+key
		_, _, err = p.b.post(tx, m)
		return err
	})
}
