package saga

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"penstock/errs"
	"penstock/saga/participant"
)

const (
	maxBranches = 32
	maxPayload  = 64 << 10
)

// Begin stores the transaction and begins to work on it. Nil means that it is durable and will be brought to its end, by this
// process or another. The same id with the same spec returns the transaction as it is now, with replayed true; with another
// spec it is errs.KeyReused. errs.Invalid names what cannot be in the spec.
func (c *Coordinator) Begin(ctx context.Context, s Spec) (t *Transaction, replayed bool, err error) {
	if s.ID == "" {
		s.ID = "t-" + strings.ToLower(rand.Text())
	}
	s.Kind, s.Recovery = orText(s.Kind, TCC), orText(s.Recovery, Backward)
	if s.Timeout == 0 {
		s.Timeout = c.o.Timeout
	}
	if t, err = c.plan(s); err != nil {
		return nil, false, err
	}
	body := digest(s)
	c.enter(t.ID) // before anybody can find it due
	made, err := insert(ctx, c.store, t, body)
	if err != nil || !made {
		c.leave(t.ID)
	}
	if err != nil {
		return nil, false, err
	}
	if !made {
		was, theirs, err := load(ctx, c.store, s.ID)
		if err == nil && !bytes.Equal(theirs, body) {
			err = errs.New(errs.KeyReused, "transaction %s was begun with another content", s.ID)
		}
		return was, true, err
	}
	snapshot := *t
	snapshot.Branches = append([]Branch(nil), t.Branches...)
	if c.o.Fault.Hit(pointBegun) != nil || !c.run(t) {
		c.leave(t.ID)
	}
	return &snapshot, false, nil
}

// enter marks a transaction as worked on by this process.
func (c *Coordinator) enter(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.working[id] = true
}

// run drives in a goroutine of its own. false means that the coordinator has stopped.
func (c *Coordinator) run(t *Transaction) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.quit.Err() != nil {
		return false
	}
	c.all.Go(func() {
		defer c.leave(t.ID)
		c.drive(t)
	})
	return true
}

// Wait returns the transaction when it has ended or needs a human, or as it is when ctx ends or this process has done what it
// can for now.
func (c *Coordinator) Wait(ctx context.Context, id string) (*Transaction, error) {
	c.mu.Lock()
	var done chan struct{}
	if c.working[id] {
		done = make(chan struct{})
		c.waiters[id] = append(c.waiters[id], done)
	}
	c.mu.Unlock()
	if done != nil {
		select {
		case <-done:
		case <-ctx.Done():
		}
	}
	t, _, err := load(context.WithoutCancel(ctx), c.store, id)
	return t, err
}

// plan makes the transaction of a spec.
func (c *Coordinator) plan(s Spec) (*Transaction, error) {
	if err := check(s); err != nil {
		return nil, err
	}
	now := c.o.Clock.Now().UTC().Truncate(time.Millisecond)
	t := &Transaction{
		ID: s.ID, Kind: s.Kind, Recovery: s.Recovery, Version: 1, Who: s.Who, Trace: s.Trace, Began: now, Deadline: now.Add(s.Timeout),
		Branches: make([]Branch, len(s.Branches)),
	}
	stage := 0
	for i, b := range s.Branches {
		if i > 0 && !b.Beside {
			stage++
		}
		p := c.parts[b.Participant]
		if p == nil {
			return nil, invalid(i, "participant", "there is no participant %q; there are %s", b.Participant, strings.Join(c.Names(), ", "))
		}
		if st, ok := p.(participant.Staker); ok {
			told, err := st.Stake(b.Payload)
			if err != nil {
				return nil, invalid(i, "payload", "%s", err.Error())
			}
			b.Stake = told
		}
		t.Branches[i] = Branch{Name: b.Name, Participant: b.Participant, Stage: stage, Payload: b.Payload, Stake: b.Stake, State: BranchWaiting}
	}
	t.turn(now, Trying, "")
	t.fresh[0].What, t.fresh[0].Who = "begun", s.Who
	t.enter(BranchTrying, false, BranchWaiting)
	t.next = now.Add(c.o.lease())
	return t, nil
}

func check(s Spec) error {
	switch {
	case !validID(s.ID):
		return fields("/id", "%q is no id: 1 to 64 of A–Z a–z 0–9 _ -", s.ID)
	case s.Kind != TCC && s.Kind != Saga:
		return fields("/kind", "%q is neither tcc nor saga", s.Kind)
	case s.Recovery != Backward && (s.Recovery != Forward || s.Kind != Saga):
		return fields("/recovery", "it is backward, or for a saga forward")
	case s.Timeout < 0 || s.Timeout > 24*time.Hour:
		return fields("/timeoutMs", "it is more than 0 and at most a day")
	case len(s.Branches) == 0 || len(s.Branches) > maxBranches:
		return fields("/branches", "there are 1 to %d", maxBranches)
	}
	names := map[string]bool{}
	for i, b := range s.Branches {
		switch {
		case !validID(b.Name):
			return invalid(i, "name", "%q is no name: 1 to 64 of A–Z a–z 0–9 _ -", b.Name)
		case names[b.Name]:
			return invalid(i, "name", "another branch is called %q", b.Name)
		case len(b.Payload) > maxPayload:
			return invalid(i, "payload", "it is larger than %d bytes", maxPayload)
		case b.Stake.Amount < 0 || (b.Stake.Amount > 0 && b.Stake.Currency == "") || len(b.Stake.Currency) > 16 || len(b.Stake.Units) > 100:
			return invalid(i, "stake", "an amount is not negative and has a currency; there are at most 100 units")
		}
		for _, u := range b.Stake.Units {
			if u.SKU == "" || u.Quantity < 0 {
				return invalid(i, "stake", "a unit has a sku and a quantity that is not negative")
			}
		}
		names[b.Name] = true
	}
	return nil
}

func invalid(branch int, field, format string, args ...any) error {
	return fields(fmt.Sprintf("/branches/%d/%s", branch, field), format, args...)
}

func fields(pointer, format string, args ...any) error {
	e := errs.New(errs.Invalid, "the transaction cannot begin")
	e.Fields = []errs.Field{{Pointer: pointer, Detail: fmt.Sprintf(format, args...)}}
	return e
}

// validID reports whether s can be a name on the wire: in a header, in a file name, in a key.
func validID(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// digest hashes what a spec asks for; who asks and in which trace makes no difference.
func digest(s Spec) []byte {
	s.Who, s.Trace = "", ""
	for i := range s.Branches {
		var compact bytes.Buffer
		if json.Compact(&compact, s.Branches[i].Payload) == nil {
			s.Branches[i].Payload = compact.Bytes()
		}
	}
	text, err := json.Marshal(s)
	if err != nil { // a payload that is no JSON is compared as it stands
		text = fmt.Append(nil, s)
	}
	sum := sha256.Sum256(text)
	return sum[:16]
}

func orText[T ~string](v, otherwise T) T {
	if v == "" {
		return otherwise
	}
	return v
}
