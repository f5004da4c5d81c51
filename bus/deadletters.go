package bus

import (
	"context"
	"encoding/json"
	"math"
	"strconv"
	"strings"

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
	maxReplays int
	audit      func(ctx context.Context, act Act) error
}

func newDeadLetters(store driver.DeadLetters, o Options) *DeadLetters {
	d := &DeadLetters{
		store: store, clock: o.Clock, maxReplays: o.MaxReplays, audit: o.Audit,
		limit: rate.NewLimiter(rate.Limit(o.ReplayRate), int(math.Ceil(o.ReplayRate))),
	}
	if d.audit == nil {
		d.audit = func(context.Context, Act) error { return nil }
	}
	return d
}

// List returns up to limit letters with an id above after, in order of id; settled ones only when all is true.
func (d *DeadLetters) List(ctx context.Context, after int64, limit int, all bool) ([]driver.DeadLetter, error) {
	if limit <= 0 {
		limit = defaultList
	}
	return d.store.List(ctx, after, min(limit, maxList), all)
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
	now := d.clock.Now()
	slot := d.limit.ReserveN(now, 1)
	if wait := slot.DelayFrom(now); wait > 0 {
		slot.CancelAt(now)
		e := errs.New(errs.QuotaExceeded, "too many replays at once; dead letter %d was not replayed", id)
		e.RetryAfter = wait
		return e
	}
	return d.act(ctx, l, driver.Replayed, Act{Who: who, Act: ActReplay, Why: reason}, func() error {
		return d.store.Replay(ctx, id, now)
	})
}

// Discard gives a letter up. The reason must say why: errs.Invalid without one, errs.NotFound, errs.Conflict when settled.
func (d *DeadLetters) Discard(ctx context.Context, who string, id int64, reason string) error {
	if strings.TrimSpace(reason) == "" {
		e := errs.New(errs.Invalid, "a dead letter is discarded only with a reason")
		e.Fields = []errs.Field{{Pointer: "/reason", Detail: "must not be empty"}}
		return e
	}
	l, err := d.open(ctx, id)
	if err != nil {
		return err
	}
	return d.act(ctx, l, driver.Discarded, Act{Who: who, Act: ActDiscard, Why: reason}, func() error {
		return d.store.Discard(ctx, id, reason, d.clock.Now())
	})
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
func (d *DeadLetters) act(ctx context.Context, l *driver.DeadLetter, next string, a Act, do func() error) error {
	a.Object = "dead-letter/" + strconv.FormatInt(l.ID, 10)
	a.Before = outline(l, l.State)
	a.After = outline(l, next)
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
