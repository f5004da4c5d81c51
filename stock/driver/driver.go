// Package driver is the small interface between the stock decision and the database that makes it durable.
//
// A driver is mechanism only: it reads and locks what it is asked for, hands a consistent state to a pure function, and writes
// what that function returns in one durable transaction. Who wins, who is over the limit and what is sold out is decided in
// package stock, once, for every engine. Package stock/drivertest is the contract in executable form.
package driver

import (
	"context"
	"errors"
	"time"

	"penstock/errs"
	"penstock/internal/ident"
)

// ErrUnknown says that a transaction was sent to the engine and nobody knows whether it was committed. The caller settles it
// by deciding the same keys again.
var ErrUnknown = errors.New("commit outcome unknown")

// ErrUnavailable says that nothing was executed because the engine cannot take writes now.
var ErrUnavailable = errors.New("stock database unavailable")

// Driver is one stock database. All methods are safe for concurrent use.
type Driver interface {
	Writer
	Reader
	Lister
	// Close waits for running calls and releases the database. It is idempotent.
	Close() error
}

// Writer runs decisions.
type Writer interface {
	// Decide runs one transaction: it inserts or finds the keys, locks and reads what reads names (stock rows, then allowances,
	// both in sorted order), calls decide, writes the changes and commits durably. It returns nil only after the commit is
	// durable. decide must be pure: after a lock time-out or a deadlock it is called again with a fresh state. State and
	// everything in it is valid only during the call. decide returning nil means nothing to write; the transaction ends at once.
	//
	// Errors: ErrUnknown (wrapped) when the commit may or may not have happened; ErrUnavailable (wrapped) when nothing was
	// executed; any other error means that nothing was written. Decide calls of one process run one at a time, in order of call.
	Decide(ctx context.Context, reads *Reads, decide func(*State) *Changes) error
	// Sent says that every consumer has durably got all messages of entries up to seq. It may be forgotten in a crash.
	Sent(ctx context.Context, seq uint64) error
}

// Reader reads committed data. A read never waits for the writer.
type Reader interface {
	// Attempt returns what is bound to the key, or nil. Absence proves nothing about a call that is in flight.
	Attempt(ctx context.Context, key Key) (*Attempt, error)
	// Claim returns the winning attempt with this id, or nil.
	Claim(ctx context.Context, id ident.ID) (*Attempt, error)
	// Unsent returns the user's bound wins that the bus has not yet been acknowledged for, in order of decision.
	Unsent(ctx context.Context, user string) ([]*Attempt, error)
	// Due returns up to limit claims that are still held and whose ReleaseAt is not after now, earliest first.
	Due(ctx context.Context, now time.Time, limit int) ([]ident.ID, error)
	// Snapshot returns all sales and stock rows as of one moment.
	Snapshot(ctx context.Context) (*Snapshot, error)
	// Journal returns up to limit entries with Seq > after, in order of Seq. Entries appear in commit order and never change,
	// except that the State of an attempt is the one at the time of reading.
	Journal(ctx context.Context, after uint64, limit int) ([]Entry, error)
	// Audit returns up to limit audit rows with Seq > after, in order of Seq.
	Audit(ctx context.Context, after uint64, limit int) ([]Audit, error)
}

// Key is an idempotency key in its scope. An operator's acts use User "" (no user has an empty id).
type Key struct{ Sale, User, Key string }

// StockRef names a stock row.
type StockRef struct{ Sale, SKU string }

// TakenRef names an allowance: how many units a user holds or has bought of a SKU in a sale.
type TakenRef struct{ Sale, SKU, User string }

// PassRef names a pass: its user and the entry of a line of the sale, 1 to 1<<63 − 1, that it was made for. Lines begin anew
// where a stock database is copied, so that an entry alone is not enough.
type PassRef struct {
	Sale, User string
	Entry      uint64
}

// Reads is what a decision needs to see. Duplicates are allowed.
type Reads struct {
	Keys   []Key
	Passes []PassRef
	Stock  []StockRef
	Taken  []TakenRef
	Claims []ident.ID
	Sales  []string
	// Acts are ids of audit rows: an operator's act whose commit was unknown asks whether its row is there.
	Acts []string
	// Joins and Waiters are what calls about waiting lists need; Stock names the rows of their lists.
	Joins   []JoinRef
	Waiters []uint64
}

