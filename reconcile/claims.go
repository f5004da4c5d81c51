package reconcile

import (
	"context"
	"fmt"

	"penstock/internal/ident"
	"penstock/stock/driver"
)

// compareClaims compares the state of each claim with the last move that the journal tells of it, and looks for offers of a
// waiting list that nobody holds.
func (l *look) compareClaims(ctx context.Context) error {
	suspects := map[ident.ID]*seenClaim{}
	l.lies = map[ident.ID]bool{}
	for id, c := range l.claims {
		if c.state != c.moved {
			suspects[id] = c
		}
	}
	if err := l.again(ctx, suspects); err != nil {
		return err
	}
	for id, c := range suspects {
		if c.state != c.moved {
			l.lies[id] = true
			l.add(Difference{Kind: KindClaim, Object: "claim/" + id.String(), Expected: c.moved.String(), Found: c.state.String()})
		}
	}
	for _, w := range l.offers {
		claim, err := l.r.Stock.Claim(ctx, w.Order)
		if err != nil {
			return err
		}
		if claim == nil {
			l.add(Difference{Kind: KindWaiting, Object: fmt.Sprintf("waiting/%s/%s/%d", w.Key.Sale, w.SKU, w.Seq), Expected: "claim " + w.Order.String(), Found: "no such claim"})
		}
	}
	return nil
}

// again looks a second time: a claim may have moved while the journal was read. The state is read first, so that the journal
// cannot lack the move that made it.
func (l *look) again(ctx context.Context, suspects map[ident.ID]*seenClaim) error {
	if len(suspects) == 0 {
		return nil
	}
	for id, c := range suspects {
		claim, err := l.r.Stock.Claim(ctx, id)
		if err != nil {
			return err
		}
		if claim != nil {
			c.state = claim.State
		}
	}
	snap, err := l.r.Stock.Snapshot(ctx)
	if err != nil {
		return err
	}
	moved := map[ident.ID]driver.ClaimState{}
	err = each(ctx, l.r.Stock, l.snap.Seq, snap.Seq, func(e *driver.Entry) error {
		if e.Attempt != nil && suspects[e.Attempt.ID] != nil {
			moved[e.Attempt.ID] = map[driver.Kind]driver.ClaimState{driver.Sell: driver.Sold, driver.Release: driver.Released}[e.Kind]
		}
		return nil
	})
	for id, to := range moved { // it is in motion; the next look will tell
		suspects[id].state, suspects[id].moved = to, to
	}
	return err
}

// takenPage is how many allowances are read, and locked, at a time.
const takenPage = 200

// compareTaken compares the allowances with what the claims add up to. What differs is compared with the claims read anew.
func (l *look) compareTaken(ctx context.Context) error {
	if l.r.Taken == nil {
		return nil
	}
	first, err := l.takenDiffers(ctx)
	if err != nil || len(first) == 0 {
		return err
	}
	second := &look{r: l.r, counts: map[string]int{}, gaps: map[gap]int64{}}
	if err := second.readJournal(ctx); err != nil {
		return err
	}
	for ref, have := range first { // only what stood still between the looks is a difference
		now, err := l.r.Taken(ctx, []driver.TakenRef{ref})
		if err != nil {
			return err
		}
		if want := second.taken[ref]; want == l.taken[ref] && now[0] == have {
			d := Difference{Kind: KindAllowance, Object: "allowance/" + ref.Sale + "/" + ref.SKU + "/" + ref.User, Expected: fmt.Sprint(want), Found: fmt.Sprint(have)}
			if l.r.Recount != nil && len(l.lies) == 0 { // who counts claims must be able to believe them
				d.mend = func(ctx context.Context, _, _ string) (bool, error) { return true, l.r.Recount(ctx, ref) }
			}
			l.add(d)
		}
	}
	return nil
}

func (l *look) takenDiffers(ctx context.Context) (map[driver.TakenRef]int64, error) {
	out, page := map[driver.TakenRef]int64{}, make([]driver.TakenRef, 0, takenPage)
	flush := func() error {
		have, err := l.r.Taken(ctx, page)
		for i, n := range have {
			if n != l.taken[page[i]] {
				out[page[i]] = n
			}
		}
		page = page[:0]
		return err
	}
	for ref := range l.taken {
		if page = append(page, ref); len(page) == takenPage {
			if err := flush(); err != nil {
				return nil, err
			}
		}
	}
	if len(page) == 0 {
		return out, nil
	}
	return out, flush()
}
