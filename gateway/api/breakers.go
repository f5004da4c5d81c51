package api

import (
	"context"
	"net/http"

	"penstock/breaker"
)

// BreakerAct is what an operator does to a breaker.
type BreakerAct struct {
	Action string `json:"action" enum:"trip,reset" doc:"trip opens it until it is reset; reset closes it, and it counts anew"`
	Reason string `json:"reason" minLength:"1" maxLength:"500"`
}

type breakerOutput struct {
	Body struct {
		Breaker string        `json:"breaker"`
		State   breaker.State `json:"state" enum:"closed,open,half-open"`
	}
}

func (s *surface) breakerCalls() {
	register(s, operator("act-on-breaker", http.MethodPost, "/gateway/breakers/{breaker}", "Trip or reset a breaker of the public listener, in this process"), s.actOnBreaker)
}

func (s *surface) actOnBreaker(ctx context.Context, in *struct {
	Breaker string `path:"breaker" maxLength:"128"`
	Body    BreakerAct
}) (*breakerOutput, error) {
	state, err := s.d.Desk.Breakers.Force(ctx, acting(ctx), in.Breaker, in.Body.Action == "trip", in.Body.Reason)
	if err != nil {
		return nil, err
	}
	out := &breakerOutput{}
	out.Body.Breaker, out.Body.State = in.Breaker, state
	return out, nil
}
