package webhook

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"
)

// trip is how many failures in a row make an endpoint rest; from then on it gets one try at a time until one succeeds.
const trip = 5

// Rests of an endpoint that fails: they double from the first to the longest.
const (
	firstRest   = 5 * time.Second
	longestRest = 5 * time.Minute
)

// runner works one endpoint, in one goroutine and one for each delivery in flight.
type runner struct {
	h    *Hooks
	id   string
	wake chan struct{}

	// Of the loop alone:
	row     row
	secrets []secret
	renewed time.Time
	free    time.Time // when the rate lets the next delivery begin
	silent  bool      // that the secrets cannot be read was said

	wg       sync.WaitGroup
	mu       sync.Mutex
	inFlight map[int64]bool
}

func newRunner(h *Hooks, r row) *runner {
	return &runner{h: h, id: r.ID, wake: make(chan struct{}, 1), renewed: h.o.Clock.Now(), inFlight: map[int64]bool{}}
}

func (r *runner) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

var errNotOurs = errors.New("the endpoint is disabled, deleted or worked by another process")

// run works until soft ends or the endpoint is ours no more. hard is the context of deliveries in flight.
func (r *runner) run(soft, hard context.Context) {
	hard, lost := context.WithCancel(hard)
	defer lost()
	for soft.Err() == nil {
		wait, err := r.round(soft, hard)
		if errors.Is(err, errNotOurs) {
			break
		}
		if err != nil && soft.Err() == nil {
			if r.h.db.Shared() && r.h.o.Clock.Now().Sub(r.renewed) > r.h.o.Term*2/3 {
				lost() // another may begin soon
				break
			}
			r.h.o.Logger.Warn("the webhook queue cannot be read", "endpoint", r.id, "error", err.Error())
		}
		r.h.pause(soft, wait, r.wake)
	}
	r.wg.Wait()
	r.release()
}

// release lets others have the endpoint at once.
func (r *runner) release() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := r.h.db.Do(ctx, slot(r.id), func(tx txn) error {
		_, err := tx.Exec(`UPDATE webhook_endpoints SET owner='', beat=beat+1 WHERE id=? AND owner=?`, r.id, r.h.me)
		return err
	})
	if err != nil {
		r.h.o.Logger.Warn("a webhook endpoint was not given up", "endpoint", r.id, "error", err.Error())
	}
	r.h.mu.Lock()
	delete(r.h.runners, r.id)
	r.h.mu.Unlock()
}

// round begins what is due and returns how long to wait for the next look.
func (r *runner) round(soft, hard context.Context) (time.Duration, error) {
	look := r.h.o.Look
	busy := r.busy()
	if err := r.refresh(soft); err != nil {
		return look, err
	}
	now := r.h.o.Clock.Now()
	room := r.room()
	if r.secrets == nil || room <= 0 || now.Before(r.row.PausedUntil) {
		return look, nil
	}
	due, err := r.due(soft, now, busy, room)
	if err != nil {
		return look, err
	}
	for _, d := range due {
		if now.Before(r.free) {
			return min(look, r.free.Sub(now)), nil
		}
		r.free = now.Add(time.Second / time.Duration(r.row.Rate))
		r.begin(hard, d)
	}
	return look, nil
}

// refresh reads the endpoint, and shows a sign of life in time.
func (r *runner) refresh(ctx context.Context) error {
	now := r.h.o.Clock.Now()
	if r.h.db.Shared() && now.Sub(r.renewed) >= r.h.o.Term/3 {
		var n int64
		err := r.h.db.Do(ctx, slot(r.id), func(tx txn) (err error) {
			n, err = tx.Exec(`UPDATE webhook_endpoints SET beat=beat+1 WHERE id=? AND owner=?`, r.id, r.h.me)
			return err
		})
		if err != nil {
			return err
		}
		if n == 0 {
			return errNotOurs
		}
		r.renewed = now
	}
	row, err := scanEndpoint(r.h.committed(ctx, `SELECT `+endpointColumns+` FROM webhook_endpoints WHERE id=?`, r.id))
	if errors.Is(err, sql.ErrNoRows) || err == nil && (!row.Enabled || row.owner != r.h.me) {
		return errNotOurs
	}
	if err != nil {
		return err
	}
	r.row = row
	r.unseal(now)
	return nil
}

// unseal reads the secrets. Without them nothing is sent and no try is lost.
func (r *runner) unseal(now time.Time) {
	all, err := r.h.seal.open(r.id, r.row.sealed, now)
	if err == nil {
		r.secrets, err = parse(all)
	}
	if err == nil {
		r.silent = false
		return
	}
	r.secrets = nil
	if !r.silent {
		r.silent = true
		r.h.o.Logger.Error("a webhook endpoint rests", "endpoint", r.id, "error", err.Error())
	}
}

// room is how many more deliveries may begin.
func (r *runner) room() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.row.failures >= trip {
		return 1 - len(r.inFlight)
	}
	return r.row.Concurrency - len(r.inFlight)
}

// busy notes what is in flight. That comes before the endpoint and its deliveries are read: one that ends meanwhile may be due in
// what is read, of an endpoint that it has disabled, and must not be made again.
func (r *runner) busy() map[int64]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.inFlight)
}

// due returns up to n deliveries that are due and not busy.
func (r *runner) due(ctx context.Context, now time.Time, busy map[int64]bool, n int) ([]Delivery, error) {
	rows, err := r.h.db.Query(ctx, `SELECT `+deliveryColumns+` FROM webhook_deliveries WHERE endpoint=? AND state=1 AND next_at<=?
		ORDER BY next_at, seq LIMIT ?`, r.id, now.UnixMilli(), maxConcurrency+n)
	all, err := collect(rows, err, scanDelivery)
	if err != nil {
		return nil, fmt.Errorf("read due deliveries: %w", err)
	}
	var out []Delivery
	for _, d := range all {
		if !busy[d.Seq] && len(out) < n {
			out = append(out, d)
		}
	}
	return out, nil
}

// begin makes a delivery beside the loop.
func (r *runner) begin(ctx context.Context, d Delivery) {
	r.mu.Lock()
	r.inFlight[d.Seq] = true
	r.mu.Unlock()
	ep, secrets := r.row, r.secrets
	r.wg.Go(func() {
		r.h.try(ctx, &ep, secrets, &d)
		r.mu.Lock()
		delete(r.inFlight, d.Seq)
		r.mu.Unlock()
		r.nudge()
	})
}
