package driver

import (
	"context"
	"strings"
	"time"
)

// DeadLetters lists and settles dead letters.
type DeadLetters interface {
	// List returns up to limit dead letters with id > after that the filter lets through, in order of id.
	List(ctx context.Context, f Filter, after int64, limit int) ([]DeadLetter, error)
	// Get returns one dead letter, or nil.
	Get(ctx context.Context, id int64) (*DeadLetter, error)
	// Last returns the highest id in use, 0 when there is none.
	Last(ctx context.Context) (int64, error)
	// Replay puts the message back at the end of its user's parked queue with a fresh count of tries, and marks the letter.
	// Replay, Replace and Discard fail with errs.NotFound for an unknown id and with errs.Conflict for a letter that is settled.
	Replay(ctx context.Context, id int64, at time.Time) error
	// Replace puts another message, of the same topic and user, into the queue instead, and marks the letter as replayed, with
	// a note. The other message counts no replays.
	Replace(ctx context.Context, id int64, other Message, note string, at time.Time) error
	// Discard marks the letter as given up for the stated reason.
	Discard(ctx context.Context, id int64, reason string, at time.Time) error
}

// Copies is what a store offers to who copies letters to another place. A letter is untold from its writing on until it is told;
// settling it changes nothing about that. Safe for concurrent use.
type Copies interface {
	// Untold returns up to limit letters that were not told, in order of id. One with a lower id may appear later.
	Untold(ctx context.Context, limit int) ([]DeadLetter, error)
	// Told marks letters. It may be repeated.
	Told(ctx context.Context, ids []int64) error
	// CountUntold returns how many letters were not told.
	CountUntold(ctx context.Context) (int64, error)
}

// Filter chooses dead letters. What is empty lets everything through; the others must all hold.
type Filter struct {
	Group, Topic, User, Key, Type string
	// Reason is a part of the reason, compared as bytes.
	Reason string
	// From and To bound the time of failure: From ≤ FailedAt < To.
	From, To time.Time
	// All lets through discarded and replayed ones too.
	All bool
}

// Matches reports whether the filter lets a letter through.
func (f Filter) Matches(l *DeadLetter) bool {
	for _, p := range [][2]string{
		{f.Group, l.Group}, {f.Topic, l.Message.Topic}, {f.User, l.Message.User}, {f.Key, l.Message.Key}, {f.Type, l.Message.Type},
	} {
		if p[0] != "" && p[0] != p[1] {
			return false
		}
	}
	switch {
	case !f.All && l.State != Dead, !strings.Contains(l.Reason, f.Reason):
		return false
	case !f.From.IsZero() && l.FailedAt.Before(f.From), !f.To.IsZero() && !l.FailedAt.Before(f.To):
		return false
	}
	return true
}

// DeadLetter is a message that failed for good, with its full origin.
type DeadLetter struct {
	ID       int64
	Group    string
	Message  Message
	Reason   string
	Attempts int
	FailedAt time.Time
	Replays  int
	// State is Dead, Replayed or Discarded; Note is why it was discarded, or what it was replaced by.
	State string
	Note  string
}

// States of a dead letter. A replayed message that dies again becomes a new letter.
const (
	Dead      = "dead"
	Replayed  = "replayed"
	Discarded = "discarded"
)
