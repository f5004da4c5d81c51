package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"penstock/errs"
	"penstock/webhook"
)

// Webhooks is what the operator's calls about outgoing webhooks need. Each act names who did it and why.
type Webhooks interface {
	webhookEndpoints
	webhookDeliveries
}

type webhookEndpoints interface {
	List(ctx context.Context) ([]webhook.Endpoint, error)
	Get(ctx context.Context, id string) (webhook.Endpoint, error)
	Create(ctx context.Context, who string, d webhook.Definition) (e webhook.Endpoint, secret string, err error)
	Change(ctx context.Context, who, id, why string, c webhook.Change) (webhook.Endpoint, error)
	Enable(ctx context.Context, who, id, why string) (webhook.Endpoint, error)
	Disable(ctx context.Context, who, id, why string) (webhook.Endpoint, error)
	Delete(ctx context.Context, who, id, why string) error
}

type webhookDeliveries interface {
	Rotate(ctx context.Context, who, id, why string, overlap time.Duration) (e webhook.Endpoint, secret string, err error)
	Deliveries(ctx context.Context, endpoint string, state webhook.State, after int64, limit int) ([]webhook.Delivery, error)
	Replay(ctx context.Context, who, endpoint string, seq int64, why string) (webhook.Delivery, error)
	ReplaySince(ctx context.Context, who, endpoint, why string, p webhook.Past) (int, error)
	Ping(ctx context.Context, who, endpoint, why string) (webhook.Pinged, error)
}

// WebhookEndpoint is where events go. Secret is shown when it is made, and never again.
type WebhookEndpoint struct {
	ID           string          `json:"id"`
	URL          string          `json:"url"`
	Description  string          `json:"description"`
	Events       []string        `json:"events" nullable:"false" doc:"types wanted, such as order.paid, payment.* or *"`
	Rate         int             `json:"rate" doc:"most deliveries a second"`
	Concurrency  int             `json:"concurrency" doc:"most deliveries at a time"`
	Enabled      bool            `json:"enabled"`
	Health       string          `json:"health" enum:"working,failing,disabled"`
	Why          string          `json:"why,omitempty" doc:"why it is disabled"`
	Version      int64           `json:"version"`
	FailingSince *time.Time      `json:"failingSince,omitempty" doc:"first failure since the last success"`
	PausedUntil  *time.Time      `json:"pausedUntil,omitempty"`
	Secrets      []WebhookSecret `json:"secrets" nullable:"false" doc:"those that sign now, newest first"`
	Secret       string          `json:"secret,omitempty" doc:"the new secret, shown this one time"`
	CreatedAt    time.Time       `json:"createdAt"`
	ChangedAt    time.Time       `json:"changedAt"`
}

// WebhookSecret tells of a secret without showing it.
type WebhookSecret struct {
	CreatedAt time.Time  `json:"createdAt"`
	Until     *time.Time `json:"until,omitempty" doc:"end of the overlap after a rotation"`
}

// WebhookDelivery is one event on its way to one endpoint.
type WebhookDelivery struct {
	ID       string     `json:"id"`
	Endpoint string     `json:"endpoint"`
	Event    string     `json:"event" doc:"the webhook-id"`
	Type     string     `json:"type"`
	User     string     `json:"user"`
	State    string     `json:"state" enum:"waiting,due,delivered,given-up"`
	Tries    int        `json:"tries" doc:"failed ones since it was queued or replayed"`
	Replays  int        `json:"replays"`
	Status   int        `json:"status" doc:"last HTTP status; 0 means no answer"`
	Error    string     `json:"error,omitempty"`
	At       time.Time  `json:"at"`
	TriedAt  *time.Time `json:"triedAt,omitempty"`
	NextAt   *time.Time `json:"nextAt,omitempty"`
}

// optional is nil for the zero time.
func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = moment(t)
	return &t
}

func wireWebhook(e webhook.Endpoint) WebhookEndpoint {
	return WebhookEndpoint{
		ID: e.ID, URL: e.URL, Description: e.Description, Events: e.Events, Rate: e.Rate, Concurrency: e.Concurrency, Enabled: e.Enabled, Health: e.Health(), Why: e.Why,
		Version: e.Version, FailingSince: optional(e.FailingSince), PausedUntil: optional(e.PausedUntil), CreatedAt: moment(e.CreatedAt), ChangedAt: moment(e.ChangedAt),
		Secrets: each(e.Secrets, func(s webhook.SecretInfo) WebhookSecret {
			return WebhookSecret{CreatedAt: moment(s.CreatedAt), Until: optional(s.Until)}
		}),
	}
}

func wireDelivery(d webhook.Delivery) WebhookDelivery {
	return WebhookDelivery{
		ID: strconv.FormatInt(d.Seq, 10), Endpoint: d.Endpoint, Event: d.Event, Type: d.Type, User: d.User, State: d.State.String(), Tries: d.Tries,
		Replays: d.Replays, Status: d.Status, Error: d.Error, At: moment(d.At), TriedAt: optional(d.TriedAt), NextAt: optional(d.NextAt),
	}
}

