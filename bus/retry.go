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

// retryDue retries the due heads of the parked queues, up to [passes] of them per user.
func (s *subscription) retryDue(soft, hard context.Context) error {
	if now := s.bus.clock.Now(); !s.nextDue.After(now) {
		s.nextDue = time.Time{}
	}
	for range passes {
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

// retryHeads handles the due head of each user as one wave and reports whether there was any.
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
	for i, p := range mine {
		if err := s.bus.fault.Hit(PointRetried); err != nil {
			return false, err
		}
		if err := s.settle(ctx, p, failures[i]); err != nil {
			return false, err
		}
	}
	return true, nil
}

// settle records the fate of a parked message that was tried.
func (s *subscription) settle(ctx context.Context, p driver.Parked, cause error) error {
	count := Counts{}
	if p.Tries > 0 || p.Replays > 0 {
		count.Retried = 1
	}
	if cause == nil {
		if err := s.bus.store.Done(ctx, s.group, p, nil); err != nil {
			return err
		}
		count.Processed = 1
		s.add(count)
		return nil
	}
	p = s.failed(p, cause)
	if errors.Is(cause, ErrPoison) || p.Tries > s.bus.opt.MaxRetries {
		if err := s.bury(ctx, p, cause); err != nil {
			return err
		}
		count.Dead = 1
		s.add(count)
		return nil
	}
	if err := s.bus.store.Retry(ctx, s.group, p); err != nil {
		return err
	}
	s.due(p.Due)
	s.add(count)
	return nil
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
	s.logger().Warn("message failed", "message", p.Message.ID, "type", p.Message.Type, "key", p.Message.Key,
		"tries", p.Tries, "error", p.Error)
	return p
}

// bury makes p a dead letter. A p with Seq 0 was never parked.
func (s *subscription) bury(ctx context.Context, p driver.Parked, cause error) error {
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
	letter := &driver.DeadLetter{
		Group: s.group, Message: m, Reason: reason + ": " + text(cause), Attempts: p.Tries, FailedAt: now, Replays: p.Replays,
		State: driver.Dead,
	}
	if err := s.bus.store.Done(ctx, s.group, p, letter); err != nil {
		return fmt.Errorf("bury message %s: %w", m.ID, err)
	}
	s.logger().Error("message became a dead letter", "message", m.ID, "type", m.Type, "key", m.Key, "reason", reason,
		"attempts", p.Tries, "error", text(cause))
	return nil
}

func text(err error) string {
	s := strings.ToValidUTF8(err.Error(), "\uFFFD")
	if len(s) > maxError {
		s = strings.ToValidUTF8(s[:maxError], "") + "…"
	}
	return s
}
