package line

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"penstock/errs"
	"penstock/line/draw"
	"penstock/stock/driver"
)

// Lines is the room.
type Lines struct {
	store Store
	sales Sales
	sign  Signer
	opt   Options
	node  string

	mu    sync.RWMutex
	lines map[string]map[string]*book // by sale, by SKU
	byID  map[int64]*book

	background sync.WaitGroup
	stop       context.CancelFunc
	once       sync.Once
	heard      atomic.Int64 // when the last look at what others did began, in Unix nanoseconds
	looks      watch        // wakes those who wait for one
	wanted     chan struct{}
	latency    atomic.Int64 // mean time of a decision in this process, in nanoseconds
}

// New returns the room over its store. Start must be called before it is used.
func New(s Store, sales Sales, sign Signer, o Options) (*Lines, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	return &Lines{
		store: s, sales: sales, sign: sign, opt: o, node: strings.ToLower(rand.Text()[:12]),
		lines: map[string]map[string]*book{}, byID: map[int64]*book{}, wanted: make(chan struct{}, 1),
	}, nil
}

// forgotten is how long after the end of a sale its lines are still in memory; one that was read again, for a page of an operator or a
// draw that is verified late, stays until nobody has asked for it for idle.
const (
	forgotten = 24 * time.Hour
	idle      = 10 * time.Minute
)

// Start reads the lines and begins to call and to look at what others do.
func (l *Lines) Start(ctx context.Context) error {
	if err := l.load(ctx); err != nil {
		return fmt.Errorf("read the lines: %w", err)
	}
	ctx, l.stop = context.WithCancel(context.WithoutCancel(ctx))
	l.loop(ctx, l.opt.Tick, nil, l.round)
	if l.store.Shared() {
		l.loop(ctx, l.opt.Look, l.wanted, l.follow)
	}
	return nil
}

// Stop ends the background work and waits for the batches that run. Idempotent.
func (l *Lines) Stop() {
	if l.stop == nil {
		return
	}
	l.stop()
	l.background.Wait()
	l.once.Do(func() { l.resign(context.Background()) })
}

// loop calls f every so often, and sooner when it is wanted, though not twice within a gap.
func (l *Lines) loop(ctx context.Context, every time.Duration, wanted <-chan struct{}, f func(context.Context) error) {
	l.background.Go(func() {
		failing := false
		for l.pause(ctx, min(every, gap), nil) && l.pause(ctx, max(every-gap, 0), wanted) {
			err := f(ctx)
			if err != nil && !failing && ctx.Err() == nil {
				l.opt.Logger.Warn("lines", "error", err.Error())
			}
			failing = err != nil
		}
	})
}

// pause waits for a while or until it is wanted; false means that the room stops.
func (l *Lines) pause(ctx context.Context, d time.Duration, wanted <-chan struct{}) bool {
	if d == 0 {
		return true
	}
	t := l.opt.Clock.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
	case <-wanted:
	case <-ctx.Done():
		return false
	}
	return true
}

// load reads the lines of sales that have not ended long ago.
func (l *Lines) load(ctx context.Context) error {
	var all []header
	q := reading{ctx, l.store}
	err := each(q, func(r rows) error {
		var h header
		err := h.scan(r)
		all = append(all, h)
		return err
	}, headers+` ORDER BY id`)
	if err != nil {
		return err
	}
	for i := range all {
		doc := l.sales.Sale(all[i].sale)
		if doc == nil || l.over(doc) || l.line(all[i].sale, all[i].sku) != nil {
			continue
		}
		if _, err := l.adopt(q, all[i]); err != nil {
			return err
		}
	}
	return nil
}

// over says whether the lines of a sale need not be in memory any more.
func (l *Lines) over(doc *driver.Sale) bool {
	return l.opt.Clock.Now().After(doc.EndsAt.Add(forgotten))
}

// forget drops the lines of sales that ended long ago. Entries of theirs are not found any more, as after a restart; all else reads the
// line again. Whoever has a book in hand asked for it less than idle ago, so that no line is ever decided over two books.
func (l *Lines) forget() {
	now := l.opt.Clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, b := range l.byID {
		doc := l.sales.Sale(b.sale)
		if doc == nil || !l.over(doc) || now.Sub(time.Unix(0, b.asks.Load())) < idle || !b.resting() {
			continue
		}
		delete(l.byID, id)
		if delete(l.lines[b.sale], b.sku); len(l.lines[b.sale]) == 0 {
			delete(l.lines, b.sale)
		}
		b.waiters.wake()
	}
}

// read reads the book of a line. Everybody counts as seen now: nobody was away because we were.
func read(q querier, h header, now time.Time) (*book, error) {
	b := newBook(h.id, h.sale, h.sku)
	b.draws, b.secret, b.salt, b.source, b.closed = h.draws, h.secret, h.salt, h.source, h.closed
	w, err := b.fetch(q)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.take(w, now)
	b.flow, b.spent = flow{}, nil // what happened before says nothing about now
	for i := range b.entries {
		b.entries[i].seen, b.entries[i].since = now.UnixMilli(), now.UnixMilli()
	}
	return b, nil
}

// adopt reads a line and keeps it.
func (l *Lines) adopt(q querier, h header) (*book, error) {
	b, err := read(q, h, l.opt.Clock.Now())
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if had := l.lines[h.sale][h.sku]; had != nil {
		l.want(had)
		return had, nil
	}
	l.want(b)
	if l.lines[h.sale] == nil {
		l.lines[h.sale] = map[string]*book{}
	}
	l.lines[h.sale][h.sku], l.byID[h.id] = b, b
	return b, nil
}

