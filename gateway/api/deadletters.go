package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	bus "penstock/bus/driver"
	"penstock/errs"
	"penstock/internal/ident"
)

// DeadLetter is a message that failed for good, with its full origin.
type DeadLetter struct {
	ID        string            `json:"id"`
	Group     string            `json:"group"`
	Topic     string            `json:"topic"`
	Partition int               `json:"partition"`
	Offset    string            `json:"offset"`
	MessageID string            `json:"messageId"`
	Type      string            `json:"type"`
	User      string            `json:"user"`
	Key       string            `json:"key"`
	Reason    string            `json:"reason"`
	Attempts  int               `json:"attempts"`
	FailedAt  time.Time         `json:"failedAt"`
	Headers   map[string]string `json:"headers"`
	Payload   any               `json:"payload" doc:"JSON if it is JSON, else the text, else base64"`
	Replays   int               `json:"replays"`
	State     string            `json:"state" enum:"dead,replayed,discarded"`
	Note      string            `json:"note,omitempty"`
}

func wireDeadLetter(d bus.DeadLetter) DeadLetter {
	m := d.Message
	out := DeadLetter{
		ID: strconv.FormatInt(d.ID, 10), Group: d.Group, Topic: m.Topic, Partition: m.Partition, Offset: strconv.FormatUint(m.Offset, 10),
		MessageID: m.ID, Type: m.Type, User: m.User, Key: m.Key, Reason: d.Reason, Attempts: d.Attempts, FailedAt: moment(d.FailedAt),
		Headers: m.Headers, Replays: d.Replays, State: d.State, Note: d.Note,
	}
	if out.Headers == nil {
		out.Headers = map[string]string{}
	}
	switch {
	case json.Valid(m.Payload):
		out.Payload = json.RawMessage(m.Payload)
	case utf8.Valid(m.Payload):
		out.Payload = string(m.Payload)
	default:
		out.Payload = base64.StdEncoding.EncodeToString(m.Payload)
	}
	return out
}

// LetterPath names a dead letter.
type LetterPath struct {
	Letter string `path:"letter"`
}

// id reads the letter's id; whatever is no id is answered like one that does not exist.
func (in *LetterPath) id() (int64, error) {
	id, err := ident.Parse(in.Letter)
	if err != nil {
		return 0, errs.Wrap(errs.NotFound, err, "no such dead letter")
	}
	return int64(id), nil
}

type settleInput struct {
	LetterPath
	Body *Reason
}

type letterOutput struct{ Body DeadLetter }

func (s *surface) deadLetterCalls() {
	register(s, operator("list-dead-letters", http.MethodGet, "/dead-letters", "List dead letters, oldest first"), s.listLetters)
	register(s, operator("get-dead-letter", http.MethodGet, "/dead-letters/{letter}", "Look at a dead letter"), s.getLetter)
	register(s, operator("replay-dead-letter", http.MethodPost, "/dead-letters/{letter}/replay", "Send a dead letter round again"), s.settle(func(ctx context.Context, id int64, reason string) error {
		return s.d.DeadLetters.Replay(ctx, acting(ctx), id, reason)
	}))
	register(s, operator("discard-dead-letter", http.MethodPost, "/dead-letters/{letter}/discard", "Give a dead letter up"), s.settle(func(ctx context.Context, id int64, reason string) error {
		return s.d.DeadLetters.Discard(ctx, acting(ctx), id, reason)
	}))
	s.manyLetterCalls()
}

func (s *surface) listLetters(ctx context.Context, in *struct {
	PageQuery
	LetterQuery
}) (*listOf[DeadLetter], error) {
	after, err := afterCursor(in.Cursor)
	if err != nil {
		return nil, err
	}
	letters, err := s.d.DeadLetters.List(ctx, in.filter(), int64(after), in.Limit)
	if err != nil {
		return nil, err
	}
	out := &listOf[DeadLetter]{Page[DeadLetter]{Items: each(letters, wireDeadLetter)}}
	if n := len(letters); n > 0 && n == in.Limit {
		out.Body.Next = strconv.FormatInt(letters[n-1].ID, 10)
	}
	return out, nil
}

// afterCursor reads the cursor of a list that is numbered.
func afterCursor(cursor string) (uint64, error) {
	if cursor == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(cursor, 10, 63)
	if err != nil {
		e := errs.New(errs.Invalid, "the request does not follow the schema")
		e.Fields = []errs.Field{{Detail: "query cursor: not a cursor of this list"}}
		return 0, e
	}
	return n, nil
}

func (s *surface) getLetter(ctx context.Context, in *LetterPath) (*letterOutput, error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	return s.letter(ctx, id)
}

func (s *surface) letter(ctx context.Context, id int64) (*letterOutput, error) {
	d, err := s.d.DeadLetters.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if d == nil {
		return nil, errs.New(errs.NotFound, "no such dead letter")
	}
	return &letterOutput{wireDeadLetter(*d)}, nil
}

// settle is a call that does something about a letter and answers with what has become of it.
func (s *surface) settle(act func(ctx context.Context, id int64, reason string) error) func(context.Context, *settleInput) (*letterOutput, error) {
	return func(ctx context.Context, in *settleInput) (*letterOutput, error) {
		id, err := in.id()
		if err != nil {
			return nil, err
		}
		if _, err := s.letter(ctx, id); err != nil {
			return nil, err
		}
		if err := act(ctx, id, in.Body.text()); err != nil {
			return nil, err
		}
		return s.letter(ctx, id)
	}
}

func (r *Reason) text() string {
	if r == nil {
		return ""
	}
	return r.Reason
}
