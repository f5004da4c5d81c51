package outboxbus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"penstock/bus/driver"
)

// lane is one source as a reader sees it.
//
//	0 ……… stored ……… clear ……… end
//	      in the file  │        └ what a commit of the batch in flight makes clear
//	                   └ everything up to here is committed or carried no message
type lane struct {
	src    Source
	epoch  int64
	stored uint64
	end    uint64
	held   atomic.Bool
	clear  atomic.Uint64
}

func (l *lane) mark(position uint64) driver.Mark {
	return driver.Mark{Source: l.src.Name(), Epoch: l.epoch, Position: position}
}

type reader struct {
	d     *Driver
	self  driver.Member
	news  chan struct{}
	lanes []*lane

	batch   []driver.Message // in flight
	from    []*lane          // from[i] is the lane of batch[i]
	renewed time.Time
	first   int // the lane that the next batch begins with
	closed  bool
}

var (
	_ driver.Reader  = (*reader)(nil)
	_ driver.Strayer = (*reader)(nil)
)

func (r *reader) lane(source string) *lane {
	for _, l := range r.lanes {
		if l.src.Name() == source {
			return l
		}
	}
	return nil
}

func (r *reader) holding() []*lane {
	var held []*lane
	for i := range r.lanes {
		if l := r.lanes[(r.first+i)%len(r.lanes)]; l.held.Load() {
			held = append(held, l)
		}
	}
	return held
}

// Poll implements [driver.Reader].
func (r *reader) Poll(ctx context.Context, limit int) ([]driver.Message, error) {
	if r.closed {
		return nil, ErrClosed
	}
	msgs, err := r.poll(ctx, limit)
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return msgs, err
}

func (r *reader) poll(ctx context.Context, limit int) ([]driver.Message, error) {
	idle := r.d.opt.Clock.NewTimer(r.d.opt.Idle)
	defer idle.Stop()
	for woken := byNews; ; {
		if woken != byTick {
			if err := r.keep(ctx); err != nil {
				return nil, err
			}
		}
		if len(r.batch) > 0 {
			r.shorten(limit)
			return slices.Clone(r.batch), nil
		}
		progress, err := r.gather(ctx, limit)
		if len(r.batch) > 0 {
			r.first++
			return slices.Clone(r.batch), nil
		}
		if err != nil {
			return nil, err
		}
		if progress {
			woken = byNews
			continue
		}
		if woken, err = r.wait(ctx, idle.C()); err != nil {
			return nil, err
		}
		if woken == byIdle {
			return nil, r.save(ctx, r.unsaved())
		}
	}
}

// waking is why a wait ended.
type waking int

const (
	byNews waking = iota
	byTick        // time to look at the sources, which is too often to look after the leases as well
	byIdle
)

// wait returns when it may be worth reading again.
func (r *reader) wait(ctx context.Context, idle <-chan time.Time) (waking, error) {
	var tick <-chan time.Time
	if r.d.opt.Poll > 0 && len(r.holding()) > 0 {
		t := r.d.opt.Clock.NewTimer(r.d.opt.Poll)
		defer t.Stop()
		tick = t.C()
	}
	select {
	case <-ctx.Done():
		return byNews, ctx.Err()
	case <-r.d.done:
		return byNews, ErrClosed
	case <-r.news:
		return byNews, nil
	case <-tick:
		return byTick, nil
	case <-idle:
		return byIdle, nil
	}
}

// rounds bounds how often a lane is read for one batch, so that a stretch of entries with few messages neither makes tiny
// batches nor holds back the messages that were found.
const rounds = 8

// gather reads a batch of up to limit messages, in equal shares from the held lanes. progress is true when it got further,
// be it without finding a message. A source that fails does not keep the others from being read.
func (r *reader) gather(ctx context.Context, limit int) (progress bool, err error) {
	active := r.holding()
	for round := 0; round < rounds && len(r.batch) < limit && len(active) > 0; round++ {
		share := max(1, (limit-len(r.batch))/len(active))
		var more []*lane
		for _, l := range active {
			n := min(share, limit-len(r.batch))
			if n == 0 {
				break
			}
			before := l.end
			if readErr := r.read(ctx, l, n); readErr != nil {
				err = errors.Join(err, fmt.Errorf("read %s: %w", l.src.Name(), readErr))
			} else if l.end > before {
				more = append(more, l)
			}
		}
		progress = progress || len(more) > 0
		active = more
	}
	for _, l := range r.lanes {
		if l.held.Load() && !slices.Contains(r.from, l) {
			l.clear.Store(l.end)
		}
	}
	return progress, err
}

