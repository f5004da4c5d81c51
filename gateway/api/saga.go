package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"penstock/gateway"
	"penstock/saga"
	"penstock/saga/participant"
)

// Transactions is what the calls about transactions across services need; *saga.Coordinator is one but for the audit.
type Transactions interface {
	Begin(ctx context.Context, s saga.Spec) (t *saga.Transaction, replayed bool, err error)
	// Wait returns the transaction when it has ended, or as it is when ctx ends.
	Wait(ctx context.Context, id string) (*saga.Transaction, error)
	Get(ctx context.Context, id string) (*saga.Transaction, []saga.Step, error)
	List(ctx context.Context, s saga.State, before int64, limit int) ([]*saga.Transaction, error)
	Resolve(ctx context.Context, id string, r saga.Resolution) (before, after *saga.Transaction, err error)
}

// BeginTransaction is the body that begins a TCC over named participants.
type BeginTransaction struct {
	ID        string        `json:"id,omitempty" maxLength:"64" doc:"your key of the transaction; the same id with the same body is the same transaction. One is made if it is missing"`
	TimeoutMs int64         `json:"timeoutMs,omitempty" minimum:"0" maximum:"86400000" doc:"bound of the trying; 0 means the server's"`
	Branches  []BeginBranch `json:"branches" minItems:"1" maxItems:"32" doc:"tried and confirmed in this order, cancelled in reverse"`
}

// BeginBranch is one branch to be.
type BeginBranch struct {
	Name        string            `json:"name" minLength:"1" maxLength:"64"`
	Participant string            `json:"participant" minLength:"1" maxLength:"64"`
	Payload     json.RawMessage   `json:"payload" doc:"what is asked, in the participant's own words"`
	Beside      bool              `json:"beside,omitempty" doc:"run beside the branch before it instead of after it"`
	Stake       participant.Stake `json:"stake,omitempty" doc:"what is at stake, where the participant cannot tell: an amount in minor units, units per SKU"`
}

// Transaction is a transaction with what it has out.
type Transaction struct {
	ID       string              `json:"id"`
	Kind     saga.Kind           `json:"kind" enum:"tcc,saga"`
	Recovery saga.Recovery       `json:"recovery" enum:"backward,forward"`
	State    saga.State          `json:"state" enum:"trying,confirming,confirmed,cancelling,cancelled,needs_human"`
	From     saga.State          `json:"from,omitempty" doc:"the state it came from, when it needs a human"`
	Reason   string              `json:"reason,omitempty" doc:"why it cancels or needs a human"`
	Who      string              `json:"who,omitempty"`
	BeganAt  time.Time           `json:"beganAt"`
	Deadline time.Time           `json:"deadline" doc:"end of the trying"`
	EndedAt  *time.Time          `json:"endedAt,omitempty"`
	AtStake  AtStake             `json:"atStake"`
	Branches []TransactionBranch `json:"branches" nullable:"false"`
	Timeline []TransactionStep   `json:"timeline,omitempty" nullable:"false"`
}

// AtStake is what is out: surely held, surely taken, and what may be either or nothing.
type AtStake struct {
	Held   saga.Sum `json:"held"`
	Taken  saga.Sum `json:"taken"`
	Unsure saga.Sum `json:"unsure"`
}

// TransactionBranch is one participant's part.
type TransactionBranch struct {
	Name        string            `json:"name"`
	Participant string            `json:"participant"`
	Stage       int               `json:"stage" doc:"branches of a stage run side by side"`
	State       saga.BranchState  `json:"state" enum:"waiting,trying,refused,held,confirming,taken,cancelling,returned"`
	Holding     saga.Holding      `json:"holding" doc:"what the branch has of its stake, as far as is known"`
	Stake       participant.Stake `json:"stake"`
	Tries       int               `json:"tries" doc:"calls of the present phase"`
	Error       string            `json:"error,omitempty"`
	Payload     any               `json:"payload,omitempty"`
}

// TransactionStep is one entry of the timeline.
type TransactionStep struct {
	N      int64     `json:"n"`
	At     time.Time `json:"at"`
	What   string    `json:"what"`
	Branch string    `json:"branch,omitempty"`
	Who    string    `json:"who,omitempty"`
	Detail string    `json:"detail,omitempty"`
}

func wireTransaction(t *saga.Transaction) Transaction {
	at := t.AtStake()
	out := Transaction{
		ID: t.ID, Kind: t.Kind, Recovery: t.Recovery, State: t.State, From: t.From, Reason: t.Reason, Who: t.Who, BeganAt: moment(t.Began),
		Deadline: moment(t.Deadline), AtStake: AtStake{at.Held, at.Taken, at.Unsure}, Branches: make([]TransactionBranch, len(t.Branches)),
	}
	if !t.Ended.IsZero() {
		ended := moment(t.Ended)
		out.EndedAt = &ended
	}
	for i, e := range t.Effects() {
		b := t.Branches[i]
		out.Branches[i] = TransactionBranch{
			Name: b.Name, Participant: b.Participant, Stage: b.Stage, State: b.State, Holding: e.Holding, Stake: e.Stake, Tries: b.Tries, Error: b.Error,
		}
		if len(b.Payload) > 0 {
			out.Branches[i].Payload = b.Payload
		}
	}
	return out
}

