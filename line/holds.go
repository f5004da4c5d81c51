package line

import (
	"context"
	"time"
)

// gap is the least pause between two looks at what other processes did: those who wait for one share it.
const gap = 50 * time.Millisecond

// patience is how long May waits for a look that succeeds.
const patience = time.Second

// May reports whether something may be bound for the user in the sale: whether any entry of his ever had its pass, in whatever
// process, or whether this process cannot say. It reads memory only. Beside other processes it waits for a look at what they did
// that began after the call, however many call: so what is said is exact, and attempts without a pass cost no query of their own.
func (l *Lines) May(ctx context.Context, saleID, user string) bool {
	begun := l.opt.Clock.Now()
	var late <-chan time.Time
	for {
		looked := l.looks.next() // before the check, so that no look falls in between
		if yes, sure := l.may(saleID, user, begun); sure {
			return yes
		}
		if late == nil {
			t := l.opt.Clock.NewTimer(patience)
			defer t.Stop()
			late = t.C()
		}
		select {
		case l.wanted <- struct{}{}:
		default:
		}
		select {
		case <-looked:
		case <-late:
			return true
		case <-ctx.Done():
			return true
		}
	}
}

// may says what memory knows, and whether that is all there was at a moment.
func (l *Lines) may(saleID, user string, at time.Time) (yes, sure bool) {
	heard := l.heard.Load()
	l.mu.RLock()
	defer l.mu.RUnlock()
	books, doc := l.lines[saleID], l.sales.Sale(saleID)
	if doc == nil || len(books) < len(doc.Items) {
		return true, true
	}
	for _, b := range books {
		if b.had(user) {
			return true, true
		}
	}
	return false, !l.store.Shared() || heard >= at.UnixNano()
}

func (b *book) had(user string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, yes := b.passes[user]
	return yes
}

// Live returns the user's live entries, in no particular order.
func (l *Lines) Live(user string) []Place {
	var all []Place
	for _, b := range l.books() {
		if seq, live := b.lastOf(user); live {
			all = append(all, Place{b.sale, ID{b.id, seq}})
		}
	}
	return all
}

// Place is where an entry stands.
type Place struct {
	Sale string
	ID   ID
}
