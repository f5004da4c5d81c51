package check

import "time"

// finish judges what can be judged only when everything was read.
func (w *world) finish() {
	w.finishWaits()
	for _, sh := range w.shelves {
		w.judgeShelf(sh)
	}
	w.judgeLate()
	w.buys.each(func(p *purchase) {
		w.judgeMatch(p)
		w.judgeConservation(p)
		w.judgeLife(p)
		w.judgeMoney(p)
		w.judgeSale(p)
	})
	w.finishWishes()
	w.finishAudit()
	w.finishBalances()
	if w.clocks > 0 {
		w.tally.note("I13", "the ledger's clock went back %d times; the sequence decides, not the clock", w.clocks)
	}
	if n := w.counts["operatorCases"]; n > 0 {
		w.tally.note("I8", "%d captures of another amount, or late, wait for an operator", n)
	}
	if n := w.counts["paidByTransaction"]; n > 0 {
		w.tally.note("I8", "%d orders were paid by a transaction with money that is not in a balance", n)
	}
	if w.opt.Route == nil {
		w.tally.note("I20", "against other orders of the same slot, as no placement was given")
	}
}

func (w *world) judgeShelf(sh *shelf) {
	r := &sh.row
	if !sh.known {
		if sh.moved {
			return
		}
		if sh.claimed > 0 || sh.replay != (levels{}) {
			w.tally.bad("I2", "%s/%s has claims or ledger entries and no stock row", sh.sale, sh.sku)
		}
		return
	}
	n := r.Offered - r.Withdrawn
	w.tally.ran("I1", 1)
	w.tally.ran("I2", 1)
	if r.Held+r.Sold > n || r.Available < 0 {
		w.tally.bad("I1", "%s/%s: %d held and %d sold of %d, available %d", sh.sale, sh.sku, r.Held, r.Sold, n, r.Available)
	}
	if r.Available+r.Held+r.Sold != n {
		w.tally.bad("I2", "%s/%s: available %d + held %d + sold %d is not offered %d − withdrawn %d", sh.sale, sh.sku, r.Available, r.Held, r.Sold, r.Offered, r.Withdrawn)
	}
	if sh.moved {
		return
	}
	want := levels{r.Offered, r.Withdrawn, r.Available, r.Held, r.Sold}
	if sh.replay != want {
		w.tally.bad("I2", "%s/%s: the ledger adds up to %+v, the stock row says %+v", sh.sale, sh.sku, sh.replay, want)
	}
	if sh.claims.held != r.Held || sh.claims.sold != r.Sold {
		w.tally.bad("I2", "%s/%s: claims hold %d and sold %d, the stock row says %d and %d", sh.sale, sh.sku, sh.claims.held, sh.claims.sold, r.Held, r.Sold)
	}
}

// judgeMatch checks that each winning claim has one order and each order its claim.
func (w *world) judgeMatch(p *purchase) {
	if p.hasClaim {
		w.tally.ran("I12", 1)
	}
	if !p.hasClaim && p.orders == 0 {
		return
	}
	w.tally.ran("I4", 1)
	switch {
	case p.again != 0 && p.orders == 0: // judgeLate has judged it
	case !p.hasClaim:
		w.tally.bad("I4", "order %v has no claim", p.id)
	case p.orders > 1:
		w.tally.bad("I4", "order %v is there %d times", p.id, p.orders)
	case p.orders == 0 && w.dead[p.id] > 0:
		w.counts["setAside"]++
	case p.orders == 0 && !w.drained:
		w.counts["onTheirWay"]++
	case p.orders == 0:
		w.tally.bad("I4", "the claim of order %v has no order", p.id)
		w.tally.bad("I12", "the message that creates order %v had no effect and is not set aside", p.id)
	case p.claimed != p.ordered:
		w.tally.bad("I4", "order %v is not for what its claim holds", p.id)
	}
	if p.priced && p.orders == 1 && p.due != p.amount {
		w.tally.bad("I8", "order %v costs %d, its claim was won for %d", p.id, p.amount, p.due)
	}
}

