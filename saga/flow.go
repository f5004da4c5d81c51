package saga

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"penstock/errs"
	"penstock/saga/participant"
)

// Flow is a saga as a value: its steps in order. Every process that shares a store has the same flows; a flow whose steps
// change takes a new name, so that running sagas end as they began.
type Flow struct {
	Name     string
	Recovery Recovery      // "" means Backward
	Timeout  time.Duration // of a backward saga; 0 means Options.Timeout
	Steps    []FlowStep
}

// FlowStep is one step with its compensation. Both may be called many times, and Undo before or instead of Do: effects kept in
// SQL pass a barrier table with the operations try and cancel. An error for which participant.Refused is true is definite.
type FlowStep struct {
	Name string
	Do   func(ctx context.Context, b participant.Branch) error
	// Undo compensates; nil means that there is nothing to compensate.
	Undo func(ctx context.Context, b participant.Branch) error
	// Participant, instead of Do and Undo, is the name of a participant: its try is the step, its cancel the compensation.
	Participant string
	// Beside says that the step runs beside the one before it.
	Beside bool
	// Stake reads from the input what is at stake; nil means nothing, or what the participant says.
	Stake func(input json.RawMessage) (participant.Stake, error)
}

// define makes each step with functions of its own a participant.
func (c *Coordinator) define(f Flow) error {
	if !validID(f.Name) || len(f.Steps) == 0 {
		return fmt.Errorf("flow %q: it needs a name of 1 to 64 of A–Z a–z 0–9 _ - and steps", f.Name)
	}
	if _, twice := c.flows[f.Name]; twice {
		return fmt.Errorf("there are two flows called %q", f.Name)
	}
	for _, s := range f.Steps {
		if !validID(s.Name) || (s.Do == nil) == (s.Participant == "") {
			return fmt.Errorf("flow %s, step %q: it needs a name, and either Do or Participant", f.Name, s.Name)
		}
		if s.Do != nil {
			c.parts[f.Name+"."+s.Name] = stepParticipant{s}
		} else if c.parts[s.Participant] == nil {
			return fmt.Errorf("flow %s, step %s: there is no participant %q", f.Name, s.Name, s.Participant)
		}
	}
	c.flows[f.Name] = f
	return nil
}

// Run begins a saga of the named flow. Every step gets the input. The id and errors are those of Begin.
func (c *Coordinator) Run(ctx context.Context, flow, id string, input json.RawMessage) (t *Transaction, replayed bool, err error) {
	f, ok := c.flows[flow]
	if !ok {
		return nil, false, errs.New(errs.NotFound, "there is no flow %q", flow)
	}
	s := Spec{ID: id, Kind: Saga, Recovery: f.Recovery, Timeout: f.Timeout, Branches: make([]BranchSpec, len(f.Steps)), Who: flow}
	for i, step := range f.Steps {
		b := BranchSpec{Name: step.Name, Participant: step.Participant, Payload: input, Beside: step.Beside}
		if step.Do != nil {
			b.Participant = f.Name + "." + step.Name
		}
		if step.Stake != nil {
			if b.Stake, err = step.Stake(input); err != nil {
				return nil, false, invalid(i, "payload", "%s", err.Error())
			}
		}
		s.Branches[i] = b
	}
	return c.Begin(ctx, s)
}

// stepParticipant lets a step take part.
type stepParticipant struct{ s FlowStep }

func (p stepParticipant) Try(ctx context.Context, b participant.Branch) error { return p.s.Do(ctx, b) }

// Confirm is never called for a saga.
func (p stepParticipant) Confirm(context.Context, participant.Branch) error { return nil }

func (p stepParticipant) Cancel(ctx context.Context, b participant.Branch) error {
	if p.s.Undo == nil {
		return nil
	}
	return p.s.Undo(ctx, b)
}
