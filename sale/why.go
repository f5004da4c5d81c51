package sale

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"penstock/errs"
	"penstock/stock"
)

// Stages of the way of an attempt, as "why" names them.
const (
	stageThrottle = "throttle"
	stageGate     = "gate"
	stageLine     = "line"
	stageDecision = "decision"
)

// refusals remembers the latest refusals that bound nothing, so that a buyer can be told why. It holds the last 1,024 of each
// of 64 groups of users and forgets the rest.
type refusals struct {
	once   sync.Once
	seed   maphash.Seed
	groups [64]struct {
		mu   sync.Mutex
		next int
		ring []refusal
	}
}

type refusal struct {
	key    uint64
	at     int64
	stage  string
	reason errs.Code
}

const ringSize = 1024

func (f *refusals) hash(sale, user, key string) uint64 {
	f.once.Do(func() { f.seed = maphash.MakeSeed() })
	return maphash.Comparable(f.seed, [3]string{sale, user, key})
}

func (f *refusals) add(r *stock.Request, at time.Time, stage string, reason errs.Code) {
	h := f.hash(r.Sale, r.User, r.Key)
	g := &f.groups[h%64]
	g.mu.Lock()
	defer g.mu.Unlock()
	e := refusal{h, at.UnixNano(), stage, reason}
	if len(g.ring) < ringSize {
		g.ring = append(g.ring, e)
		return
	}
	g.ring[g.next] = e
	g.next = (g.next + 1) % ringSize
}

func (f *refusals) find(sale, user, key string) (last refusal, ok bool) {
	h := f.hash(sale, user, key)
	g := &f.groups[h%64]
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, e := range g.ring {
		if e.key == h && e.at >= last.at {
			last, ok = e, true
		}
	}
	return last, ok
}

// Why explains the answer to one attempt of a user: from the journal when the key is bound, else from the ring of latest
// refusals. errs.NotFound means that neither knows the key.
func (s *Sales) Why(ctx context.Context, saleID, user, key string) (Why, error) {
	answer, known, err := s.Lookup(ctx, saleID, user, key)
	if err != nil {
		return Why{}, err
	}
	w := Why{Key: key}
	switch {
	case known && answer.Attempt != nil:
		a := answer.Attempt
		w.Arrived, w.Place = a.At, a.Seq
		w.Stages = []WhyVerdict{{stageGate, "passed"}, {stageThrottle, "passed"}, {stageDecision, verdict(answer)}}
		w.Rule = rules[a.Reason]
	case known:
		w.Stages = []WhyVerdict{{stageGate, "passed"}, {stageThrottle, "passed"}, {stageDecision, "not known yet"}}
		w.Rule = "the decision is being made durable; ask again"
	default:
		e, ok := s.ring.find(saleID, user, key)
		if !ok {
			return Why{}, errs.New(errs.NotFound, "nothing is known of key %q: it was not executed, or refused too long ago to be remembered", key)
		}
		w.Arrived = time.Unix(0, e.at).UTC()
		stages := []string{stageGate, stageThrottle, stageDecision}
		if e.stage == stageLine {
			stages = []string{stageGate, stageLine}
		}
		for _, st := range stages {
			if st == e.stage {
				w.Stages = append(w.Stages, WhyVerdict{st, "refused: " + string(e.reason)})
				break
			}
			w.Stages = append(w.Stages, WhyVerdict{st, "passed"})
		}
		w.Rule = rules[e.reason]
	}
	return w, nil
}

func verdict(a stock.Answer) string {
	if a.State == stock.Won {
		return "won"
	}
	return fmt.Sprintf("refused: %s (%s)", a.Reason, a.SKU)
}

// rules says in plain words which rule decided.
var rules = map[errs.Code]string{
	"":                   "units were available and your limit allowed them when your attempt came up in the order of decision",
	errs.SoldOut:         "every unit was sold before your attempt came up in the order of decision",
	errs.LimitReached:    "you hold or bought as many units as one buyer may",
	errs.StockHeld:       "no unit was free, but some were held unpaid and may come back",
	errs.NotEnoughLeft:   "fewer units were free than you asked for",
	errs.SaleNotOpen:     "the attempt arrived before the sale opened",
	errs.SaleClosed:      "the attempt arrived after the sale ended",
	errs.SalePaused:      "the sale was paused by its operator",
	errs.QuotaExceeded:   "attempts came faster than one user may make them",
	errs.ReducedCapacity: "the server could not take the attempt; nothing was executed",
	errs.PassRequired:    "the sale admits by a line or a draw, and the attempt came without a pass for its SKU",
	errs.PassUsed:        "the pass was used for another attempt",
	errs.KeyReused:       "the key was used before for another wish",
	errs.Invalid:         "the sale does not offer what was asked for",
	errs.NotFound:        "there is no such sale",
}
