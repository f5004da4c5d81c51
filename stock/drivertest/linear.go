package drivertest

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/anishathalye/porcupine"

	"penstock/errs"
	"penstock/stock"
	"penstock/stock/driver"
)

// Size of a history: few enough to check, crowded enough to collide.
const (
	histories = 12
	clients   = 4
	opsEach   = 8
)

var (
	buyers  = [linUsers]string{"u", "v", "w"}
	buyKeys = [linKeys]string{"1", "2"}
)

// Concurrent attempts with repeated keys, sales, releases, top-ups and reads of one sale can be put in one order, consistent
// with the order of calls in time, in which a sequential sale gives the same answers. A call that was answered unknown may
// have happened at any moment after it was made, or never.
func historiesAreLinearizable(t testing.TB, h Harness) {
	s := newShop(t, h)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for n := range histories {
		run := &history{s: s, sale: string(rune('A' + n)), ids: map[[2]int]stock.ID{}}
		rnd := rand.New(rand.NewPCG(seed, uint64(n)))
		units := 1 + rnd.IntN(3)
		s.open(run.sale, goods{"a", int64(units), linLimit, 1})
		every := 2 + rnd.IntN(5)
		s.loseReplies(func(hit int) bool { return hit%every == 0 })
		var wg sync.WaitGroup
		for c := range clients {
			mine := rand.New(rand.NewPCG(rnd.Uint64(), uint64(c)))
			wg.Go(func() {
				for range opsEach {
					run.act(c, mine)
				}
			})
		}
		wg.Wait()
		s.loseReplies(nil)
		run.read(clients)
		switch porcupine.CheckOperationsTimeout(linModel(units), run.ops, patience) {
		case porcupine.Illegal:
			t.Errorf("history %d of seed %d, %d units, is not linearizable:", n, seed, units)
			for _, o := range run.ops {
				t.Logf("%d [%d, %d] %+v -> %+v", o.ClientId, o.Call, o.Return, o.Input, o.Output)
			}
			return
		case porcupine.Unknown:
			t.Errorf("history %d of seed %d was not checked in time", n, seed)
		}
	}
	s.audit()
}

// history records what clients did to one sale.
type history struct {
	s    *shop
	sale string
	tick atomic.Int64
	mu   sync.Mutex
	ops  []porcupine.Operation
	ids  map[[2]int]stock.ID
}

// record runs f and writes down when it was called, when it returned and what it answered.
func (r *history) record(client int, in linOp, f func() linOut) {
	call := r.tick.Add(1)
	out := f()
	ret := r.tick.Add(1)
	if out.what == linUnknown {
		ret = math.MaxInt64
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops = append(r.ops, porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: ret})
}

func (r *history) act(client int, rnd *rand.Rand) {
	in := linOp{user: rnd.IntN(linUsers), key: rnd.IntN(linKeys)}
	in.n = 1 + in.key*(in.user%2)
	r.mu.Lock()
	id := r.ids[[2]int{in.user, in.key}]
	r.mu.Unlock()
	switch p := rnd.IntN(20); {
	case p < 3 && id != 0:
		in.do = linSell
		r.record(client, in, func() linOut { return r.moved(r.s.p.Sell(r.s.Context(), id, "", "")) })
	case p < 7 && id != 0:
		in.do = linRelease
		r.record(client, in, func() linOut {
			return r.moved(r.s.p.Release(r.s.Context(), id, driver.Held, stock.WhyCancelled, ""))
		})
	case p == 7:
		r.read(client)
	case p == 8:
		in.do = linLook
		r.record(client, in, func() linOut { return r.look(in) })
	case p == 9:
		in = linOp{do: linOffer, n: 1 - 2*rnd.IntN(2)}
		r.record(client, in, func() linOut { return r.offer(in) })
	default:
		if rnd.IntN(10) == 0 {
			in.n = 3 - in.n
		}
		leaves := rnd.IntN(5) == 0
		r.record(client, in, func() linOut { return r.attempt(in, leaves) })
	}
}

// attempt buys; a caller who leaves does not wait for the answer.
func (r *history) attempt(in linOp, leaves bool) linOut {
	ctx, cancel := context.WithCancel(r.s.Context())
	defer cancel()
	if leaves {
		go func() {
			runtime.Gosched()
			cancel()
		}()
	}
	a := r.s.p.Attempt(ctx, stock.Request{
		Sale: r.sale, User: buyers[in.user], Key: buyKeys[in.key], Items: []stock.Item{item("a", int64(in.n))},
	})
	switch {
	case a.State == stock.Unknown:
		return linOut{what: linUnknown}
	case a.State == stock.Won:
		r.mu.Lock()
		r.ids[[2]int{in.user, in.key}] = a.Attempt.ID
		r.mu.Unlock()
		return linOut{what: linWon}
	case a.Reason == errs.NotEnoughLeft:
		return linOut{what: string(a.Reason), a: int(a.Left)}
	}
	return linOut{what: string(a.Reason)}
}

func (r *history) moved(m stock.MoveResult, err error) linOut {
	switch {
	case errs.Is(err, errs.Unknown):
		return linOut{what: linUnknown}
	case err != nil:
		r.s.Errorf("move: %v", err)
		return linOut{what: linUnknown}
	case m.Moved:
		return linOut{what: linYes}
	}
	return linOut{what: linNo}
}

func (r *history) look(in linOp) linOut {
	a, ok, err := r.s.p.Lookup(r.s.Context(), r.sale, buyers[in.user], buyKeys[in.key])
	switch {
	case err != nil:
		r.s.Errorf("lookup: %v", err)
		return linOut{what: linUnknown}
	case !ok:
		return linOut{what: linNo}
	case a.State == stock.Unknown:
		return linOut{what: linUnknown}
	case a.State == stock.Won:
		return linOut{what: linWon}
	}
	return linOut{what: string(a.Reason)}
}

func (r *history) offer(in linOp) linOut {
	_, err := r.s.p.Offer(r.s.Context(), stock.OfferRequest{Sale: r.sale, SKU: "a", Delta: int64(in.n), Key: fmt.Sprint(r.tick.Load(), rand.Uint64())}, by("offer"))
	switch {
	case err == nil:
		return linOut{what: linYes}
	case errs.Is(err, errs.StockInUse):
		return linOut{what: linNo}
	case !errs.Is(err, errs.Unknown):
		r.s.Errorf("offer: %v", err)
	}
	return linOut{what: linUnknown}
}

func (r *history) read(client int) {
	r.record(client, linOp{do: linRead}, func() linOut {
		row := r.s.levels(r.sale)["a"]
		return linOut{what: linYes, a: int(row.Available), held: int(row.Held), sold: int(row.Sold)}
	})
}
