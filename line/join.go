package line

import (
	"context"
	"strings"
	"time"

	"penstock/auth"
	"penstock/errs"
	"penstock/stock/driver"
)

// Request is what a user joins with.
type Request struct {
	Sale, User string
	// SKU may be left out where the sale has one.
	SKU string
	// Challenge and Nonce are the proof, where the sale asks for one.
	Challenge, Nonce string
}

// Join returns the user's live entry, or makes one at the end of the line. Errors: not-found, no-line, invalid-request for another
// SKU, forbidden for an app, proof-required, line-closed, sale-closed; reduced-capacity and unknown-outcome from the store.
func (l *Lines) Join(ctx context.Context, r Request) (Entry, error) {
	if strings.HasPrefix(r.User, auth.AppPrefix) {
		return Entry{}, errs.New(errs.Forbidden, "lines and draws are for people; an app cannot stand in one")
	}
	doc, err := l.admits(r.Sale)
	if err != nil {
		return Entry{}, err
	}
	if r.SKU, err = oneOf(doc, r.SKU); err != nil {
		return Entry{}, err
	}
	b, err := l.ensure(ctx, doc, r.SKU)
	if err != nil {
		return Entry{}, err
	}
	last, live := b.lastOf(r.User)
	if live {
		e, err := l.Look(ctx, r.Sale, r.User, ID{b.id, last})
		e.Again = true
		return e, err
	}
	o := &op{user: r.User, after: -1}
	if bits := l.opt.Rules.of(doc).ProofBits; bits > 0 {
		if o.after, err = l.proved(r, last, bits); err != nil {
			return Entry{}, err
		}
	}
	if err := l.submit(ctx, b, o); err != nil {
		if err == errStale {
			return Entry{}, l.challenge(r, last, l.opt.Rules.of(doc).ProofBits)
		}
		if errs.Is(err, errs.LineClosed) {
			l.opt.Observer.Refused.add(1)
		}
		return Entry{}, err
	}
	e, err := l.Look(ctx, r.Sale, r.User, ID{b.id, o.seqOut})
	e.Again = !o.fresh
	return e, err
}

// oneOf returns the SKU that is meant.
func oneOf(doc *driver.Sale, sku string) (string, error) {
	if sku == "" && len(doc.Items) == 1 {
		return doc.Items[0].SKU, nil
	}
	for _, it := range doc.Items {
		if it.SKU == sku {
			return sku, nil
		}
	}
	e := errs.New(errs.Invalid, "say what to stand in line for")
	e.Fields = []errs.Field{{Pointer: "/sku", Detail: "must be a SKU of the sale"}}
	return "", e
}

// lastOf returns the user's last entry, 0 for none, and whether it is live.
func (b *book) lastOf(user string) (seq uint64, live bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	seq = b.users[user]
	return seq, seq > 0 && b.entries[seq-1].state.live()
}

// Look returns an entry of the user, who is there as long as he looks. An entry that was called gets its pass. Any other user's
// entry is not-found.
func (l *Lines) Look(ctx context.Context, saleID, user string, id ID) (Entry, error) {
	b, e, err := l.seen(saleID, user, id)
	if err != nil {
		return Entry{}, err
	}
	switch e.state {
	case called:
		err = l.submit(ctx, b, &op{seq: id.Seq, to: passed, from: bit(called)})
	case away:
		err = l.submit(ctx, b, &op{seq: id.Seq, to: waiting, from: bit(away)})
	}
	if err != nil {
		return Entry{}, err
	}
	return l.entry(b, id.Seq)
}

// Leave ends a live entry of the user, for good, and returns it as it is then: one that has ended stays as it ended. Any other
// user's entry is not-found; the store's errors are reduced-capacity and unknown-outcome, after which leaving again is safe.
func (l *Lines) Leave(ctx context.Context, saleID, user string, id ID) (Entry, error) {
	b, _, err := l.seen(saleID, user, id)
	if err != nil {
		return Entry{}, err
	}
	if err := l.submit(ctx, b, &op{seq: id.Seq, to: left, from: bit(waiting, away, called, passed)}); err != nil {
		return Entry{}, err
	}
	return l.entry(b, id.Seq)
}