func wireStep(s saga.Step) TransactionStep {
	return TransactionStep{N: s.N, At: moment(s.At), What: s.What, Branch: s.Branch, Who: s.Who, Detail: s.Detail}
}

// TransactionPath names a transaction.
type TransactionPath struct {
	Transaction string `path:"transaction" maxLength:"64"`
}

type transactionOutput struct {
	Status   int
	Replayed string `header:"Idempotency-Replayed"`
	Body     Transaction
}

func (s *surface) transactionCalls() {
	begin := operator("begin-transaction", http.MethodPost, "/transactions", "Begin a TCC over named participants")
	begin.DefaultStatus = http.StatusCreated
	register(s, begin, s.beginTransaction)
	register(s, operator("list-transactions", http.MethodGet, "/transactions", "List transactions, newest first"), s.listTransactions)
	register(s, operator("get-transaction", http.MethodGet, "/transactions/{transaction}", "Look at a transaction, with its timeline"), s.getTransaction)
	register(s, operator("resolve-transaction", http.MethodPost, "/transactions/{transaction}/resolve", "Decide about a transaction that needs a human"), s.resolveTransaction)
	s.participantCalls()
}

// patience is how long a call waits for a transaction to end before it answers with what it is so far.
const patience = 2 * time.Second

func (s *surface) beginTransaction(ctx context.Context, in *struct{ Body BeginTransaction }) (*transactionOutput, error) {
	spec := saga.Spec{
		ID: in.Body.ID, Timeout: time.Duration(in.Body.TimeoutMs) * time.Millisecond, Who: acting(ctx), Trace: gateway.FromContext(ctx).Trace,
		Branches: make([]saga.BranchSpec, len(in.Body.Branches)),
	}
	for i, b := range in.Body.Branches {
		spec.Branches[i] = saga.BranchSpec{Name: b.Name, Participant: b.Participant, Payload: b.Payload, Beside: b.Beside, Stake: b.Stake}
	}
	t, replayed, err := s.d.Transactions.Begin(ctx, spec)
	if err != nil {
		return nil, err
	}
	out := s.settled(ctx, t)
	out.Status, out.Replayed = http.StatusCreated, replayMark(replayed)
	if replayed {
		out.Status = http.StatusOK
	}
	return out, nil
}

// settled waits a while for the end. What was durable before stays the answer if it cannot be read again now.
func (s *surface) settled(ctx context.Context, t *saga.Transaction) *transactionOutput {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if now, err := s.d.Transactions.Wait(ctx, t.ID); err == nil {
		t = now
	}
	return &transactionOutput{Status: http.StatusOK, Body: wireTransaction(t)}
}

func (s *surface) listTransactions(ctx context.Context, in *struct {
	PageQuery
	State saga.State `query:"state" enum:"trying,confirming,confirmed,cancelling,cancelled,needs_human" doc:"only those in this state"`
}) (*listOf[Transaction], error) {
	before, err := afterCursor(in.Cursor)
	if err != nil {
		return nil, err
	}
	all, err := s.d.Transactions.List(ctx, in.State, int64(before), in.Limit)
	if err != nil {
		return nil, err
	}
	out := &listOf[Transaction]{Page[Transaction]{Items: each(all, wireTransaction)}}
	if n := len(all); n > 0 && n == in.Limit {
		out.Body.Next = strconv.FormatInt(all[n-1].Seq, 10)
	}
	return out, nil
}

func (s *surface) getTransaction(ctx context.Context, in *TransactionPath) (*transactionOutput, error) {
	t, steps, err := s.d.Transactions.Get(ctx, in.Transaction)
	if err != nil {
		return nil, err
	}
	out := &transactionOutput{Status: http.StatusOK, Body: wireTransaction(t)}
	out.Body.Timeline = each(steps, wireStep)
	return out, nil
}

func (s *surface) resolveTransaction(ctx context.Context, in *struct {
	TransactionPath
	Body struct {
		Action  saga.Action `json:"action" enum:"retry,confirm,cancel" doc:"retry goes on where it stood; confirm and cancel force the direction"`
		Reason  string      `json:"reason" minLength:"1" maxLength:"500"`
		Settled []string    `json:"settled,omitempty" maxItems:"32" doc:"branches that were put right by hand: they are not called any more"`
	}
}) (*transactionOutput, error) {
	_, t, err := s.d.Transactions.Resolve(ctx, in.Transaction, saga.Resolution{
		Action: in.Body.Action, Settled: in.Body.Settled, Who: acting(ctx), Reason: in.Body.Reason,
	})
	if err != nil {
		return nil, err
	}
	return s.settled(ctx, t), nil
}