// judgeConservation checks that claim, ledger and order of a purchase tell the same story.
func (w *world) judgeConservation(p *purchase) {
	if !p.hasClaim && !p.hasHold {
		return
	}
	w.tally.ran("I2", 1)
	sold, freed := p.soldLines == p.claimed, p.freed == p.claimed
	agrees := p.claimed == p.held && (p.soldLines == 0 || sold) && (p.freed == 0 || freed)
	switch p.state {
	case claimHeld:
		agrees = agrees && p.soldLines == 0 && p.freed == 0
	case claimSold:
		agrees = agrees && sold && p.freed == 0
	case claimReleased:
		agrees = agrees && freed
	}
	if !agrees {
		w.tally.bad("I2", "the ledger of order %v does not lead to its claim (%v)", p.id, p.state)
	}
	if p.orders != 1 || !w.drained || w.dead[p.id] > 0 {
		return
	}
	o, state := p.order, w.holder(p).state
	if o.taken() && state != claimSold || o.gone() && state != claimReleased ||
		state == claimSold && !o.taken() && o != orderRefunded || state == claimReleased && !o.gone() && o != orderRefunded {
		w.tally.bad("I2", "order %v is %v, its claim is %v", p.id, o, state)
	}
}

func (w *world) judgeLife(p *purchase) {
	if p.orders != 1 {
		if p.lastEvent > 0 && p.orders == 0 {
			w.tally.bad("I9", "order %v has events and no row", p.id)
		}
		return
	}
	if p.lastEvent != p.version || p.lastTo != p.order {
		w.tally.bad("I9", "order %v is %v at version %d, its events end with %v at %d", p.id, p.order, p.version, p.lastTo, p.lastEvent)
	}
	if p.wasPaid && w.holder(p).state == claimReleased && p.order != orderRefunded {
		w.tally.bad("I9", "order %v was paid and its units were released", p.id)
	}
}

// judgeMoney compares what was captured and given back with what the order's state says.
func (w *world) judgeMoney(p *purchase) {
	if !w.drained || p.mismatch || p.waits && p.order.gone() || p.orders > 1 || w.dead[p.id] > 0 {
		return
	}
	if p.refunds && p.givenBack >= 0 && p.givenBack != p.asked {
		w.tally.bad("I8", "order %v says that %d was given back, the refunds asked for it add up to %d", p.id, p.givenBack, p.asked)
	}
	if p.tx != 0 && p.captured == 0 && p.order.taken() {
		w.judgeTransaction(p)
		return
	}
	net := p.captured - p.refunded
	w.counts["captured"] += p.captured
	w.counts["refunded"] += p.refunded
	var want int64
	switch {
	case p.order.taken():
		want = p.amount - max(p.givenBack, 0)
	case p.order == orderRefunded && p.givenBack >= 0:
		want = p.amount - p.givenBack
	case p.order == orderRefunded:
		if net < 0 || net >= p.amount && p.amount > 0 {
			w.tally.bad("I8", "order %v is refunded and keeps %d of %d", p.id, net, p.amount)
		}
		return
	}
	if net != want {
		w.tally.bad("I8", "order %v is %v: captured %d − refunded %d should be %d", p.id, p.order, p.captured, p.refunded, want)
	}
}

// judgeSale checks that nothing was sold after it was due to be released.
func (w *world) judgeSale(p *purchase) {
	if p.soldLines == 0 || !p.hasClaim {
		return
	}
	last := p.releaseAt
	if win := w.windows[w.shelves[p.sale].sale]; last == 0 && p.payBefore != 0 && win != nil {
		last = p.payBefore + win.grace
	}
	if last == 0 {
		return
	}
	w.tally.ran("I14", 1)
	if p.soldAt > last {
		w.tally.bad("I14", "order %v was sold at %s, %v after it was due to be released", p.id, stamp(p.soldAt), time.Duration(p.soldAt-last))
	}
}