// read appends up to n messages of a lane to the batch.
func (r *reader) read(ctx context.Context, l *lane, n int) error {
	msgs, scanned, err := l.src.Read(ctx, l.end, n)
	if err != nil {
		return err
	}
	last := l.end
	for _, m := range msgs {
		if m.Offset <= last {
			return fmt.Errorf("offset %d after %d: the source is out of order", m.Offset, last)
		}
		last = m.Offset
	}
	if len(msgs) > n || scanned < last {
		return fmt.Errorf("%d messages up to %d, said to be scanned up to %d, where %d were asked for", len(msgs), last, scanned, n)
	}
	for _, m := range msgs {
		r.batch, r.from = append(r.batch, r.label(l, m)), append(r.from, l)
	}
	l.end = scanned
	return nil
}

// label fills in what only the driver knows.
func (r *reader) label(l *lane, m driver.Message) driver.Message {
	name := l.src.Name()
	if m.ID == "" {
		m.ID = name + "/" + strconv.FormatUint(m.Offset, 10)
	}
	m.Topic = r.self.Topic
	m.Partition = r.d.Partition(r.self.Topic, m.User)
	headers := make(map[string]string, len(m.Headers)+1)
	maps.Copy(headers, m.Headers)
	headers[HeaderOutbox] = name
	m.Headers = headers
	return m
}

// shorten cuts the batch in flight to limit; the rest will be read again.
func (r *reader) shorten(limit int) {
	if len(r.batch) <= limit {
		return
	}
	r.batch, r.from = r.batch[:limit], r.from[:limit]
	for _, l := range r.lanes {
		l.end = l.clear.Load()
	}
	for i, l := range r.from {
		l.end = r.batch[i].Offset
	}
}

// Commit implements [driver.Reader].
func (r *reader) Commit(ctx context.Context) error {
	if r.closed {
		return ErrClosed
	}
	if len(r.batch) == 0 {
		return nil
	}
	var marks []driver.Mark
	for _, l := range r.holding() {
		if l.end > l.stored {
			marks = append(marks, l.mark(l.end))
		}
	}
	if err := r.put(ctx, marks); err != nil {
		return err
	}
	for _, m := range marks {
		r.lane(m.Source).clear.Store(m.Position)
	}
	r.batch, r.from = nil, nil
	return nil
}

// Owns reports whether this member holds the source of a message. A source that is no more belongs to whoever holds any. After
// a pause longer than the lease nothing is held for sure, until it is renewed.
func (r *reader) Owns(m driver.Message) bool {
	if r.d.opt.Clock.Now().Sub(r.renewed) >= r.d.opt.Lease {
		return false
	}
	if l := r.lane(m.Headers[HeaderOutbox]); l != nil {
		return l.held.Load()
	}
	return len(r.holding()) > 0
}

// Lag counts numbers, not messages, so it may be more than the messages left; it is 0 only when none is left.
func (r *reader) Lag(ctx context.Context) (lag int64, err error) {
	err = r.each(ctx, func(at, head uint64) { lag += int64(head - min(at, head)) })
	return lag, err
}

// Beyond implements [driver.Strayer].
func (r *reader) Beyond(ctx context.Context) (numbers int64, err error) {
	err = r.each(ctx, func(at, head uint64) { numbers += int64(at - min(at, head)) })
	return numbers, err
}

// each tells where the group stands in each source and, looked at later, where that ends.
func (r *reader) each(ctx context.Context, f func(at, head uint64)) error {
	for _, l := range r.lanes {
		at := l.clear.Load()
		if !l.held.Load() {
			var err error
			if at, err = r.d.cursors.Position(ctx, r.self.Group, r.self.Topic, l.src.Name()); err != nil {
				return err
			}
		}
		head, err := l.src.Head(ctx)
		if err != nil {
			return fmt.Errorf("head of %s: %w", l.src.Name(), err)
		}
		f(at, head)
	}
	return nil
}
