package line

import "time"

// followed is how long what was last read of others counts.
const followed = 2 * time.Second

// May reports whether something may be bound for the user in the sale: whether any entry of his ever had its pass, in whatever
// process, or whether this process cannot say. It looks into memory only, so that attempts without a pass cost no look-up. What
// another process did within Options.Look may not be seen yet.
func (l *Lines) May(saleID, user string) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	books, doc := l.lines[saleID], l.sales.Sale(saleID)
	if doc == nil || len(books) < len(doc.Items) || l.store.Shared() && l.opt.Clock.Now().Sub(time.Unix(0, l.heard.Load())) > followed {
		return true
	}
	for _, b := range books {
		if b.had(user) {
			return true
		}
	}
	return false
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
