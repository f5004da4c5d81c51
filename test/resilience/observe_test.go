package resilience

import (
	"fmt"
	"net/http"
	"os"
	"time"

	"penstock/check/history"
)

// answers are what buyers were told, counted by what they could conclude.
type answers struct {
	Asked, Good, Refused, Shed, Unknown, Failed, Silent int
	Worst                                               time.Duration // of the answers; silence has none
}

// Kinds of answers: good is a win, a payment or a list; refused a definite no for a reason of the sale; shed "reduced-capacity";
// unknown 202 and key-in-progress; failed another 5xx or a 502 by the router; silent no answer within the client's patience.
func (a *answers) add(r *history.Record) {
	a.Asked++
	switch {
	case r.Status == 0:
		a.Silent++
		return
	case good(r):
		a.Good++
	case r.Problem == "reduced-capacity":
		a.Shed++
	case r.Status == http.StatusAccepted, r.Problem == "key-in-progress", r.Problem == "unknown-outcome":
		a.Unknown++
	case r.Status >= 500:
		a.Failed++
	default:
		a.Refused++
	}
	a.Worst = max(a.Worst, r.TRecv.Sub(r.TSend))
}

func good(r *history.Record) bool {
	switch r.Op {
	case history.Buy, history.Ask:
		return r.Outcome() == history.Ack
	}
	return r.Status >= 200 && r.Status < 300 && r.Status != http.StatusAccepted || r.Op == history.Pay && r.Status == http.StatusAccepted
}

// slow is what buyers would not call normal, on a machine that is busy with the test itself.
const slow = 1500 * time.Millisecond

// trouble reports an answer that only a fault explains. A refusal is none: at the end of a sale it is what most get.
func trouble(r *history.Record) bool {
	return r.Status == 0 || !good(r) && (r.Status == http.StatusAccepted || r.Status >= 500 || r.Problem == "key-in-progress") ||
		r.TRecv.Sub(r.TSend) > slow
}

// observed is a storm with a fault from From to To, seen by the buyers.
type observed struct {
	// Buys, Pays, Lists (by buyers) and All (by an operator, of everybody) were asked while the fault lasted.
	Buys, Pays, Lists, All answers
	// Before is how many buyers were told that they won before the fault ended.
	Before int
	// FirstWin is how long after the fault's end the first win was told; −1 if there was
	// none, as when all was sold before. Normal is how long after it the
	// last call was made whose answer shows trouble.
	FirstWin, Normal time.Duration
	// Late are the calls that Normal is about, by what was asked and what came.
	Late map[string]int
}

// observer sorts the calls of a history. A send without an answer is a silent one.
type observer struct {
	from, to time.Time
	o        observed
	open     map[uint64]history.Record
	won      map[string]bool
}

// observe reads a history and the calls for lists made beside it.
func observe(path string, lists []history.Record, from, to time.Time) (observed, error) {
	f, err := os.Open(path)
	if err != nil {
		return observed{}, err
	}
	defer f.Close()
	w := &observer{from: from, to: to, o: observed{FirstWin: -1, Late: map[string]int{}}, open: map[uint64]history.Record{}, won: map[string]bool{}}
	err = history.Scan(f, func(r *history.Record) error {
		if r.Phase == history.Send {
			w.open[r.Call] = *r
			return nil
		}
		delete(w.open, r.Call)
		w.saw(r)
		return nil
	})
	for _, r := range w.open {
		w.saw(&r)
	}
	for i := range lists {
		w.saw(&lists[i])
	}
	return w.o, err
}

// Operations of the calls that a history does not know: lists of one's own orders, and of all.
const (
	list    history.Op = "list"
	listAll history.Op = "list all"
)

func (w *observer) saw(r *history.Record) {
	if !r.TSend.Before(w.from) && r.TSend.Before(w.to) {
		switch r.Op {
		case history.Buy:
			w.o.Buys.add(r)
		case history.Pay:
			w.o.Pays.add(r)
		case list:
			w.o.Lists.add(r)
		case listAll:
			w.o.All.add(r)
		}
	}
	if r.Op == history.Buy && good(r) {
		if after := r.TRecv.Sub(w.to); after < 0 {
			w.won[r.Key] = true
			w.o.Before = len(w.won)
		} else if w.o.FirstWin < 0 || after < w.o.FirstWin {
			w.o.FirstWin = after
		}
	}
	if trouble(r) && !r.TSend.Before(w.to) {
		w.o.Late[fmt.Sprintf("%s %d %s", r.Op, r.Status, r.Problem)]++
		w.o.Normal = max(w.o.Normal, r.TSend.Sub(w.to))
	}
}
