package check

// judgeLate judges the claims that were made for late money of expired orders: the one way on which an order goes from expired
// to paid. Such a claim is for the same buyer, sale and units as the order's first one, which must be released, unpaid; at
// most one of them was ever sold, and the order is paid by it, and by nothing else.
func (w *world) judgeLate() {
	for _, n := range w.late {
		w.judgeAgain(n)
	}
	w.buys.each(func(p *purchase) {
		if !p.revived {
			return
		}
		w.tally.ran("I9", 1)
		w.counts["paidLate"]++
		switch {
		case p.heir == 0:
			w.tally.bad("I9", "order %v went from expired to paid, and no late claim of it was sold", p.id)
		case p.soldLines != 0:
			w.tally.bad("I9", "order %v went from expired to paid, and its first claim was sold as well", p.id)
		}
	})
}

// judgeAgain judges one late claim.
func (w *world) judgeAgain(n uint32) {
	p := w.buys.at(n)
	w.tally.ran("I14", 1)
	of, _ := w.buys.get(p.again)
	sold := p.soldLines != 0
	switch {
	case !of.hasClaim || of.state != claimReleased || of.soldLines != 0:
		w.tally.bad("I14", "claim %v was made for late money of order %v, whose own claim did not run out", p.id, of.id)
	case p.user != of.user || w.shelves[p.sale].sale != w.shelves[of.sale].sale || p.claimed != of.claimed:
		w.tally.bad("I14", "claim %v was made for late money of order %v and is not for the same buyer and units", p.id, of.id)
	case p.due != of.due && p.priced && of.priced:
		w.tally.bad("I8", "claim %v was made for late money of order %v at %d instead of %d", p.id, of.id, p.due, of.due)
	case p.seq < of.seq:
		w.tally.bad("I14", "claim %v was made for late money of order %v before that order was", p.id, of.id)
	}
	if p.orders > 0 {
		w.tally.bad("I4", "claim %v was made for late money of order %v and is an order as well", p.id, of.id)
	}
	if !sold {
		if w.drained && p.state == claimHeld {
			w.counts["lateHeld"]++ // runs out by itself
		}
		return
	}
	if of.heir != 0 {
		w.tally.bad("I9", "two late claims of order %v were sold", of.id)
	}
	of.heir = n + 1
	if w.drained && w.dead[of.id] == 0 && !of.revived {
		w.tally.bad("I9", "claim %v was sold for late money of order %v, which did not go from expired to paid", p.id, of.id)
	}
}

// holder is the purchase whose claim an order follows: its own, or the one that late money made and that was sold.
func (w *world) holder(p *purchase) *purchase {
	if p.heir != 0 {
		return w.buys.at(p.heir - 1)
	}
	return p
}