// State answers Reads, index by index. A missing row is nil (zero for Taken).
type State struct {
	// Now is the time of the stock database, read once for the transaction.
	Now   time.Time
	Known []*Attempt
	// Used says whether an answer was bound under the pass. In a sale that has ended it may be false all the same.
	Used   []bool
	Stock  []*Stock
	Taken  []int64
	Claims []*Attempt
	Sales  []*Sale
	Acts   []bool

	Joins   []Join
	Waiters []*Waiter
	// Next walks the waiting list of a row that Reads.Stock names: up to a page of entries that wait and ask for at most so many
	// units, behind the given place, in order, each with its user's allowance in use. None means that there are no more.
	Next func(list StockRef, behind uint64, most int64) []*Waiter
}

// Changes is what a decision writes. Everything or nothing becomes durable.
type Changes struct {
	// Sales are inserted or replaced by id. Version must be one more than the version read (1 for a new sale).
	Sales []Sale
	// Stock rows are inserted or replaced. Sale and stock versions, conservation (Offered − Withdrawn = Available + Held + Sold,
	// none negative), a key bound or a pass used before or twice, a move from another state and a repeated audit id are refused, and nothing
	// is written. Version must be one more than the version read (1 for a new row).
	Stock []Stock
	// Attempts are newly bound answers: wins (with a claim per line) and final noes. The driver gives them their Seq.
	// A win adds its quantities to the user's allowances.
	Attempts []*Attempt
	// Moves change the state of claims read in this decision. A move to Released takes the quantities off the allowances.
	Moves []Move
	// Offers are changes of the allotment made by an operator.
	Offers []Offer
	// Audit rows are appended to the trail. Their ids are unique, unless empty.
	Audit []Audit
	// Waiters join waiting lists; the driver gives them their Seq. Settled entries leave them. An entry that does not wait, and
	// a row whose Waiting does not change by the difference, are refused, and nothing is written.
	Waiters []*Waiter
	Settled []Settle
}

// ClaimState is the state of a claim: held → sold | released, sold → released (refund with return of stock).
type ClaimState uint8

// Claim states. None is the state of an attempt that did not win.
const (
	None ClaimState = iota
	Held
	Sold
	Released
)

func (s ClaimState) String() string { return [...]string{"none", "held", "sold", "released"}[s&3] }

// Line is one SKU of an attempt: how many and at what price each (minor units).
type Line struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
	Price    int64  `json:"price"`
}

// Attempt is a bound answer. The attempt that won is the order: its ID is the order id.
type Attempt struct {
	ID   ident.ID
	Seq  uint64
	Key  Key
	Body [16]byte // hash of the canonical body
	At   time.Time
	// Reason is "" for a win, else the final refusal.
	Reason errs.Code
	// SKU and Left tell, for a final no, which line decided and how many units were left to the user.
	SKU  string
	Left int64
	// Lines, Amount and Currency are the price promised to a winner; Lines also tell what a loser asked for.
	Lines    []Line
	Amount   int64
	Currency string
	// PayBefore is the end of the payment window; at ReleaseAt (PayBefore plus grace) an unpaid claim is released.
	PayBefore time.Time
	ReleaseAt time.Time
	State     ClaimState
	// Why says why a claim was released: "expired", "cancelled", "refunded".
	Why string
	// Trace is the W3C traceparent of the call that was answered, or "".
	Trace string
	// Pass is the entry whose pass the attempt used up, or 0.
	Pass uint64
}

// PassRef names the pass that the attempt used up.
func (a *Attempt) PassRef() PassRef { return PassRef{a.Key.Sale, a.Key.User, a.Pass} }

// Won reports whether the attempt took stock.
func (a *Attempt) Won() bool { return a.Reason == "" }

// Move is one edge of a claim's life.
type Move struct {
	ID       ident.ID
	From, To ClaimState
	Why      string
	Trace    string
}

