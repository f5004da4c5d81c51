package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"penstock/bus/driver"
	"penstock/errs"
)

// Bulk is one batch of the replay or the discard of many letters. Who wants more than a batch calls again with After and Upto of
// the answer until it says Done: stopping is not calling again, and a crash loses nothing.
type Bulk struct {
	// Filter chooses the letters; All in it is ignored, because only open letters can be settled.
	Filter driver.Filter
	Reason string
	// Rate is how many letters are replayed per second, at most and by default the bus's ReplayRate.
	Rate float64
	// After and Upto bound the ids: After < id ≤ Upto. An Upto of 0 means the highest id now, so that what dies again while the
	// others are replayed is not replayed in circles.
	After, Upto int64
	// Limit is the most letters of the batch; 0 means 500, which is also the most.
	Limit int
}

// Progress is what a batch did.
type Progress struct {
	// Settled is how many letters were replayed or discarded, Skipped which were not and why.
	Settled int
	Skipped []Skipped
	// After is the last id that the batch dealt with, Upto the last that the whole run will.
	After, Upto int64
	// Done says that no letter is left. Stopped says why the batch ended before its time, "" if it did not.
	Done    bool
	Stopped string
}

// Skipped is a letter that stayed as it is.
type Skipped struct {
	ID  int64
	Why string
}

// Bounds of a batch.
const (
	maxBulk = 500
	bulkFor = 5 * time.Second
)

// ReplayAll replays a batch of letters, at its rate; each is audited and guarded as by Replay. It takes about five seconds at
// most. It fails only with errs.Invalid, or when not a single letter was dealt with.
func (d *DeadLetters) ReplayAll(ctx context.Context, who string, b Bulk) (Progress, error) {
	if b.Rate < 0 || b.Rate > d.rate {
		return Progress{}, invalid("/rate", fmt.Sprintf("must be above 0 and at most %v", d.rate))
	}
	if b.Rate == 0 {
		b.Rate = d.rate
	}
	next := d.clock.Now()
	return d.bulk(ctx, b, func(id int64) error {
		wait := next.Sub(d.clock.Now())
		for {
			if err := d.pause(ctx, wait); err != nil {
				return err
			}
			err := d.Replay(ctx, who, id, b.Reason)
			if e, ok := errors.AsType[*errs.Error](err); ok && e.Code == errs.QuotaExceeded {
				wait = e.RetryAfter // others replay too
				continue
			}
			next = d.clock.Now().Add(time.Duration(float64(time.Second) / b.Rate))
			return err
		}
	})
}

// DiscardAll gives up a batch of letters; each is audited as by Discard.
func (d *DeadLetters) DiscardAll(ctx context.Context, who string, b Bulk) (Progress, error) {
	if err := wantReason(b.Reason); err != nil {
		return Progress{}, err
	}
	return d.bulk(ctx, b, func(id int64) error { return d.Discard(ctx, who, id, b.Reason) })
}

func (d *DeadLetters) bulk(ctx context.Context, b Bulk, settle func(id int64) error) (Progress, error) {
	p := Progress{After: b.After, Upto: b.Upto}
	if p.Upto == 0 {
		var err error
		if p.Upto, err = d.store.Last(ctx); err != nil {
			return p, err
		}
	}
	limit := b.Limit
	if limit <= 0 {
		limit = maxBulk
	}
	b.Filter.All = false
	page, err := d.store.List(ctx, b.Filter, p.After, min(limit, maxBulk)+1)
	if err != nil {
		return p, err
	}
	ends := d.clock.Now().Add(bulkFor)
	for i := range page {
		id := page[i].ID
		switch {
		case id > p.Upto:
			p.Done = true
			return p, nil
		case i == min(limit, maxBulk), i > 0 && !d.clock.Now().Before(ends):
			return p, nil
		}
		err := settle(id)
		switch code := errs.CodeOf(err); {
		case err == nil:
			p.Settled++
		case code == errs.Conflict, code == errs.NotFound:
			p.Skipped = append(p.Skipped, Skipped{id, err.Error()})
		case p.Settled == 0 && len(p.Skipped) == 0:
			return p, err
		default:
			p.Stopped = "dead letter " + strconv.FormatInt(id, 10) + ": " + string(code) + ": call again later"
			return p, nil
		}
		p.After = id
	}
	p.Done = true
	return p, nil
}

func (d *DeadLetters) pause(ctx context.Context, wait time.Duration) error {
	if wait <= 0 {
		return ctx.Err()
	}
	t := d.clock.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
