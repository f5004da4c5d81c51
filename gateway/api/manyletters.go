package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	messages "penstock/bus"
	bus "penstock/bus/driver"
	"penstock/errs"
)

// LetterFilter chooses dead letters. What is left out lets all through; the others must all hold.
type LetterFilter struct {
	Group  string     `json:"group,omitempty" maxLength:"128"`
	Topic  string     `json:"topic,omitempty" maxLength:"128"`
	User   string     `json:"user,omitempty" maxLength:"255"`
	Key    string     `json:"key,omitempty" maxLength:"255"`
	Type   string     `json:"type,omitempty" maxLength:"255"`
	Reason string     `json:"reason,omitempty" maxLength:"500" doc:"a part of the reason, as it is written"`
	From   *time.Time `json:"from,omitempty" doc:"failed at this time or later"`
	To     *time.Time `json:"to,omitempty" doc:"failed before this time"`
}

func (f *LetterFilter) filter() bus.Filter {
	out := bus.Filter{Group: f.Group, Topic: f.Topic, User: f.User, Key: f.Key, Type: f.Type, Reason: f.Reason}
	if f.From != nil {
		out.From = *f.From
	}
	if f.To != nil {
		out.To = *f.To
	}
	return out
}

// LetterQuery is the same filter in a query.
type LetterQuery struct {
	Group  string    `query:"group" maxLength:"128"`
	Topic  string    `query:"topic" maxLength:"128"`
	User   string    `query:"user" maxLength:"255"`
	Key    string    `query:"key" maxLength:"255"`
	Type   string    `query:"type" maxLength:"255"`
	Reason string    `query:"reason" maxLength:"500" doc:"a part of the reason, as it is written"`
	From   time.Time `query:"from" doc:"failed at this time or later"`
	To     time.Time `query:"to" doc:"failed before this time"`
	All    bool      `query:"all" doc:"also those replayed and discarded"`
}

func (q *LetterQuery) filter() bus.Filter {
	return bus.Filter{
		Group: q.Group, Topic: q.Topic, User: q.User, Key: q.Key, Type: q.Type, Reason: q.Reason, From: q.From, To: q.To, All: q.All,
	}
}

// ManyLetters is what to do with many dead letters: one batch of it.
type ManyLetters struct {
	Filter *LetterFilter `json:"filter,omitempty"`
	All    bool          `json:"all,omitempty" doc:"must be true when there is no filter"`
	Rate   float64       `json:"rate,omitempty" minimum:"0" doc:"replays per second, at most and by default what the server allows"`
	Reason string        `json:"reason,omitempty" maxLength:"500"`
	Limit  int           `json:"limit,omitempty" minimum:"0" maximum:"500" doc:"the most letters of this batch"`
	Cursor string        `json:"cursor,omitempty" maxLength:"64" doc:"next of the batch before"`
}

// ManySettled is what a batch did. As long as next is not empty, call again with it as the cursor.
type ManySettled struct {
	Settled int             `json:"settled" doc:"how many were replayed or discarded"`
	Skipped []SkippedLetter `json:"skipped" nullable:"false" doc:"which stayed as they are"`
	At      string          `json:"at" doc:"the last letter dealt with"`
	Upto    string          `json:"upto" doc:"the last letter that the whole run will deal with"`
	Next    string          `json:"next"`
	Stopped string          `json:"stopped,omitempty" doc:"why the batch ended before its time"`
}

// SkippedLetter is a letter that stayed as it is.
type SkippedLetter struct {
	ID  string `json:"id"`
	Why string `json:"why"`
}

// EditLetter is a new message in place of a dead one.
type EditLetter struct {
	Payload json.RawMessage `json:"payload" doc:"the new payload"`
	Type    string          `json:"type,omitempty" maxLength:"255" doc:"instead of the message's type"`
	Version string          `json:"version,omitempty" maxLength:"9" doc:"instead of the message's header version"`
	Reason  string          `json:"reason" minLength:"1" maxLength:"500"`
}