// seen notes that the user is there.
func (l *Lines) seen(saleID, user string, id ID) (*book, entry, error) {
	none := errs.New(errs.NotFound, "there is no such entry")
	b := l.of(id)
	if b == nil || b.sale != saleID {
		return nil, entry{}, none
	}
	now := l.opt.Clock.Now().UnixMilli()
	b.mu.Lock()
	defer b.mu.Unlock()
	if id.Seq == 0 || int(id.Seq) > len(b.entries) || b.entries[id.Seq-1].user != user {
		return nil, entry{}, none
	}
	e := &b.entries[id.Seq-1]
	e.seen, e.here = now, now
	return b, *e, nil
}

// entry tells an entry.
func (l *Lines) entry(b *book, seq uint64) (Entry, error) {
	now := l.opt.Clock.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	e := &b.entries[seq-1]
	out := Entry{ID: ID{b.id, seq}, Sale: b.sale, SKU: b.sku, State: e.state.String(), JoinedAt: time.UnixMilli(e.joined).UTC(), Wait: -1, Error: -1}
	s := l.sight(b, now)
	if b.draws {
		out.Entrant, out.Salt = b.entrant(e.user)
	}
	if int(seq) <= len(b.place) && int(b.place[seq-1]) < b.drawn {
		out.Drawn = int(b.place[seq-1]) + 1
	}
	switch e.state {
	case waiting, away, called:
		out.State = waiting.String()
		l.wait(&out, b, s)
	case passed:
		if s.over != nil || now.UnixMilli() >= e.expires {
			out.State = expired.String()
			break
		}
		out.Reach, out.Wait, out.Error, out.Expires = s.holds(), 0, 0, time.UnixMilli(e.expires).UTC()
		pass, err := l.sign.MintAdmission(auth.Grant{User: e.user, Sale: b.sale, SKU: b.sku, Number: out.ID.Number(), Expires: out.Expires}, now)
		if err != nil {
			return out, err
		}
		out.Pass = pass
	}
	out.Poll = l.poll(&out, s)
	return out, nil
}

// wait tells who waits where he stands.
func (l *Lines) wait(out *Entry, b *book, s sight) {
	state := b.drawState()
	if s.over != nil {
		out.State, out.Reach = expired.String(), Gone
		return
	}
	if state != "" && b.place == nil && (b.pot < 0 || int64(out.ID.Seq) <= b.pot) {
		out.State, out.Reach = "pot", Unlikely
		if s.available+s.held <= 0 {
			out.Reach = Gone
		} else if all := float64(max(len(b.entries), 1)) * s.units; all <= float64(s.available) {
			out.Reach = InReach
		}
		return
	}
	ahead := b.ahead.before(b.placeOf(out.ID.Seq))
	out.Position, out.Reach = ahead+1, s.reaches(ahead)
	if out.Reach == InReach || out.Reach == Unlikely && s.budget() > 0 { // without a free unit it depends on who pays
		out.Wait, out.Error = b.flow.estimate(s.now, s.doc.StartsAt, ahead, s.planned())
	}
}

// planned is how fast the head will move before anybody has seen it move.
func (s sight) planned() float64 { return float64(s.rules.Rate) }

// holds says whether there is a unit for one who has a pass.
func (s sight) holds() Reach {
	switch {
	case s.available > 0:
		return InReach
	case s.held > 0:
		return Unlikely
	}
	return Gone
}

// poll is when to look again: soon when the turn is near, and often enough to be seen. 0 is never: the entry has ended.
func (l *Lines) poll(e *Entry, s sight) time.Duration {
	most := max(s.rules.Away/3, time.Second)
	if e.Ended() {
		return 0
	}
	if e.State != waiting.String() || e.Wait < 0 {
		return most
	}
	return min(max(e.Wait/10, time.Second), most)
}
