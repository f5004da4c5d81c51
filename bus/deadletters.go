package bus

import (
	"context"
	"encoding/json"
	"math"
	"strconv"

	"golang.org/x/time/rate"

	"penstock/bus/driver"
	"penstock/errs"
	"penstock/internal/clock"
)

// Acts of the audit trail. With "-failed" behind them they follow an act that the store did not carry out.
const (
	ActReplay  = "dead-letter.replay"
	ActDiscard = "dead-letter.discard"
	notDone    = "-failed"
)

// Most letters of one List, and how many a limit of 0 means.
const (
	maxList     = 1000
	defaultList = 100
)

// DeadLetters lists dead letters and carries out what operators decide about them. Safe for concurrent use.
type DeadLetters struct {
	store      driver.DeadLetters
	clock      clock.Clock
	limit      *rate.Limiter
	rate       float64
	maxReplays int
	contracts  map[string]Contract
	audit      func(ctx context.Context, act Act) error
}

func newDeadLetters(store driver.DeadLetters, o Options) *DeadLetters {
	d := &DeadLetters{
		store: store, clock: o.Clock, maxReplays: o.MaxReplays, audit: o.Audit, rate: o.ReplayRate, contracts: o.Contracts,
		limit: rate.NewLimiter(rate.Limit(o.ReplayRate), int(math.Ceil(o.ReplayRate))),
	}
	if d.audit == nil {
		d.audit = func(context.Context, Act) error { return nil }
	}
	return d
}

// List returns up to limit letters with an id above after that the filter lets through, in order of id.
func (d *DeadLetters) List(ctx context.Context, f driver.Filter, after int64, limit int) ([]driver.DeadLetter, error) {
	if limit <= 0 {
		limit = defaultList
	}
	return d.store.List(ctx, f, after, min(limit, maxList))
}

// Get returns a letter; errs.NotFound when there is none with this id.
func (d *DeadLetters) Get(ctx context.Context, id int64) (*driver.DeadLetter, error) {
	l, err := d.store.Get(ctx, id)
	if err == nil && l == nil {
		err = errs.New(errs.NotFound, "no dead letter %d", id)
	}
	return l, err
}

// Replay puts the message of a letter back at the end of its user's parked queue, with a fresh count of tries. It fails with
// errs.NotFound, with errs.Conflict when the letter is settled or came back too often, and with errs.QuotaExceeded above the
// rate of replays.
func (d *DeadLetters) Replay(ctx context.Context, who string, id int64, reason string) error {
	l, err := d.open(ctx, id)
	if err != nil {
		return err
	}
	if l.Replays >= d.maxReplays {
		return errs.New(errs.Conflict, "dead letter %d was replayed %d times and failed each time; "+
			"mend its cause, then discard it and send a new message", id, l.Replays)
	}
	if err := d.take(id); err != nil {
		return err
	}
	a := Act{Who: who, Act: ActReplay, Why: reason, Before: outline(l, l.State), After: outline(l, driver.Replayed)}
	return d.act(ctx, l, a, func() error { return d.store.Replay(ctx, id, d.clock.Now()) })
}

// take takes a place in the rate of replays.
func (d *DeadLetters) take(id int64) error {
	now := d.clock.Now()
	slot := d.limit.ReserveN(now, 1)
	wait := slot.DelayFrom(now)
	if wait <= 0 {
		return nil
	}
	slot.CancelAt(now)
	e := errs.New(errs.QuotaExceeded, "too many replays at once; dead letter %d was not replayed", id)
	e.RetryAfter = wait
	return e
}

// Discard gives a letter up. The reason must say why: errs.Invalid without one, errs.NotFound, errs.Conflict when settled.
func (d *DeadLetters) Discard(ctx context.Context, who string, id int64, reason string) error {
	if err := wantReason(reason); err != nil {
		return err
	}
	l, err := d.open(ctx, id)
	if err != nil {
		return err
	}
	a := Act{Who: who, Act: ActDiscard, Why: reason, Before: outline(l, l.State), After: outline(l, driver.Discarded)}
	return d.act(ctx, l, a, func() error { return d.store.Discard(ctx, id, reason, d.clock.Now()) })
}

// open returns the letter if it is still to be settled.
func (d *DeadLetters) open(ctx context.Context, id int64) (*driver.DeadLetter, error) {
	l, err := d.Get(ctx, id)
	if err == nil && l.State != driver.Dead {
		err = errs.New(errs.Conflict, "dead letter %d is %s already", id, l.State)
	}
	return l, err
}

// act records what will be done, does it, and records the failure if it failed: the trail may name an act that did not
// happen, and says so; it never lacks one that did.
func (d *DeadLetters) act(ctx context.Context, l *driver.DeadLetter, a Act, do func() error) error {
	a.Object = "dead-letter/" + strconv.FormatInt(l.ID, 10)
	if err := d.audit(ctx, a); err != nil {
		return errs.Wrap(errs.ReducedCapacity, err, "the act could not be recorded and was not done")
	}
	err := do()
	if err == nil {
		return nil
	}
	a.Act += notDone
	a.After = a.Before
	if code := errs.CodeOf(err); code == errs.Internal {
		a.After = ""
	}
	if trailErr := d.audit(ctx, a); trailErr != nil {
		return errs.Wrap(errs.CodeOf(err), err, "the act failed, and that could not be recorded")
	}
	return err
}

func outline(l *driver.DeadLetter, state string) string {
	b, err := json.Marshal(struct {
		Group   string `json:"group"`
		Topic   string `json:"topic"`
		Message string `json:"message"`
		State   string `json:"state"`
		Replays int    `json:"replays"`
	}{l.Group, l.Message.Topic, l.Message.ID, state, l.Replays})
	if err != nil {
		return ""
	}
	return string(b)
}
