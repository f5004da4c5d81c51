package balance_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"

	"penstock/balance"
	"penstock/internal/fault"
)

// world is one ledger, opened by one process or by two.
type world struct {
	t      testing.TB
	opened []*balance.Balances
	turn   atomic.Int64
}

func setup(t testing.TB, on engine, faults *fault.Points) *world {
	t.Helper()
	where := on.place(t)
	w := &world{t: t, opened: []*balance.Balances{on.open(t, where, faults)}}
	if on.shared {
		w.opened = append(w.opened, on.open(t, where, faults))
	}
	return w
}

// b is the ledger, as the next of its processes sees it.
func (w *world) b() *balance.Balances {
	return w.opened[int(w.turn.Add(1))%len(w.opened)]
}

func (w *world) topUp(user string, amount int64) {
	w.t.Helper()
	m := move(balance.TopUp, user, amount)
	m.Once = fmt.Sprint("top-up ", w.turn.Add(1))
	if _, _, err := w.b().Post(w.t.Context(), m); err != nil {
		w.t.Fatal(err)
	}
}

func move(kind balance.Kind, user string, amount int64) balance.Move {
	return balance.Move{Once: "once", Kind: kind, User: user, Currency: "EUR", Amount: amount}
}

// has wants what a user has in euros.
func (w *world) has(user string, free, held int64) {
	w.t.Helper()
	all, err := w.b().Standings(w.t.Context(), user)
	if err != nil {
		w.t.Fatal(err)
	}
	var got balance.Standing
	for _, s := range all {
		if s.Currency == "EUR" {
			got = s
		}
	}
	if got.Balance != free || got.Held != held {
		w.t.Errorf("%s has %d and %d held, want %d and %d", user, got.Balance, got.Held, free, held)
	}
}

type line struct {
	Record, Account, Owner, Currency, Kind, ID string
	Slot                                       int
	N, Amount, Balance, Credit                 int64
	Entries                                    []struct {
		Account, Owner  string
		Amount, Balance int64
	}
}

// audit reads the export and finds what does not add up. It returns how many transactions there are.
func (w *world) audit() int {
	w.t.Helper()
	var out bytes.Buffer
	if err := w.b().Export(w.t.Context(), &out); err != nil {
		w.t.Fatal(err)
	}
	sums, last, n := map[string]int64{}, map[int]int64{}, 0
	key := func(slot int, account, owner, currency string) string {
		return fmt.Sprint(slot, account, owner, currency)
	}
	for dec := json.NewDecoder(&out); dec.More(); {
		var l line
		if err := dec.Decode(&l); err != nil {
			w.t.Fatal(err)
		}
		if l.Record == "account" {
			if sum := sums[key(l.Slot, l.Account, l.Owner, l.Currency)]; sum != l.Balance {
				w.t.Errorf("account %s of %q has %d, its entries add up to %d", l.Account, l.Owner, l.Balance, sum)
			}
			if l.Account != "cash" && l.Balance < -l.Credit {
				w.t.Errorf("account %s of %q is at %d, its limit is %d", l.Account, l.Owner, l.Balance, l.Credit)
			}
			continue
		}
		n++
		if last[l.Slot]++; l.N != last[l.Slot] || len(l.Entries) != 2 || l.Entries[0].Amount+l.Entries[1].Amount != 0 {
			w.t.Errorf("transaction %d of slot %d, after %d: %+v", l.N, l.Slot, last[l.Slot]-1, l.Entries)
		}
		for _, e := range l.Entries {
			k := key(l.Slot, e.Account, e.Owner, l.Currency)
			if sums[k] += e.Amount; sums[k] != e.Balance {
				w.t.Errorf("transaction %s leaves %s of %q at %d, the entry says %d", l.ID, e.Account, e.Owner, sums[k], e.Balance)
			}
		}
	}
	return n
}
