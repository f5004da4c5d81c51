package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"penstock/errs"
)

// RehearsalSales begins the ids of the sales that rehearsals run on. Only rehearsals make such sales, and buyers do not see them.
const RehearsalSales = "rehearsal-"

// Rehearsals are storms against copies of sales. Start is audited; errors carry not-found, invalid-request, and conflict while
// another one runs or while buyers could be hurt.
type Rehearsals interface {
	Start(ctx context.Context, who, saleID string, plan RehearsalPlan) (Rehearsal, error)
	Get(saleID, id string) (Rehearsal, error)
	List(saleID string) []Rehearsal
}

// RehearsalPlan says how the storm goes.
type RehearsalPlan struct {
	Rate      float64 `json:"rate" minimum:"1" maximum:"100000" doc:"buyers that arrive in a second"`
	Seconds   float64 `json:"seconds" minimum:"1" maximum:"300" doc:"how long they arrive"`
	Pay       float64 `json:"pay,omitempty" minimum:"0" maximum:"1" doc:"share of winners who pay, at the sandbox; 0.8 when left out"`
	Seed      int64   `json:"seed,omitempty" doc:"decides everything that is drawn; one is taken when left out"`
	MaxP99    float64 `json:"maxP99Ms,omitempty" minimum:"0" doc:"the slowest answer of a hundred that is still a go, in milliseconds; 1000 when left out"`
	Reason    string  `json:"reason" minLength:"1" maxLength:"500"`
	WhileOpen bool    `json:"whileOpen,omitempty" doc:"rehearse though a sale is open: the storm takes capacity from its buyers"`
}

// Rehearsal is one storm against a copy of a sale: how far it is, and at its end what it says.
type Rehearsal struct {
	ID         string            `json:"id"`
	Sale       string            `json:"sale"`
	Shadow     string            `json:"shadow" doc:"the copy's id"`
	State      string            `json:"state" enum:"preparing,storming,settling,checking,cleaning,done,failed"`
	StartedAt  time.Time         `json:"startedAt"`
	Plan       RehearsalPlan     `json:"plan"`
	Arrivals   int64             `json:"arrivals" doc:"buyers that will come"`
	Arrived    int64             `json:"arrived"`
	Answers    map[string]int64  `json:"answers" doc:"answers to attempts, by kind"`
	Paid       int64             `json:"paid"`
	LatencyP50 float64           `json:"latencyP50Ms"`
	LatencyP99 float64           `json:"latencyP99Ms"`
	Verdict    string            `json:"verdict,omitempty" enum:"go,no-go" doc:"only at the end"`
	Reasons    []RehearsalReason `json:"reasons" nullable:"false"`
	Note       string            `json:"note,omitempty"`
}

// RehearsalReason is one thing that a verdict stands on.
type RehearsalReason struct {
	Good   bool   `json:"good"`
	What   string `json:"what" enum:"invariants,answers,capacity,latency,arrivals,payments,storm"`
	Detail string `json:"detail"`
}

type rehearsalOutput struct{ Body Rehearsal }

func (s *surface) rehearsalCalls() {
	const path = "/sales/{sale}/rehearsals"
	start := operator("start-rehearsal", http.MethodPost, path, "Start a storm against a copy of the sale, with sandbox payments")
	start.Description = "The copy has an id of its own and nobody else sees it; the sale itself is not touched. Afterwards the copy is closed, its orders are cancelled or refunded. Progress: topic rehearsal:<id> of /admin/v1/live."
	start.DefaultStatus = http.StatusAccepted
	register(s, start, func(ctx context.Context, in *struct {
		SalePath
		Body RehearsalPlan
	}) (*rehearsalOutput, error) {
		if s.d.Desk.Rehearsals == nil {
			return nil, errNoBuyersHere()
		}
		r, err := s.d.Desk.Rehearsals.Start(ctx, acting(ctx), in.Sale, in.Body)
		return &rehearsalOutput{r}, err
	})
	register(s, operator("list-rehearsals", http.MethodGet, path, "The rehearsals of a sale that this process remembers, newest first"), func(_ context.Context, in *SalePath) (*listOf[Rehearsal], error) {
		out := &listOf[Rehearsal]{Page[Rehearsal]{Items: []Rehearsal{}}}
		if s.d.Desk.Rehearsals != nil {
			out.Body.Items = append(out.Body.Items, s.d.Desk.Rehearsals.List(in.Sale)...)
		}
		return out, nil
	})
	register(s, operator("get-rehearsal", http.MethodGet, path+"/{rehearsal}", "Look at a rehearsal"), func(_ context.Context, in *struct {
		SalePath
		Rehearsal string `path:"rehearsal" maxLength:"64"`
	}) (*rehearsalOutput, error) {
		if s.d.Desk.Rehearsals == nil {
			return nil, errNoBuyersHere()
		}
		r, err := s.d.Desk.Rehearsals.Get(in.Sale, in.Rehearsal)
		return &rehearsalOutput{r}, err
	})
}

func errNoBuyersHere() error {
	return errs.New(errs.NotFound, "this process serves no buyers; rehearse where one does")
}

// rehearsed reports the copy of a sale, which buyers do not see in lists.
func rehearsed(id string) bool { return strings.HasPrefix(id, RehearsalSales) }
