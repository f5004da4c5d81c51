package kafkabus

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"penstock/bus/driver"
)

// ladder tells from committed offsets how far an outbox has been dealt with. Each step says: everything up to seq lies before
// ends. It is made of what the broker acknowledged, never of what messages say about themselves, which may be forged.
type ladder struct{ steps []step }

type step struct {
	seq  uint64
	ends []int64 // per partition; only grows from step to step
}

// maxSteps bounds the memory of a ladder. Steps may be left out: the answer is then an earlier one.
const maxSteps = 1024

func (l *ladder) add(seq uint64, ends []int64) {
	if n := len(l.steps); n > 0 && slices.Equal(l.steps[n-1].ends, ends) {
		l.steps[n-1].seq = seq
		return
	}
	if len(l.steps) == maxSteps {
		half := l.steps[:0]
		for i := 1; i < maxSteps; i += 2 {
			half = append(half, l.steps[i])
		}
		l.steps = half
	}
	l.steps = append(l.steps, step{seq, slices.Clone(ends)})
}

// reached returns the highest seq up to which everything lies before the committed offsets; false when there is none.
func (l *ladder) reached(committed []int64) (seq uint64, ok bool) {
	for _, s := range l.steps {
		for p, end := range s.ends {
			if committed[p] < end {
				return seq, ok
			}
		}
		seq, ok = s.seq, true
	}
	return seq, ok
}

// forget drops the steps below seq, which every group has reached.
func (l *ladder) forget(seq uint64) {
	l.steps = slices.DeleteFunc(l.steps, func(s step) bool { return s.seq < seq })
}

// standing is how far a group is known to be, and the lease under which that is written.
type standing struct {
	lease driver.Lease
	held  bool
}

// listEvery is how often the broker is asked for groups that other processes have made.
const listEvery = 5 * time.Second

// tell writes how far each group has dealt with the source and tells the source the lowest of all. What cannot be learnt now
// is told later: too low is always right.
func (r *relay) tell(ctx context.Context) error {
	if err := r.list(ctx); err != nil {
		r.log.Info("groups not listed, trying later", "error", err)
	}
	lowest := ^uint64(0)
	for group, s := range r.groups {
		if err := r.follow(ctx, group, s); err != nil && ctx.Err() == nil {
			r.log.Info("progress of a group not known, trying later", "group", group, "error", err)
		}
		lowest = min(lowest, s.lease.Position)
	}
	if len(r.groups) == 0 {
		return nil
	}
	r.mu.Lock()
	r.steps.forget(lowest)
	r.mu.Unlock()
	low, err := r.d.cursors.Low(ctx, r.src.Name())
	if err == nil && low > r.told {
		if err = r.src.Sent(ctx, low); err == nil {
			r.told = low
		}
	}
	if err != nil && ctx.Err() == nil {
		r.log.Warn("outbox not told what was sent, telling it later", "error", err)
	}
	return nil
}

// list finds the groups of the topic: those of this process, and now and then those of others.
func (r *relay) list(ctx context.Context) error {
	found := r.d.local(r.topic)
	var err error
	if now := r.d.opt.Clock.Now(); now.Sub(r.listed) >= listEvery {
		r.listed = now
		var more []string
		more, err = r.d.remote(ctx, r.topic)
		found = append(found, more...)
	}
	for _, g := range found {
		if r.groups[g] != nil {
			continue
		}
		if enrolErr := r.d.cursors.Enrol(ctx, g, r.topic, []string{r.src.Name()}); enrolErr != nil {
			err = errors.Join(err, enrolErr)
			continue
		}
		r.groups[g] = &standing{}
	}
	return err
}

// follow writes how far a group is, if that has grown.
func (r *relay) follow(ctx context.Context, group string, s *standing) error {
	member, name := driver.Member{Group: group, Topic: r.topic, Owner: r.member.Owner}, r.src.Name()
	if !s.held {
		got, err := r.d.cursors.Take(ctx, member, []string{name}, r.d.opt.Lease)
		if err != nil {
			return err
		}
		if s.lease, s.held = got[name]; !s.held {
			return nil
		}
	}
	committed, err := r.d.committed(ctx, group, r.topic)
	if err != nil {
		return err
	}
	r.mu.Lock()
	seq, ok := r.steps.reached(committed)
	r.mu.Unlock()
	if !ok || seq <= s.lease.Position {
		return nil
	}
	return r.put(ctx, group, s, seq, r.d.opt.Lease)
}

func (r *relay) put(ctx context.Context, group string, s *standing, position uint64, term time.Duration) error {
	member := driver.Member{Group: group, Topic: r.topic, Owner: r.member.Owner}
	mark := driver.Mark{Source: r.src.Name(), Epoch: s.lease.Epoch, Position: position}
	_, err := r.d.cursors.Write(ctx, member, []driver.Mark{mark}, term)
	if err != nil {
		s.held = false // taken by another relay, or not known: take it again
		return err
	}
	s.lease.Position = position
	return nil
}

// local returns the groups that this process reads a topic with.
func (d *Driver) local(topic string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var groups []string
	for r := range d.readers {
		if r.topic == topic {
			groups = append(groups, r.group)
		}
	}
	return groups
}

// remote asks the broker for the groups of a topic.
func (d *Driver) remote(ctx context.Context, topic string) ([]string, error) {
	all, err := d.cluster.Admin().ListGroups(ctx)
	var groups []string
	for id := range all {
		g, ours := strings.CutPrefix(id, d.cluster.Name(""))
		g, of := strings.CutSuffix(g, "@"+topic)
		if ours && of && g != "" {
			groups = append(groups, g)
		}
	}
	return groups, err
}

// committed returns the offsets that a group has committed, by partition; 0 where it has none.
func (d *Driver) committed(ctx context.Context, group, topic string) ([]int64, error) {
	name := d.cluster.Name(topic)
	var all kadm.OffsetResponses
	err := patiently(ctx, func() (err error) {
		all, err = d.cluster.Admin().FetchOffsetsForTopics(ctx, d.group(group, topic), name)
		return err
	})
	if err != nil {
		return nil, err
	}
	offsets := make([]int64, d.opt.Partitions)
	for p, o := range all[name] {
		if o.Err != nil {
			return nil, o.Err
		}
		if int(p) < len(offsets) {
			offsets[p] = max(o.At, 0)
		}
	}
	return offsets, nil
}
