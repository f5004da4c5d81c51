package balance

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"penstock/errs"
)

// Kind says what a transaction is for; the package comment says between which accounts it moves money.
type Kind string

// Kinds.
const (
	TopUp      Kind = "top-up"
	Withdrawal Kind = "withdrawal"
	Payment    Kind = "payment"
	Refund     Kind = "refund"
	Hold       Kind = "hold"
	Take       Kind = "take"
	GiveBack   Kind = "give-back"
)

// Account names one side of an entry. User and held accounts have an owner, cash and revenue belong to the shop.
type Account string

// Accounts.
const (
	User    Account = "user"
	Held    Account = "held"
	Cash    Account = "cash"
	Revenue Account = "revenue"
)

// sides returns where money comes from and where it goes; "" for a kind that does not exist.
func (k Kind) sides() (from, to Account) {
	switch k {
	case TopUp:
		return Cash, User
	case Withdrawal:
		return User, Cash
	case Payment:
		return User, Revenue
	case Refund:
		return Revenue, User
	case Hold:
		return User, Held
	case Take:
		return Held, Revenue
	case GiveBack:
		return Held, User
	}
	return "", ""
}

// owned says who owns an account of a user's movement.
func (a Account) owned(user string) string {
	if a == User || a == Held {
		return user
	}
	return ""
}

// Most is the largest amount of one movement and the largest credit, in minor units.
const Most = 1_000_000_000_000_000

const (
	maxUser   = 512
	maxOnce   = 255
	maxReason = 500
)

var currencyForm = regexp.MustCompile(`^[A-Z]{3}$`)

// Move asks for one movement of Amount minor units of Currency, at least 1, or 0 to pay for what is free. Once is its idempotency key, unique among all
// movements. Ref names what it is for, or "". Who is the operator who ordered it, or "".
type Move struct {
	Once     string
	Kind     Kind
	User     string
	Currency string
	Amount   int64
	Ref      string
	Reason   string
	Who      string
}

// Transaction is a movement that was made. ID is unique.
type Transaction struct {
	Move
	Slot int
	N    int64 // number in the book of its slot, from 1 without gaps
	At   time.Time
}

// ID names the transaction.
func (t Transaction) ID() string { return fmt.Sprintf("%d-%d", t.Slot, t.N) }

// same reports whether a repeat asks for what was done. Who asks does not matter.
func (t Transaction) same(m Move) bool {
	return t.Kind == m.Kind && t.User == m.User && t.Currency == m.Currency && t.Amount == m.Amount && t.Ref == m.Ref && t.Reason == m.Reason
}

// Limit says how far below zero a user's account may go, in minor units. Reason and Who are for the trail.
type Limit struct {
	User     string
	Currency string
	Credit   int64
	Reason   string
	Who      string
}

// Standing is what a user has in one currency: Balance, of which nothing is held, and Held beside it. Balance is never below
// −Credit.
type Standing struct {
	Currency string
	Balance  int64
	Held     int64
	Credit   int64
}

// Entry is one side of a transaction as it touched an account of a user: Amount was added, and Balance is what the account had
// then. Pos is the cursor of a page.
type Entry struct {
	Transaction
	Pos     int64
	Account Account
	Change  int64
	Balance int64
}

// check names what is wrong with a move; the error is for a client.
func (m Move) check() error {
	if _, to := m.Kind.sides(); to == "" || m.Once == "" || len(m.Once) > maxOnce {
		return fmt.Errorf("balance: kind %q with the key %q", m.Kind, m.Once)
	}
	if m.Amount < 0 || m.Amount > Most || m.Amount == 0 && m.Kind != Payment { // an order may be free
		return invalid("/amount", fmt.Sprintf("must be 1 to %d minor units", int64(Most)))
	}
	if len(m.Reason) > maxReason || len(m.Ref) > maxOnce || len(m.Who) > maxUser {
		return errors.New("balance: a reason, a reference or a name is too long")
	}
	return checkAccount(m.User, m.Currency)
}

func checkAccount(user, currency string) error {
	if user == "" || len(user) > maxUser {
		return invalid("", fmt.Sprintf("a user has 1 to %d bytes", maxUser))
	}
	if !currencyForm.MatchString(currency) {
		return invalid("/currency", "must be three capital letters, for example CNY")
	}
	return nil
}

func invalid(pointer, detail string) error {
	e := errs.New(errs.Invalid, "the movement is not possible")
	e.Fields = []errs.Field{{Pointer: pointer, Detail: detail}}
	return e
}
