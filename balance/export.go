package balance

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Records of the export. A book is exported as it was at one moment: its transactions, then its accounts.
type (
	exportedTransaction struct {
		Record   string          `json:"record"` // "transaction"
		ID       string          `json:"id"`
		Slot     int             `json:"slot"`
		N        int64           `json:"n"`
		Kind     Kind            `json:"kind"`
		User     string          `json:"user"`
		Currency string          `json:"currency"`
		Amount   int64           `json:"amount"`
		Key      string          `json:"key"`
		Ref      string          `json:"ref"`
		Reason   string          `json:"reason"`
		Who      string          `json:"who"`
		At       time.Time       `json:"at"`
		Entries  []exportedEntry `json:"entries"`
	}
	exportedEntry struct {
		Account Account `json:"account"`
		Owner   string  `json:"owner"`
		Amount  int64   `json:"amount"`
		Balance int64   `json:"balance"`
	}
	exportedAccount struct {
		Record   string  `json:"record"` // "account"
		Slot     int     `json:"slot"`
		Account  Account `json:"account"`
		Owner    string  `json:"owner"`
		Currency string  `json:"currency"`
		Balance  int64   `json:"balance"`
		Credit   int64   `json:"credit"`

		last int64
	}
)

// exportPage is how many transactions are read at a time.
const exportPage = 500

// Export writes the ledger as NDJSON, book by book: each transaction with its entries, then the accounts as they stood after the
// last of them.
func (b *Balances) Export(ctx context.Context, w io.Writer) error {
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	slots, err := b.slots(ctx)
	if err != nil {
		return err
	}
	for _, slot := range slots {
		if err := b.exportBook(ctx, slot, enc); err != nil {
			return fmt.Errorf("export balances of slot %d: %w", slot, err)
		}
	}
	return out.Flush()
}

func (b *Balances) slots(ctx context.Context) (all []int, err error) {
	rows, err := b.db.Query(ctx, `SELECT DISTINCT slot FROM balance_accounts ORDER BY slot`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var slot int
		if err := rows.Scan(&slot); err != nil {
			return nil, err
		}
		all = append(all, slot)
	}
	return all, rows.Err()
}

func (b *Balances) exportBook(ctx context.Context, slot int, enc *json.Encoder) error {
	accounts, err := b.accountsOf(ctx, slot)
	if err != nil || len(accounts) == 0 {
		return err
	}
	for n, last := int64(0), accounts[0].last; n < last; {
		page, err := b.transactionsOf(ctx, slot, n, min(n+exportPage, last))
		if err != nil {
			return err
		}
		for _, t := range page {
			if err := enc.Encode(t); err != nil {
				return err
			}
		}
		n += exportPage
	}
	for _, a := range accounts {
		if err := enc.Encode(a); err != nil {
			return err
		}
	}
	return nil
}

// accountsOf reads the accounts of a book and the number of its last transaction in one statement, so that they fit.
func (b *Balances) accountsOf(ctx context.Context, slot int) (all []exportedAccount, err error) {
	rows, err := b.db.Query(ctx, `SELECT a.account, a.owner, a.currency, a.balance, a.credit, coalesce(k.last_n, 0)
		FROM balance_accounts a LEFT JOIN balance_books k ON k.slot=a.slot WHERE a.slot=? ORDER BY a.owner, a.account, a.currency`, slot)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		a := exportedAccount{Record: "account", Slot: slot}
		if err := rows.Scan(&a.Account, &a.Owner, &a.Currency, &a.Balance, &a.Credit, &a.last); err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, rows.Err()
}

// transactionsOf reads those numbered after…last.
func (b *Balances) transactionsOf(ctx context.Context, slot int, after, last int64) (all []exportedTransaction, err error) {
	rows, err := b.db.Query(ctx, `SELECT e.account, e.owner, e.amount, e.balance, t.slot, t.n, t.once, t.kind, t.user, t.currency, t.amount, t.ref, t.reason, t.who, t.at
		FROM balance_transactions t LEFT JOIN balance_entries e ON e.slot=t.slot AND e.pos BETWEEN 2*t.n AND 2*t.n+1
		WHERE t.slot=? AND t.n>? AND t.n<=? ORDER BY t.n, e.pos`, slot, after, last)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var t Transaction
		var at int64
		var account, owner *string // nil for a transaction that lost its entries
		var amount, balance *int64
		if err := rows.Scan(append([]any{&account, &owner, &amount, &balance}, t.dest(&at)...)...); err != nil {
			return nil, err
		}
		if n := len(all); n == 0 || all[n-1].N != t.N {
			all = append(all, exportedTransaction{
				Record: "transaction", ID: t.ID(), Slot: t.Slot, N: t.N, Kind: t.Kind, User: t.User, Currency: t.Currency, Amount: t.Amount,
				Key: t.Once, Ref: t.Ref, Reason: t.Reason, Who: t.Who, At: time.UnixMilli(at).UTC(), Entries: []exportedEntry{},
			})
		}
		if account != nil {
			to := &all[len(all)-1]
			to.Entries = append(to.Entries, exportedEntry{Account(*account), *owner, *amount, *balance})
		}
	}
	return all, rows.Err()
}
