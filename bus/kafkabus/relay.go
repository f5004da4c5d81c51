package kafkabus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"penstock/bus/driver"
	"penstock/internal/clock"
)

// relay sends the outbox of one source to its topic, while it holds the lease on the source.
//
//	stand by ──lease──► lead: pump │ renew │ tell ──any fails, or stop──► give up the lease ──pause──► stand by
type relay struct {
	d      *Driver
	topic  string
	src    Source
	member driver.Member
	log    *slog.Logger

	mu    sync.Mutex // guards what follows, and orders writes of the cursor
	lease driver.Lease
	steps ladder

	groups map[string]*standing // of the tell goroutine
	told   uint64
	listed time.Time
}

func newRelay(d *Driver, topic string, src Source) *relay {
	return &relay{
		d: d, topic: topic, src: src, member: driver.Member{Group: RelayGroup, Topic: topic, Owner: d.owner()},
		log: d.opt.Logger.With("topic", topic, "source", src.Name()),
	}
}

// Pauses after a failure: doubled from first to most, less a random half. standBy is between two looks at another's lease.
const (
	pauseFirst = 100 * time.Millisecond
	pauseMost  = 5 * time.Second
	standBy    = time.Second
)

// run leads and stands by until ctx ends.
func (r *relay) run(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; {
		held, err := r.take(ctx)
		switch {
		case err == nil && !held:
			failures = 0
			r.pause(ctx, min(r.d.opt.Lease/4, standBy))
			continue
		case err == nil:
			began := r.d.opt.Clock.Now()
			err = r.lead(ctx)
			r.release()
			if r.d.opt.Clock.Now().Sub(began) > r.d.opt.Timeout {
				failures = 0
			}
		}
		if ctx.Err() != nil {
			return
		}
		failures++
		r.log.Warn("relay failed, beginning again at what is acknowledged", "error", err, "failures", failures)
		wait := min(pauseFirst<<min(failures-1, 10), pauseMost)
		r.pause(ctx, wait-rand.N(wait/2))
	}
}

func (r *relay) pause(ctx context.Context, d time.Duration) { pause(ctx, r.d.opt.Clock, d) }

func pause(ctx context.Context, c clock.Clock, d time.Duration) {
	t := c.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
	case <-ctx.Done():
	}
}

// take tries to get the lease.
func (r *relay) take(ctx context.Context) (held bool, err error) {
	name := r.src.Name()
	if err := r.d.cursors.Enrol(ctx, RelayGroup, r.topic, []string{name}); err != nil {
		return false, fmt.Errorf("enrol the relay: %w", err)
	}
	free, err := r.d.cursors.Free(ctx, r.member)
	if err != nil {
		return false, fmt.Errorf("look for the lease of the relay: %w", err)
	}
	for _, s := range free {
		if s != name {
			continue
		}
		got, err := r.d.cursors.Take(ctx, r.member, []string{name}, r.d.opt.Lease)
		if err != nil {
			return false, fmt.Errorf("take the lease of the relay: %w", err)
		}
		r.lease, held = got[name]
		return held, nil
	}
	return false, nil
}

// lead relays until something fails, the lease is lost or ctx ends. It never returns nil.
func (r *relay) lead(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, r.d.opt.Timeout)
	defer cancel()
	ends, err := r.d.ends(asking, r.topic)
	if err != nil {
		return err
	}
	r.steps, r.groups, r.listed = ladder{}, map[string]*standing{}, time.Time{}
	r.steps.add(r.lease.Position, ends)
	p, err := newPump(r, ends)
	if err != nil {
		return err
	}
	defer p.client.Close()
	r.log.Info("relaying", "after", r.lease.Position)
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return p.run(ctx) })
	all.Go(func() error { return r.every(ctx, r.d.opt.Lease/4, r.renew) })
	all.Go(func() error { return r.every(ctx, r.d.opt.Sent, r.tell) })
	return all.Wait()
}

// every does something again and again until it fails.
func (r *relay) every(ctx context.Context, d time.Duration, do func(context.Context) error) error {
	for {
		r.pause(ctx, d)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := do(ctx); err != nil {
			return err
		}
	}
}

// advance says that the topic has everything up to position, with the last of it before ends.
func (r *relay) advance(ctx context.Context, position uint64, ends []int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.write(ctx, position, r.d.opt.Lease); err != nil {
		return err
	}
	r.steps.add(position, ends)
	return nil
}

func (r *relay) renew(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.write(ctx, r.lease.Position, r.d.opt.Lease)
}

func (r *relay) write(ctx context.Context, position uint64, term time.Duration) error {
	mark := driver.Mark{Source: r.src.Name(), Epoch: r.lease.Epoch, Position: position}
	if _, err := r.d.cursors.Write(ctx, r.member, []driver.Mark{mark}, term); err != nil {
		return fmt.Errorf("write the position of the relay: %w", err)
	}
	r.lease.Position = position
	return nil
}

// releaseWithin bounds the giving up of a lease.
const releaseWithin = 5 * time.Second

// release gives up the lease and those on the cursors of groups, so that another process need not wait for their end.
func (r *relay) release() {
	ctx, cancel := context.WithTimeout(context.Background(), releaseWithin)
	defer cancel()
	for group, s := range r.groups {
		if !s.held {
			continue
		}
		if err := r.put(ctx, group, s, s.lease.Position, 0); err != nil && !errors.Is(err, driver.ErrLeaseLost) {
			r.log.Info("lease on the cursor of a group not given up", "group", group, "error", err)
		}
	}
	r.groups = nil
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.write(ctx, r.lease.Position, 0); err != nil && !errors.Is(err, driver.ErrLeaseLost) {
		r.log.Warn("lease of the relay not given up", "error", err)
	}
}