// WebhookPath names an endpoint.
type WebhookPath struct {
	Webhook string `path:"webhook" maxLength:"64"`
}

type webhookReason struct {
	WebhookPath
	Body *Reason
}

type webhookOutput struct{ Body WebhookEndpoint }

func webhookAnswer(e webhook.Endpoint, secret string, err error) (*webhookOutput, error) {
	if err != nil {
		return nil, err
	}
	out := &webhookOutput{wireWebhook(e)}
	out.Body.Secret = secret
	return out, nil
}

type deliveryPath struct {
	WebhookPath
	Delivery string `path:"delivery" maxLength:"20"`
	Body     *Reason
}

type deliveryOutput struct{ Body WebhookDelivery }

type pingOutput struct {
	Body struct {
		Taken  bool    `json:"taken"`
		Status int     `json:"status" doc:"0 means no answer"`
		Error  string  `json:"error,omitempty"`
		TookMS float64 `json:"tookMs"`
	}
}

func (s *surface) webhookCalls() {
	register(s, operator("list-webhooks", http.MethodGet, "/webhooks", "List the endpoints of outgoing webhooks"), s.listWebhooks)
	create := operator("create-webhook", http.MethodPost, "/webhooks", "Add an endpoint; the answer shows its secret this one time")
	create.DefaultStatus = http.StatusCreated
	register(s, create, s.createWebhook)
	register(s, operator("get-webhook", http.MethodGet, "/webhooks/{webhook}", "Look at an endpoint"), func(ctx context.Context, in *WebhookPath) (*webhookOutput, error) {
		e, err := s.d.Webhooks.Get(ctx, in.Webhook)
		return webhookAnswer(e, "", err)
	})
	register(s, operator("patch-webhook", http.MethodPatch, "/webhooks/{webhook}", "Change an endpoint; fields left out stay"), s.patchWebhook)
	register(s, operator("delete-webhook", http.MethodDelete, "/webhooks/{webhook}", "Remove an endpoint with its deliveries"), s.deleteWebhook)
	register(s, operator("enable-webhook", http.MethodPost, "/webhooks/{webhook}/enable", "Deliver to an endpoint again"), func(ctx context.Context, in *webhookReason) (*webhookOutput, error) {
		e, err := s.d.Webhooks.Enable(ctx, acting(ctx), in.Webhook, in.Body.text())
		return webhookAnswer(e, "", err)
	})
	register(s, operator("disable-webhook", http.MethodPost, "/webhooks/{webhook}/disable", "Deliver nothing to an endpoint"), func(ctx context.Context, in *webhookReason) (*webhookOutput, error) {
		e, err := s.d.Webhooks.Disable(ctx, acting(ctx), in.Webhook, in.Body.text())
		return webhookAnswer(e, "", err)
	})
	register(s, operator("rotate-webhook", http.MethodPost, "/webhooks/{webhook}/rotate", "Give an endpoint a new secret, shown this one time; the old one signs beside it for a while"), s.rotateWebhook)
	register(s, operator("ping-webhook", http.MethodPost, "/webhooks/{webhook}/ping", "Send a test event now and tell what came of it"), s.pingWebhook)
	register(s, operator("list-webhook-deliveries", http.MethodGet, "/webhooks/{webhook}/deliveries", "List deliveries, oldest first"), s.listDeliveries)
	register(s, operator("replay-webhook-delivery", http.MethodPost, "/webhooks/{webhook}/deliveries/{delivery}/replay", "Make a delivery again, under its webhook-id"), s.replayDelivery)
	register(s, operator("replay-webhook", http.MethodPost, "/webhooks/{webhook}/replay", "Queue what an endpoint missed since a time"), s.replayWebhook)
}

func (s *surface) listWebhooks(ctx context.Context, in *struct {
	Health string `query:"health" enum:"working,failing,disabled" doc:"all when left out"`
}) (*listOf[WebhookEndpoint], error) {
	all, err := s.d.Webhooks.List(ctx)
	if err != nil {
		return nil, err
	}
	if in.Health != "" {
		all = slices.DeleteFunc(all, func(e webhook.Endpoint) bool { return e.Health() != in.Health })
	}
	return &listOf[WebhookEndpoint]{Page[WebhookEndpoint]{Items: each(all, wireWebhook)}}, nil
}

func (s *surface) createWebhook(ctx context.Context, in *struct {
	Body struct {
		URL         string   `json:"url" maxLength:"2048"`
		Description string   `json:"description,omitempty" maxLength:"500"`
		Events      []string `json:"events" nullable:"false" maxItems:"32"`
		Rate        int      `json:"rate,omitempty" minimum:"0" maximum:"1000" doc:"0 means 50"`
		Concurrency int      `json:"concurrency,omitempty" minimum:"0" maximum:"16" doc:"0 means 4"`
	}
}) (*webhookOutput, error) {
	b := in.Body
	return webhookAnswer(s.d.Webhooks.Create(ctx, acting(ctx), webhook.Definition{
		URL: b.URL, Description: b.Description, Events: b.Events, Rate: b.Rate, Concurrency: b.Concurrency,
	}))
}

