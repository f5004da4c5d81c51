package storm

import (
	"context"
	"time"

	"penstock/check/history"
)

// step makes a buyer's next move and leaves in b.due when the one after is due; zero means that he is done.
func (s *storm) step(ctx context.Context, b *buyer) {
	switch b.next {
	case toAttempt:
		s.tryToBuy(ctx, b)
	case toJoin:
		s.standInLine(ctx, b)
	case toPay:
		s.tryToPay(ctx, b)
	case toCancel:
		s.tryToCancel(ctx, b)
	}
}

func (s *storm) tryToBuy(ctx context.Context, b *buyer) {
	if b.tries == 0 && !b.lined {
		s.arrive()
	}
	if b.tries == 0 && b.double {
		second := make(chan answer, 1)
		due := b.due
		go func() { second <- s.timed(ctx, b, due) }()
		first := s.timed(ctx, b, due)
		b.learn(<-second)
		s.bought(b, first)
		return
	}
	a := s.timed(ctx, b, b.due)
	if a.status == 401 && b.lined {
		b.next, b.entry, b.pass, b.due, b.tries = toJoin, "", "", s.cfg.Clock.Now(), 1 // too late: to the end of the line
		return
	}
	if a.status == 401 && b.pass != "" {
		b.pass, b.due = "", s.cfg.Clock.Now() // the pass has run out; the token may still be good
		b.tries++
		return
	}
	s.bought(b, a)
}

// arrive notes that another buyer has come.
func (s *storm) arrive() {
	s.meter.arrived.Add(1)
	s.meter.lastArrival.Store(int64(s.cfg.Clock.Now().Sub(s.start)))
}

// timed makes an attempt and times it from the moment it was due.
func (s *storm) timed(ctx context.Context, b *buyer, due time.Time) answer {
	a := s.attempt(ctx, b)
	s.meter.saw(kindOf(a.outcome, a.problem), s.cfg.Clock.Now().Sub(due))
	return a
}

// learn takes in an answer to an attempt or to a question about the key.
func (b *buyer) learn(a answer) {
	switch {
	case a.outcome == history.Ack:
		b.won, b.order, b.unsure, b.hungry = true, a.order, false, false
	case b.won:
	case a.outcome == history.Unknown:
		b.unsure = true
	default:
		b.lost = b.lost || history.Final(a.problem)
		b.hungry = !b.lost
	}
}

// bought decides what the answer to an attempt leads to.
func (s *storm) bought(b *buyer, a answer) {
	b.learn(a)
	switch {
	case b.won:
		s.follow(b)
	case b.lost, a.problem == "pass-used": // by an earlier visit of the same user
		b.due = time.Time{}
	case b.patient:
		b.tries++
		b.due = s.cfg.Clock.Now().Add(b.backoff(a.after))
	default:
		b.due = time.Time{}
	}
}

// follow has a winner do what he planned, after a moment's thought.
func (s *storm) follow(b *buyer) {
	s.meter.winners.Add(1)
	b.tries = 0
	b.due = s.cfg.Clock.Now().Add(time.Duration(b.rng.ExpFloat64() * float64(s.cfg.Think)))
	switch b.plan {
	case pays:
		b.next, b.payments, b.outcome = toPay, 1, draw(b.rng, s.outcomes, s.cfg.Outcomes)
	case cancels:
		b.next = toCancel
	default:
		s.meter.walked.Add(1)
		b.due = time.Time{}
	}
}

// tryToPay begins a payment. Who was made to fail pays again, properly.
func (s *storm) tryToPay(ctx context.Context, b *buyer) {
	a := s.pay(ctx, b)
	b.tries++
	again := a.status == 0 || a.status >= 500 || a.status == 429 || a.problem == "payment-in-progress"
	switch {
	case again && b.tries < 20:
		b.due = s.cfg.Clock.Now().Add(b.backoff(a.after))
	case a.status == 201 && b.outcome == "fail":
		b.payments++
		b.tries, b.outcome = 0, "capture"
		b.due = s.cfg.Clock.Now().Add(b.backoff(300 * time.Millisecond))
	default:
		if a.status == 200 || a.status == 201 {
			s.meter.paid.Add(1)
		}
		b.due = time.Time{}
	}
}

func (s *storm) tryToCancel(ctx context.Context, b *buyer) {
	a := s.cancel(ctx, b)
	b.tries++
	if (a.status == 0 || a.status >= 500 || a.status == 429) && b.tries < 20 {
		b.due = s.cfg.Clock.Now().Add(b.backoff(a.after))
		return
	}
	if a.status == 200 {
		s.meter.cancelled.Add(1)
	}
	b.due = time.Time{}
}
