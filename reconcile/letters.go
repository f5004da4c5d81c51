package reconcile

import (
	"context"
	"strconv"

	bus "penstock/bus/driver"
	"penstock/internal/ident"
	"penstock/stock"
)

const letterPage = 200

// compareLetters looks for dead letters about orders that are where their claims say: nothing is left to do for them.
func (l *look) compareLetters(ctx context.Context) error {
	if l.r.Letters == nil {
		return nil
	}
	for after := int64(0); ; {
		page, err := l.r.Letters.List(ctx, bus.Filter{Group: l.r.Group, Topic: stock.Topic}, after, letterPage)
		if err != nil || len(page) == 0 {
			return err
		}
		for i := range page {
			after = page[i].ID
			if err := l.letter(ctx, &page[i]); err != nil {
				return err
			}
		}
	}
}

func (l *look) letter(ctx context.Context, letter *bus.DeadLetter) error {
	good, err := l.r.good(ctx, letter)
	if err != nil || !good {
		return err
	}
	l.add(Difference{
		Kind: KindLetter, Object: "dead-letter/" + strconv.FormatInt(letter.ID, 10), Expected: "no letter about order " + letter.Message.Key + ", which agrees with its claim",
		Found: letter.Reason, mend: func(ctx context.Context, who, reason string) (bool, error) {
			if good, err := l.r.good(ctx, letter); err != nil || !good {
				return false, err
			}
			return true, l.r.Letters.Discard(ctx, who, letter.ID, reason)
		},
	})
	return nil
}

// good reports whether the order of a letter is where its claim says.
func (r *Reconciler) good(ctx context.Context, letter *bus.DeadLetter) (bool, error) {
	id, err := ident.Parse(letter.Message.Key)
	if err != nil {
		return false, nil // not about an order of ours
	}
	claim, o, want, err := r.pair(ctx, id)
	return claim != nil && o != nil && want == "", err
}