// Offer is a change of a SKU's allotment: Delta > 0 adds units, < 0 withdraws them.
type Offer struct {
	Key   Key // idempotency of the operator's call; Key.Key may be "" for the first offer of a new sale
	SKU   string
	Delta int64
	Why   string
}

// Sale is a sale as stored. Stock numbers are not in it.
type Sale struct {
	ID        string
	Title     string
	StartsAt  time.Time
	EndsAt    time.Time
	Window    time.Duration // payment window
	Grace     time.Duration
	Admission string // AdmitOpen, AdmitLine or AdmitDraw
	Items     []SaleItem
	Paused    bool
	// ClosedAt is when an operator closed the sale before its end; zero otherwise.
	ClosedAt time.Time
	// PrunedAt is when its final noes and allowances had been removed; see Pruner.
	PrunedAt time.Time `json:",omitzero"`
	// SoldOut is set by an operator's force_sold_out and cleared by resume.
	SoldOut bool
	// WaitingList says that buyers may wait for units that come back.
	WaitingList bool `json:",omitempty"`
	// Line is how the line or the draw goes; nil means as the defaults say. Nobody may change what it points to.
	Line    *LineRules `json:",omitempty"`
	Version int64
	Created time.Time
}

// SaleItem is one SKU of a sale. Price is in minor units. Limit is units per user; 0 means no limit.
type SaleItem struct {
	SKU      string `json:"sku"`
	Title    string `json:"title"`
	Price    int64  `json:"price"`
	Currency string `json:"currency"`
	Limit    int64  `json:"limitPerUser"`
}

// Stock is one stock row. Offered − Withdrawn = Available + Held + Sold, always.
type Stock struct {
	Sale      string `json:"sale"`
	SKU       string `json:"sku"`
	Offered   int64  `json:"offered"`
	Available int64  `json:"available"`
	Held      int64  `json:"held"`
	Sold      int64  `json:"sold"`
	Withdrawn int64  `json:"withdrawn"`
	Version   int64  `json:"version"`
	// Waiting counts the entries that wait for this SKU.
	Waiting int64 `json:"waiting"`
}

// Snapshot is everything about sales and stock as of one moment; Seq is the last number used in the journal and LastID the
// highest id of an attempt.
type Snapshot struct {
	Seq    uint64
	LastID ident.ID
	Now    time.Time
	Sales  []Sale
	Stock  []Stock
}

// Kind says what a journal entry is.
type Kind uint8

// Journal entry kinds. They are also the kinds of the stock ledger, except Refuse, Wait and Quit.
const (
	_ Kind = iota
	Hold
	Refuse // a final no, bound to its key
	Sell
	Release
	OfferKind
	Withdraw
	// Wait is an entry that joined a waiting list, and Quit one that left it without an offer. An offer is a Hold.
	Wait
	Quit
)

func (k Kind) String() string {
	return [...]string{"", "hold", "refuse", "sell", "release", "offer", "withdraw", "wait", "quit"}[k]
}

// Entry is one journal entry: the stock ledger, the outgoing messages and the keys in commit order. An entry about n lines
// takes n numbers: Seq is the first of them, and the next entry's is at least Seq+n.
type Entry struct {
	Seq  uint64
	At   time.Time
	Kind Kind
	// Attempt is the bound answer for Hold and Refuse; for Sell and Release it is the claim that moved.
	Attempt *Attempt
	// Offer is set for OfferKind and Withdraw.
	Offer *Offer
	// Waiter is set for Wait and Quit. As with an attempt, its State is the one at the time of reading.
	Waiter *Waiter
	Why    string
	Trace  string
}

// Last returns the last number that the entry takes.
func (e *Entry) Last() uint64 {
	if e.Attempt == nil {
		return e.Seq
	}
	return e.Seq + uint64(max(len(e.Attempt.Lines), 1)) - 1
}

// Audit is one row of the trail: who did what to what, when, why, and the values before and after (JSON or "").
type Audit struct {
	Seq                                      uint64
	At                                       time.Time
	Who, Act, Object, Why, Before, After, ID string
}