func (s *surface) patchWebhook(ctx context.Context, in *struct {
	WebhookPath
	Body struct {
		URL         *string  `json:"url,omitempty" maxLength:"2048"`
		Description *string  `json:"description,omitempty" maxLength:"500"`
		Events      []string `json:"events,omitempty" nullable:"false" maxItems:"32"`
		Rate        *int     `json:"rate,omitempty" minimum:"1" maximum:"1000"`
		Concurrency *int     `json:"concurrency,omitempty" minimum:"1" maximum:"16"`
		Reason      string   `json:"reason,omitempty" maxLength:"500"`
	}
}) (*webhookOutput, error) {
	b := in.Body
	e, err := s.d.Webhooks.Change(ctx, acting(ctx), in.Webhook, b.Reason, webhook.Change{
		URL: b.URL, Description: b.Description, Events: b.Events, Rate: b.Rate, Concurrency: b.Concurrency,
	})
	return webhookAnswer(e, "", err)
}

func (s *surface) deleteWebhook(ctx context.Context, in *struct {
	WebhookPath
	Reason string `query:"reason" maxLength:"500"`
}) (*struct{}, error) {
	return nil, s.d.Webhooks.Delete(ctx, acting(ctx), in.Webhook, in.Reason)
}

func (s *surface) rotateWebhook(ctx context.Context, in *struct {
	WebhookPath
	Body *struct {
		OverlapSeconds *int64 `json:"overlapSeconds,omitempty" minimum:"0" maximum:"604800" doc:"how long the old secret still signs; a day when left out"`
		Reason         string `json:"reason,omitempty" maxLength:"500"`
	}
}) (*webhookOutput, error) {
	overlap, why := 24*time.Hour, ""
	if b := in.Body; b != nil {
		why = b.Reason
		if b.OverlapSeconds != nil {
			overlap = time.Duration(*b.OverlapSeconds) * time.Second
		}
	}
	return webhookAnswer(s.d.Webhooks.Rotate(ctx, acting(ctx), in.Webhook, why, overlap))
}

func (s *surface) pingWebhook(ctx context.Context, in *webhookReason) (*pingOutput, error) {
	p, err := s.d.Webhooks.Ping(ctx, acting(ctx), in.Webhook, in.Body.text())
	if err != nil {
		return nil, err
	}
	out := &pingOutput{}
	out.Body.Taken, out.Body.Status, out.Body.Error, out.Body.TookMS = p.Taken, p.Status, p.Error, float64(p.Took.Microseconds())/1000
	return out, nil
}

func (s *surface) listDeliveries(ctx context.Context, in *struct {
	WebhookPath
	PageQuery
	State string `query:"state" enum:"waiting,due,delivered,given-up" doc:"all when left out"`
}) (*listOf[WebhookDelivery], error) {
	after, err := afterCursor(in.Cursor)
	if err != nil {
		return nil, err
	}
	state := webhook.State(-1)
	for _, s := range []webhook.State{webhook.Waiting, webhook.Due, webhook.Delivered, webhook.GivenUp} {
		if s.String() == in.State {
			state = s
		}
	}
	found, err := s.d.Webhooks.Deliveries(ctx, in.Webhook, state, int64(after), in.Limit)
	if err != nil {
		return nil, err
	}
	out := &listOf[WebhookDelivery]{Page[WebhookDelivery]{Items: each(found, wireDelivery)}}
	if n := len(found); n > 0 && n == in.Limit {
		out.Body.Next = strconv.FormatInt(found[n-1].Seq, 10)
	}
	return out, nil
}

func (s *surface) replayDelivery(ctx context.Context, in *deliveryPath) (*deliveryOutput, error) {
	seq, err := strconv.ParseInt(in.Delivery, 10, 64)
	if err != nil {
		return nil, errs.Wrap(errs.NotFound, err, "no such webhook delivery")
	}
	d, err := s.d.Webhooks.Replay(ctx, acting(ctx), in.Webhook, seq, in.Body.text())
	if err != nil {
		return nil, err
	}
	return &deliveryOutput{wireDelivery(d)}, nil
}

type replayedOutput struct {
	Body struct {
		Queued int `json:"queued"`
	}
}

func (s *surface) replayWebhook(ctx context.Context, in *struct {
	WebhookPath
	Body struct {
		Since     time.Time `json:"since" doc:"of events that came to be queued then or later"`
		Delivered bool      `json:"delivered,omitempty" doc:"also those that were taken"`
		Reason    string    `json:"reason,omitempty" maxLength:"500"`
	}
}) (*replayedOutput, error) {
	out, err := &replayedOutput{}, error(nil)
	out.Body.Queued, err = s.d.Webhooks.ReplaySince(ctx, acting(ctx), in.Webhook, in.Body.Reason, webhook.Past{Since: in.Body.Since, Delivered: in.Body.Delivered})
	if err != nil {
		return nil, err
	}
	return out, nil
}
