package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"penstock/auth"
	"penstock/balance"
	"penstock/errs"
	"penstock/gateway"
)

// Balances is what the calls about balances need. Post and SetCredit record what an operator does.
type Balances interface {
	Standings(ctx context.Context, user string) ([]balance.Standing, error)
	// Entries pages through a user's entries, newest first: those before a position, or the newest for 0.
	Entries(ctx context.Context, user string, before int64, limit int) ([]balance.Entry, error)
	Post(ctx context.Context, m balance.Move) (t balance.Transaction, replayed bool, err error)
	SetCredit(ctx context.Context, l balance.Limit) (balance.Standing, error)
}

// Standing is what a user has in one currency.
type Standing struct {
	Currency  string `json:"currency"`
	Balance   int64  `json:"balance" doc:"minor units; never below -creditLimit; what is held is not in it"`
	Held      int64  `json:"held" doc:"minor units that transactions on their way have reserved"`
	Limit     int64  `json:"creditLimit" doc:"minor units the balance may go below zero"`
	Available int64  `json:"available" doc:"balance + creditLimit"`
}

// BalanceEntry is one change of a user's account.
type BalanceEntry struct {
	ID          string    `json:"id" doc:"cursor of the page after this entry"`
	Transaction string    `json:"transaction"`
	At          time.Time `json:"at"`
	Kind        string    `json:"kind" enum:"top-up,withdrawal,payment,refund,hold,take,give-back"`
	Account     string    `json:"account" enum:"user,held"`
	Currency    string    `json:"currency"`
	Amount      int64     `json:"amount" doc:"minor units, signed"`
	Balance     int64     `json:"balance" doc:"of the account, after it"`
	Ref         string    `json:"ref,omitempty" doc:"what it is for"`
	Reason      string    `json:"reason,omitempty"`
}

// OperatorEntry is an entry with the operator who made it.
type OperatorEntry struct {
	BalanceEntry
	Who string `json:"who,omitempty"`
}

// OperatorBalance is a user with what he has.
type OperatorBalance struct {
	User  string     `json:"user"`
	Items []Standing `json:"items" nullable:"false"`
}

// BalanceMove is what an operator made.
type BalanceMove struct {
	Transaction string    `json:"transaction"`
	At          time.Time `json:"at"`
	Kind        string    `json:"kind" enum:"top-up,withdrawal"`
	User        string    `json:"user"`
	Currency    string    `json:"currency"`
	Amount      int64     `json:"amount" doc:"minor units, signed"`
	Reason      string    `json:"reason"`
	Who         string    `json:"who"`
}

func wireStanding(s balance.Standing) Standing {
	return Standing{Currency: s.Currency, Balance: s.Balance, Held: s.Held, Limit: s.Credit, Available: s.Balance + s.Credit}
}

func wireEntry(e balance.Entry) BalanceEntry {
	return BalanceEntry{
		ID: strconv.FormatInt(e.Pos, 10), Transaction: e.ID(), At: moment(e.At), Kind: string(e.Kind), Account: string(e.Account), Currency: e.Currency,
		Amount: e.Change, Balance: e.Balance, Ref: e.Ref, Reason: e.Reason,
	}
}

func operatorEntry(e balance.Entry) OperatorEntry { return OperatorEntry{wireEntry(e), e.Who} }

type ownBalances struct {
	CacheControl string `header:"Cache-Control"`
	Body         Page[Standing]
}

type ownEntries struct {
	CacheControl string `header:"Cache-Control"`
	Body         Page[BalanceEntry]
}

// BalanceUser names whose balance it is.
type BalanceUser struct {
	User string `path:"user" maxLength:"512"`
}

// id is the user's name in the form that tokens have.
func (in BalanceUser) id() (string, error) {
	user, err := auth.Canonical(in.User)
	if err != nil {
		return "", errs.Wrap(errs.NotFound, err, "no such user")
	}
	return user, nil
}

type balanceOutput struct{ Body OperatorBalance }

type standingOutput struct{ Body Standing }

type moveOutput struct {
	Replayed string `header:"Idempotency-Replayed"`
	Body     BalanceMove
}

type moveInput struct {
	BalanceUser
	KeyHeader
	Body struct {
		Currency string `json:"currency" pattern:"^[A-Z]{3}$"`
		Amount   int64  `json:"amount" minimum:"-1000000000000000" maximum:"1000000000000000" doc:"minor units; above 0 a top-up, below a withdrawal"`
		Reason   string `json:"reason" minLength:"1" maxLength:"500"`
	}
}

type limitInput struct {
	BalanceUser
	Currency string `path:"currency" pattern:"^[A-Z]{3}$"`
	Body     struct {
		Limit  int64  `json:"limit" minimum:"0" maximum:"1000000000000000" doc:"minor units the balance may go below zero"`
		Reason string `json:"reason" minLength:"1" maxLength:"500"`
	}
}