// EditedLetter is what became of it.
type EditedLetter struct {
	MessageID string     `json:"messageId" doc:"the id of the new message"`
	Letter    DeadLetter `json:"letter"`
}

func (s *surface) manyLetterCalls() {
	register(s, operator("replay-dead-letters", http.MethodPost, "/dead-letters/replay", "Send many dead letters round again, a batch at a time"), s.many(func(ctx context.Context, b messages.Bulk) (messages.Progress, error) {
		return s.d.DeadLetters.ReplayAll(ctx, acting(ctx), b)
	}))
	register(s, operator("discard-dead-letters", http.MethodPost, "/dead-letters/discard", "Give many dead letters up, a batch at a time"), s.many(func(ctx context.Context, b messages.Bulk) (messages.Progress, error) {
		return s.d.DeadLetters.DiscardAll(ctx, acting(ctx), b)
	}))
	register(s, operator("edit-dead-letter", http.MethodPost, "/dead-letters/{letter}/edit", "Send a new message in place of a dead one"), s.editLetter)
}

type manyInput struct{ Body ManyLetters }

type manyOutput struct{ Body ManySettled }

func (s *surface) many(do func(context.Context, messages.Bulk) (messages.Progress, error)) func(context.Context, *manyInput) (*manyOutput, error) {
	return func(ctx context.Context, in *manyInput) (*manyOutput, error) {
		b := messages.Bulk{Reason: in.Body.Reason, Rate: in.Body.Rate, Limit: in.Body.Limit}
		if f := in.Body.Filter; f != nil {
			b.Filter = f.filter()
		}
		if b.Filter == (bus.Filter{}) && !in.Body.All {
			e := errs.New(errs.Invalid, "a filter is missing; all of them are settled only with \"all\": true")
			e.Fields = []errs.Field{{Pointer: "/filter", Detail: "must choose something, or all must be true"}}
			return nil, e
		}
		var err error
		if b.After, b.Upto, err = readRun(in.Body.Cursor); err != nil {
			return nil, err
		}
		p, err := do(ctx, b)
		if err != nil {
			return nil, err
		}
		return &manyOutput{wireProgress(p)}, nil
	}
}

func wireProgress(p messages.Progress) ManySettled {
	out := ManySettled{
		Settled: p.Settled, Skipped: make([]SkippedLetter, len(p.Skipped)), At: strconv.FormatInt(p.After, 10),
		Upto: strconv.FormatInt(p.Upto, 10), Stopped: p.Stopped,
	}
	for i, k := range p.Skipped {
		out.Skipped[i] = SkippedLetter{strconv.FormatInt(k.ID, 10), k.Why}
	}
	if !p.Done {
		out.Next = out.At + "-" + out.Upto
	}
	return out
}

// readRun reads the cursor of a run: how far it has got and how far it will go.
func readRun(cursor string) (after, upto int64, err error) {
	if cursor == "" {
		return 0, 0, nil
	}
	a, u, _ := strings.Cut(cursor, "-")
	after, errA := strconv.ParseInt(a, 10, 64)
	upto, errU := strconv.ParseInt(u, 10, 64)
	if errA != nil || errU != nil || after < 0 || upto < 1 {
		e := errs.New(errs.Invalid, "the request does not follow the schema")
		e.Fields = []errs.Field{{Pointer: "/cursor", Detail: "not a cursor of this call"}}
		return 0, 0, e
	}
	return after, upto, nil
}

func (s *surface) editLetter(ctx context.Context, in *struct {
	LetterPath
	Body EditLetter
}) (*struct{ Body EditedLetter }, error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	m, err := s.d.DeadLetters.Edit(ctx, acting(ctx), id, messages.Edit{
		Payload: in.Body.Payload, Type: in.Body.Type, Version: in.Body.Version, Reason: in.Body.Reason,
	})
	if err != nil {
		return nil, err
	}
	l, err := s.letter(ctx, id)
	if err != nil {
		return nil, err
	}
	return &struct{ Body EditedLetter }{EditedLetter{m.ID, l.Body}}, nil
}