func (l *Lines) line(sale, sku string) *book {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.want(l.lines[sale][sku])
}

func (l *Lines) of(id ID) *book {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.want(l.byID[id.Line])
}

// want notes that a book is asked for; nil is none. mu is held, so that it is not dropped meanwhile.
func (l *Lines) want(b *book) *book {
	if b != nil {
		b.asks.Store(l.opt.Clock.Now().UnixNano())
	}
	return b
}

func (l *Lines) books() []*book {
	l.mu.RLock()
	defer l.mu.RUnlock()
	all := make([]*book, 0, len(l.byID))
	for _, b := range l.byID {
		all = append(all, b)
	}
	return all
}

// ensure returns the line of a sale's SKU, which it makes if need be.
func (l *Lines) ensure(ctx context.Context, doc *driver.Sale, sku string) (*book, error) {
	if b := l.line(doc.ID, sku); b != nil {
		return b, nil
	}
	var d *drawing
	if doc.Admission == driver.AdmitDraw {
		d = &drawing{closing(doc), source(doc)}
	}
	if err := l.makeLine(ctx, doc.ID, sku, d); err != nil {
		return nil, err
	}
	q := reading{ctx, l.store}
	var h header
	if err := each(q, func(r rows) error { return h.scan(r) }, headers+` WHERE sale=? AND sku=?`, doc.ID, sku); err != nil {
		return nil, err
	}
	return l.adopt(q, h)
}

// admits returns a sale that admits by a line or a draw.
func (l *Lines) admits(id string) (*driver.Sale, error) {
	doc := l.sales.Sale(id)
	if doc == nil {
		return nil, errs.New(errs.NotFound, "there is no sale %q", id)
	}
	if !admits(doc) {
		return nil, errs.New(errs.NoLine, "the sale admits everybody; attempt without a pass")
	}
	return doc, nil
}

func admits(doc *driver.Sale) bool {
	return doc.Admission == driver.AdmitLine || doc.Admission == driver.AdmitDraw
}

// Decided tells how long an attempt took in this process.
func (l *Lines) Decided(took time.Duration) {
	was := l.latency.Load()
	l.latency.Store(was + (int64(took)-was)/16) // a lost update costs nothing
}

// Used tells that the pass of an entry has bound an attempt for so many units, 0 if it won none.
func (l *Lines) Used(number uint64, units int64) {
	id := idOf(number)
	if b := l.of(id); b != nil {
		l.post(b, &op{seq: id.Seq, to: used, from: bit(waiting, away, called, passed, expired), units: units})
	}
}

// Left says whether the pass of an entry was given back: its user has left, as far as this process knows.
func (l *Lines) Left(number uint64) bool { return l.is(number, bit(left)) }

// Out says whether a pass counts as not used yet, as far as this process knows.
func (l *Lines) Out(number uint64) bool { return l.is(number, bit(called, passed)) }

func (l *Lines) is(number uint64, states uint8) bool {
	id := idOf(number)
	b := l.of(id)
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return id.Seq > 0 && int(id.Seq) <= len(b.entries) && bit(b.entries[id.Seq-1].state)&states != 0
}

// Draws returns what may be published of a sale's draws now, in the order of its items. Errors: not-found, and no-line where the
// sale has no draw.
func (l *Lines) Draws(ctx context.Context, saleID string) (draw.Documents, error) {
	doc, err := l.admits(saleID)
	if err != nil {
		return draw.Documents{}, err
	}
	if doc.Admission != driver.AdmitDraw {
		return draw.Documents{}, errs.New(errs.NoLine, "the sale admits in order of arrival; there is no draw")
	}
	all := draw.Documents{Draws: []draw.Document{}}
	for _, it := range doc.Items {
		b, err := l.ensure(ctx, doc, it.SKU)
		if err != nil {
			return all, err
		}
		b.mu.Lock()
		all.Draws = append(all.Draws, b.published())
		b.mu.Unlock()
	}
	return all, nil
}

// Standing returns the lines of a sale as operators see them, in the order of its items. Errors: not-found, and no-line where the
// sale admits everybody.
func (l *Lines) Standing(ctx context.Context, saleID string) ([]Line, error) {
	doc, err := l.admits(saleID)
	if err != nil {
		return nil, err
	}
	var all []Line
	for _, it := range doc.Items {
		b, err := l.ensure(ctx, doc, it.SKU)
		if err != nil {
			return nil, err
		}
		all = append(all, l.told(b, doc))
	}
	return all, nil
}

func (l *Lines) told(b *book, doc *driver.Sale) Line {
	now := l.opt.Clock.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	s := l.sight(b, now)
	out := Line{
		Sale: b.sale, SKU: b.sku, Admission: doc.Admission, Waiting: b.count[waiting], Away: b.count[away], Called: b.count[called], Admitted: b.count[passed],
		Used: b.count[used], Expired: b.count[expired], Left: b.count[left], Total: len(b.entries), Open: s.refuses(0) == nil, Draw: b.drawState(),
	}
	out.Rate = b.pace.shown()
	out.Pace, _ = b.flow.pace(now)
	out.Wait, _ = b.flow.estimate(now, doc.StartsAt, b.count[waiting], s.planned())
	return out
}

// Sum is what all lines hold together.
type Sum struct{ Waiting, Out int }

// Sum counts over all lines in memory.
func (l *Lines) Sum() (s Sum) {
	for _, b := range l.books() {
		b.mu.Lock()
		s.Waiting += b.count[waiting]
		s.Out += b.count[called] + b.count[passed]
		b.mu.Unlock()
	}
	return s
}