// balanceCalls are the buyers'.
func (s *surface) balanceCalls() {
	op := func(id, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: http.MethodGet, Path: path, Summary: summary, Security: bearer(), Tags: []string{"balance"}}
	}
	register(s, op("get-balance", "/v1/balance", "What you have, by currency"), s.ownBalance)
	register(s, op("list-balance-entries", "/v1/balance/entries", "What changed your balance, newest first"), s.ownBalanceEntries)
}

// operatorBalanceCalls are the operators'.
func (s *surface) operatorBalanceCalls() {
	register(s, operator("get-user-balance", http.MethodGet, "/balances/{user}", "What a user has, by currency"), s.userBalance)
	register(s, operator("list-user-balance-entries", http.MethodGet, "/balances/{user}/entries", "What changed a user's balance, newest first"), s.userEntries)
	post := operator("post-balance-entry", http.MethodPost, "/balances/{user}/entries", "Top a balance up, or pay it out")
	post.DefaultStatus = http.StatusCreated
	register(s, post, s.moveBalance)
	register(s, operator("put-credit-limit", http.MethodPut, "/balances/{user}/limits/{currency}", "Say how far a balance may go below zero"), s.putLimit)
}

func (s *surface) ownBalance(ctx context.Context, _ *struct{}) (*ownBalances, error) {
	all, err := s.d.Balances.Standings(ctx, gateway.FromContext(ctx).Who.User)
	if err != nil {
		return nil, err
	}
	return &ownBalances{"no-store", Page[Standing]{Items: each(all, wireStanding)}}, nil
}

func (s *surface) ownBalanceEntries(ctx context.Context, in *PageQuery) (*ownEntries, error) {
	page, err := entryPage(ctx, s, gateway.FromContext(ctx).Who.User, in, wireEntry)
	if err != nil {
		return nil, err
	}
	return &ownEntries{"no-store", page}, nil
}

func entryPage[T any](ctx context.Context, s *surface, user string, in *PageQuery, wire func(balance.Entry) T) (p Page[T], err error) {
	before, err := afterCursor(in.Cursor)
	if err != nil {
		return p, err
	}
	all, err := s.d.Balances.Entries(ctx, user, int64(before), in.Limit)
	if err != nil {
		return p, err
	}
	p.Items = each(all, wire)
	if n := len(all); n > 0 && n == in.Limit {
		p.Next = strconv.FormatInt(all[n-1].Pos, 10)
	}
	return p, nil
}

func (s *surface) userBalance(ctx context.Context, in *BalanceUser) (*balanceOutput, error) {
	user, err := in.id()
	if err != nil {
		return nil, err
	}
	all, err := s.d.Balances.Standings(ctx, user)
	if err != nil {
		return nil, err
	}
	return &balanceOutput{OperatorBalance{user, each(all, wireStanding)}}, nil
}

func (s *surface) userEntries(ctx context.Context, in *struct {
	BalanceUser
	PageQuery
}) (*listOf[OperatorEntry], error) {
	user, err := in.id()
	if err != nil {
		return nil, err
	}
	page, err := entryPage(ctx, s, user, &in.PageQuery, operatorEntry)
	if err != nil {
		return nil, err
	}
	return &listOf[OperatorEntry]{page}, nil
}

func (s *surface) moveBalance(ctx context.Context, in *moveInput) (*moveOutput, error) {
	user, err := in.id()
	if err != nil {
		return nil, err
	}
	key, err := gateway.IdempotencyKey(gateway.FromContext(ctx).R.Header)
	if err != nil {
		return nil, err
	}
	// The key is the user's and the operators': as a digest, because both may be long.
	once := sha256.Sum256([]byte(user + "\x00" + key))
	m := balance.Move{
		Once: "operator/" + hex.EncodeToString(once[:]), Kind: balance.TopUp, User: user, Currency: in.Body.Currency, Amount: in.Body.Amount,
		Reason: in.Body.Reason, Who: acting(ctx),
	}
	if m.Amount < 0 {
		m.Kind, m.Amount = balance.Withdrawal, -m.Amount
	}
	t, replayed, err := s.d.Balances.Post(ctx, m)
	if err != nil {
		return nil, err
	}
	return &moveOutput{replayMark(replayed), BalanceMove{
		Transaction: t.ID(), At: moment(t.At), Kind: string(t.Kind), User: t.User, Currency: t.Currency, Amount: in.Body.Amount, Reason: t.Reason, Who: t.Who,
	}}, nil
}

func (s *surface) putLimit(ctx context.Context, in *limitInput) (*standingOutput, error) {
	user, err := in.id()
	if err != nil {
		return nil, err
	}
	after, err := s.d.Balances.SetCredit(ctx, balance.Limit{User: user, Currency: in.Currency, Credit: in.Body.Limit, Reason: in.Body.Reason, Who: acting(ctx)})
	if err != nil {
		return nil, err
	}
	return &standingOutput{wireStanding(after)}, nil
}
