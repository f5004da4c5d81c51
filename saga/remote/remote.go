// Package remote lets services elsewhere take part in transactions, over HTTP.
//
// A call is POST <base>/{try|confirm|cancel} with a [Call] as its JSON body, signed as Standard Webhooks say. 2xx is done, 409 a
// definite no, and everything else, no answer included, means that the outcome is not known: the call is made again. The message
// id, transaction_branch_op, is the same in every repeat, and so is the Idempotency-Key. docs/transactions.md is the protocol
// for those on the other side.
//
// A [Participant] follows no redirects, reads at most 4 KiB of an answer, and is safe for concurrent use.
package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"penstock/errs"
	"penstock/internal/clock"
	"penstock/internal/egress"
	"penstock/saga/barrier"
	"penstock/saga/participant"
	webhook "penstock/webhook/standard"
)

// Call is the body of a call. Op is in it so that the signature of one call is not good for another.
type Call struct {
	Transaction string          `json:"transaction"`
	Branch      string          `json:"branch"`
	Op          barrier.Op      `json:"op"`
	Payload     json.RawMessage `json:"payload"`
}

// Options tunes a participant. The zero value works.
type Options struct {
	Clock clock.Clock
	// Client makes the calls; nil means the default transport's. Redirects are never followed.
	Client *http.Client
	// Bearer is sent as a bearer token, beside the signature; "" sends none.
	Bearer string
}

// Participant is a service elsewhere.
type Participant struct {
	base    string
	secrets []webhook.Secret
	o       Options
}

// New returns the participant at a base URL, http or https without a query. The first secret signs; during a rotation all do.
func New(base string, secrets []webhook.Secret, o Options) (*Participant, error) {
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("%q is no http(s) URL without user, query and fragment", base)
	}
	if len(secrets) == 0 {
		return nil, fmt.Errorf("participant %s: a secret is missing", base)
	}
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.Client == nil {
		o.Client = &http.Client{}
	}
	client := *o.Client
	client.CheckRedirect = egress.Refuse
	o.Client = &client
	return &Participant{strings.TrimRight(base, "/"), secrets, o}, nil
}

// Try, Confirm and Cancel make the call. The context bounds it.
func (p *Participant) Try(ctx context.Context, b participant.Branch) error {
	return p.call(ctx, barrier.Try, b)
}

// Confirm makes the call.
func (p *Participant) Confirm(ctx context.Context, b participant.Branch) error {
	return p.call(ctx, barrier.Confirm, b)
}

// Cancel makes the call.
func (p *Participant) Cancel(ctx context.Context, b participant.Branch) error {
	return p.call(ctx, barrier.Cancel, b)
}

func (p *Participant) call(ctx context.Context, op barrier.Op, b participant.Branch) error {
	payload := b.Payload
	if len(payload) == 0 {
		payload = json.RawMessage("null")
	}
	body, err := json.Marshal(Call{b.Transaction, b.Name, op, payload})
	if err != nil {
		return participant.Refuse(errs.New(errs.Invalid, "the payload is no JSON"))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.base+"/"+string(op), bytes.NewReader(body))
	if err != nil {
		return err
	}
	id := strings.Join([]string{b.Transaction, b.Name, string(op)}, "_")
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", `"`+id+`"`)
	if b.Trace != "" {
		req.Header.Set("Traceparent", b.Trace)
	}
	if p.o.Bearer != "" {
		req.Header.Set("Authorization", "Bearer "+p.o.Bearer)
	}
	webhook.Sign(req.Header, id, p.o.Clock.Now(), body, p.secrets...)
	res, err := p.o.Client.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", op, p.base, err)
	}
	defer res.Body.Close()
	told, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10)) // what it says is for people; the status decides
	if res.StatusCode/100 == 2 {
		return nil
	}
	said := fmt.Sprintf("%s answered %d", op, res.StatusCode)
	if text := detail(told); text != "" {
		said += ": " + text
	}
	if res.StatusCode == http.StatusConflict {
		return participant.Refuse(errs.New(errs.Conflict, "%s", said))
	}
	return errors.New(said)
}

// detail is the problem's text, or the beginning of what was said.
func detail(body []byte) string {
	var p struct{ Title, Detail string }
	if json.Unmarshal(body, &p) == nil && p.Title+p.Detail != "" {
		return strings.TrimSpace(p.Title + " " + p.Detail)
	}
	text := strings.ToValidUTF8(strings.TrimSpace(string(body)), "?")
	return text[:min(len(text), 200)]
}
