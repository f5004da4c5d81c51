package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"penstock/bus/driver"
)

// Headers of a dead letter. They are written when the message dies, over whatever the message brought under these names;
// nothing ever reads them back.
const (
	HeaderReason    = "dead-letter-reason"
	HeaderTopic     = "original-topic"
	HeaderPartition = "original-partition"
	HeaderOffset    = "original-offset"
	HeaderFailedAt  = "failed-at"
	HeaderRetries   = "retry-count"
	HeaderError     = "error-message"
)

// Reasons of a dead letter, in [HeaderReason].
const (
	ReasonPoison    = "poison"
	ReasonExhausted = "retries-exhausted"
)

// maxError is the longest error text that is kept, in bytes.
const maxError = 1024

// retryDue retries the due heads of the parked queues, up to [passes] of them per user and not for long.
func (s *subscription) retryDue(soft, hard context.Context) error {
	began := s.bus.clock.Now()
	if !s.nextDue.After(began) {
		s.nextDue = time.Time{}
	}
	for n := 0; n < passes && s.bus.clock.Now().Sub(began) < retryFor; n++ {
		if soft.Err() != nil {
			return nil
		}
		tried, err := s.retryHeads(hard)
		if err != nil {
			return fmt.Errorf("retry parked messages: %w", err)
		}
		if !tried {
			return nil
		}
	}
	s.due(s.bus.clock.Now())
	return nil
}

// retryHeads handles the due head of each user as one wave, settles them together and reports whether there was any.
func (s *subscription) retryHeads(ctx context.Context) (tried bool, err error) {
	heads, err := s.bus.store.Parked(ctx, s.group, s.bus.clock.Now(), s.bus.opt.PollLimit)
	if err != nil {
		return false, err
	}
	reader := s.current()
	mine := heads[:0]
	var msgs []driver.Message
	for _, p := range heads {
		if p.Message.Topic == s.topic && reader.Owns(p.Message) {
			mine, msgs = append(mine, p), append(msgs, p.Message)
		}
	}
	if len(mine) == 0 {
		return false, nil
	}
	failures, err := s.handle(ctx, msgs)
	if err != nil {
		return false, err
	}
	if err := s.bus.fault.Hit(PointRetried); err != nil {
		return false, err
	}
	outcomes := make([]driver.Outcome, len(mine))
	for i, p := range mine {
		outcomes[i] = s.judge(p, failures[i])
	}
	if err := s.bus.store.Settle(ctx, s.group, outcomes); err != nil {
		return false, err
	}
	s.tally(mine, outcomes)
	return true, nil
}

// judge decides the fate of a parked message that was tried.
func (s *subscription) judge(p driver.Parked, cause error) driver.Outcome {
	if cause == nil {
		return driver.Outcome{Parked: p}
	}
	p = s.failed(p, cause)
	if errors.Is(cause, ErrPoison) || p.Tries > s.bus.opt.MaxRetries {
		return driver.Outcome{Parked: p, Dead: s.letter(p, cause)}
	}
	return driver.Outcome{Parked: p, Again: true}
}

// tally counts what was settled of the messages that were tried.
func (s *subscription) tally(tried []driver.Parked, settled []driver.Outcome) {
	var count Counts
	for i, o := range settled {
		if tried[i].Tries > 0 || tried[i].Error != "" || tried[i].Replays > 0 {
			count.Retried++
		}
		switch {
		case o.Again:
			s.due(o.Parked.Due)
		case o.Dead != nil:
			count.Dead++
		default:
			count.Processed++
		}
	}
	s.add(count)
	s.announce(settled)
}

// announce logs the dead letters that are now on record.
func (s *subscription) announce(settled []driver.Outcome) {
	for _, o := range settled {
		if l := o.Dead; l != nil {
			s.logger().Error("message became a dead letter", "message", l.Message.ID, "type", l.Message.Type, "key", l.Message.Key,
				"reason", l.Reason, "attempts", l.Attempts)
		}
	}
}

// failed returns p after one more failed try, with the time of the next.
func (s *subscription) failed(p driver.Parked, cause error) driver.Parked {
	wait := p.Tries + 1
	if errors.Is(cause, ErrUnavailable) && !errors.Is(cause, ErrPoison) {
		wait = max(wait, s.bus.opt.MaxRetries)
	} else {
		p.Tries++
	}
	p.Error = text(cause)
	p.Due = s.bus.clock.Now().Add(s.bus.delay(wait))
	return p
}

// letter makes the dead letter of p.
func (s *subscription) letter(p driver.Parked, cause error) *driver.DeadLetter {
	now := s.bus.clock.Now().UTC()
	reason := ReasonExhausted
	if errors.Is(cause, ErrPoison) {
		reason = ReasonPoison
	}
	m := p.Message
	m.Headers = maps.Clone(m.Headers)
	if m.Headers == nil {
		m.Headers = map[string]string{}
	}
	m.Headers[HeaderReason] = reason
	m.Headers[HeaderTopic] = m.Topic
	m.Headers[HeaderPartition] = strconv.Itoa(m.Partition)
	m.Headers[HeaderOffset] = strconv.FormatUint(m.Offset, 10)
	m.Headers[HeaderFailedAt] = now.Format(time.RFC3339Nano)
	m.Headers[HeaderRetries] = strconv.Itoa(max(p.Tries-1, 0))
	m.Headers[HeaderError] = text(cause)
	return &driver.DeadLetter{
		Group: s.group, Message: m, Reason: reason + ": " + text(cause), Attempts: p.Tries, FailedAt: now, Replays: p.Replays,
		State: driver.Dead,
	}
}

func text(err error) string {
	s := strings.ToValidUTF8(err.Error(), "\uFFFD")
	if len(s) > maxError {
		s = strings.ToValidUTF8(s[:maxError], "") + "…"
	}
	return s
}
