package api

import (
	"context"
	"encoding/json"
	"net/http"

	"penstock/errs"
	"penstock/gateway"
	"penstock/saga/barrier"
	"penstock/saga/participant"
)

// ParticipantCall is a call about one branch, as penstock/saga/remote makes it.
type ParticipantCall struct {
	Transaction string          `json:"transaction" minLength:"1" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$"`
	Branch      string          `json:"branch" minLength:"1" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$"`
	Op          barrier.Op      `json:"op,omitempty" enum:"try,confirm,cancel" doc:"if given, that of the path"`
	Payload     json.RawMessage `json:"payload"`
}

type participantOutput struct {
	Body struct {
		State string `json:"state" enum:"done"`
	}
}

type participantInput struct {
	Participant string `path:"participant" maxLength:"64"`
	Body        ParticipantCall
}

// participantCalls serves what of this Penstock takes part in transactions that others coordinate.
func (s *surface) participantCalls() {
	for _, c := range []struct {
		op      barrier.Op
		summary string
	}{{barrier.Try, "Reserve a branch"}, {barrier.Confirm, "Take what a branch reserved"}, {barrier.Cancel, "Give back what a branch reserved"}} {
		register(s, operator(string(c.op)+"-branch", http.MethodPost, "/participants/{participant}/"+string(c.op), c.summary),
			func(ctx context.Context, in *participantInput) (*participantOutput, error) {
				return s.takePart(ctx, c.op, in)
			})
	}
}

func (s *surface) takePart(ctx context.Context, op barrier.Op, in *participantInput) (*participantOutput, error) {
	p := s.d.Participants[in.Participant]
	if p == nil {
		return nil, errs.New(errs.NotFound, "no such participant")
	}
	if in.Body.Op != "" && in.Body.Op != op {
		return nil, errs.New(errs.Invalid, "the body is about %s, the path about %s", in.Body.Op, op)
	}
	b := participant.Branch{Transaction: in.Body.Transaction, Name: in.Body.Branch, Payload: in.Body.Payload, Trace: gateway.FromContext(ctx).Trace}
	var err error
	switch op {
	case barrier.Try:
		err = p.Try(ctx, b)
	case barrier.Confirm:
		err = p.Confirm(ctx, b)
	default:
		err = p.Cancel(ctx, b)
	}
	if err != nil {
		return nil, told(err)
	}
	out := &participantOutput{}
	out.Body.State = "done"
	return out, nil
}

// told keeps 409 for a definite no: to the coordinator it means nothing else.
func told(err error) error {
	definite := errs.CodeOf(err).Status() == http.StatusConflict
	switch {
	case participant.Refused(err) && !definite:
		return errs.Wrap(errs.Conflict, err, "refused: %s", errs.CodeOf(err))
	case !participant.Refused(err) && definite:
		return errs.Wrap(errs.Unknown, err, "the outcome is not known yet; ask again")
	}
	return err
}
