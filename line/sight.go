package line

import (
	"time"

	"penstock/errs"
	"penstock/sale"
	"penstock/stock/driver"
)

// sight is what a line sees of its sale at one moment.
type sight struct {
	rules           Rules
	doc             *driver.Sale
	now             time.Time
	available, held int64
	// out is the units that passes not used yet may take, taken those and the ones that the stock rows may not show yet; waiting who stands in front of a new entry; units what one buyer takes.
	out     float64
	taken   float64
	waiting int
	units   float64
	// over is why the line takes nobody any more; closed that it takes nobody for now.
	over error
	// collecting is true while the pot of a draw is open: then everybody may come.
	collecting bool
}

// sight looks at the sale. b.mu is held.
func (l *Lines) sight(b *book, now time.Time) sight {
	s := sight{rules: l.opt.Rules, now: now, doc: l.sales.Sale(b.sale), units: b.units, waiting: b.count[waiting], collecting: b.draws && b.pot < 0 && now.UnixMilli() < b.closed}
	if s.doc == nil {
		s.over = errs.New(errs.NotFound, "there is no sale %q", b.sale)
		return s
	}
	s.rules = l.opt.Rules.of(s.doc)
	if level := l.sales.Level(b.sale, b.sku); level != nil {
		s.available, s.held = level.Available, level.Held
	}
	s.out, s.taken = b.outstanding(), b.outstanding()
	if l.store.Shared() { // alone the rows are those of the last commit
		s.taken += b.unseen(l.sales.AsOf())
	}
	switch {
	case sale.Ended(s.doc, now):
		s.over = errs.New(errs.SaleClosed, "the sale has ended")
	case s.doc.SoldOut || s.available+s.held <= 0:
		s.available, s.held = 0, 0
	}
	return s
}

// open says whether the sale admits at all now, or will soon enough to call the first.
func (s sight) open() bool {
	return s.over == nil && !s.doc.Paused && !s.doc.SoldOut && !s.now.Before(s.doc.StartsAt.Add(-prepare))
}

// prepare is how long before the opening the first are called, so that they have their passes when it comes.
const prepare = 30 * time.Second

// reaches says whether the stock reaches an entry that has so many ahead.
func (s sight) reaches(ahead int) Reach {
	before := float64(ahead)*s.units + s.taken
	switch {
	case s.over != nil || s.available+s.held <= 0:
		return Gone
	case before+s.units <= float64(s.available) || before < 1 && s.available > 0:
		return InReach
	case before-s.taken+s.out < s.rules.Reach*float64(s.available+s.held): // a win moves units from available to held
		return Unlikely
	}
	return Gone
}

// refuses says why a new entry is not taken, behind so many that came in the same batch.
func (s sight) refuses(joining int) error {
	switch {
	case s.over != nil:
		return s.over
	case s.collecting || s.reaches(s.waiting+joining) != Gone:
		return nil
	}
	e := errs.New(errs.LineClosed, "the stock does not reach a new entry; the line opens again when units come back")
	e.RetryAfter = reopening
	e.Extra = map[string]any{"left": s.available + s.held, "ahead": s.waiting + joining}
	return e
}

// reopening is when it is worth asking again whether a line is open.
const reopening = 10 * time.Second

// budget is how many more may be called, by the units that are free.
func (s sight) budget() int {
	free := (float64(s.available) - s.taken) / max(s.units, 1)
	if s.available > 0 && s.taken < 1 {
		free = max(free, 1)
	}
	return max(int(free), 0)
}

// expiry is when a pass ends that is collected now: its time begins with the sale.
func (s sight) expiry(now time.Time) time.Time {
	from := now
	if s.doc.StartsAt.After(from) {
		from = s.doc.StartsAt
	}
	end := from.Add(s.rules.Pass)
	if end.After(s.doc.EndsAt) {
		end = s.doc.EndsAt
	}
	return end
}
