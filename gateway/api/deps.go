package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"penstock/gateway"
	"penstock/internal/clock"
	"penstock/order"
	"penstock/saga/participant"
)

// Passes mints passes; *auth.Ring is one.
type Passes interface {
	MintPass(user, sale string, now time.Time, ttl time.Duration) (string, error)
}

// Events tells users of the changes of their orders.
type Events interface {
	// Subscribe returns a channel of the user's orders as they are after each change, and what ends the subscription. A
	// subscriber who does not keep up may miss changes but not the last state of an order. The channel may be closed to end
	// the stream.
	Subscribe(user string) (<-chan order.Order, func())
}

// Health is what the probes ask; an error means 503, and its text is shown.
type Health struct {
	Live, Ready, Startup func(ctx context.Context) error
}

// Deps is what the listeners need. Gateway.Attempts is the sale room for the public listener.
type Deps struct {
	// Forwards lets the public listener have no call of its own: what it does is in its policy.
	Forwards bool
	Gateway  gateway.Options
	Verifier gateway.Verifier
	Passes   Passes

	Sales       Sales
	Waiting     WaitingLists
	Lines       Lines
	Orders      Orders
	Payments    Payments
	Cases       Cases
	Statements  Statements
	Balances    Balances
	Events      Events
	DeadLetters DeadLetters
	Export      Export
	Drained     Drained
	Outboxes    func(context.Context) ([]OutboxLag, error)
	Reconcile   Reconcile
	Audit       Audit
	Webhooks    Webhooks
	Apps        Apps
	Reports     SaleReports
	// Face is the pages of the listener; nil means that it has none.
	Face Face
	// DemoLogin gives visitors of a demonstration a name; nil, as it should be elsewhere, means that nothing does.
	DemoLogin DemoLogin
	// People, Browser and OIDC are the logins of the back office; OIDC is nil without an issuer.
	People  People
	Browser Browser
	OIDC    OIDC
	Policy  Policies
	// Desk is what the console needs, on the admin listener.
	Desk Desk
	// Participants take part in transactions of this and other coordinators, by name.
	Transactions Transactions
	Participants map[string]participant.Participant

	// PassTTL is how long a pass is good for, at most until its token ends; 0 means 15 minutes.
	PassTTL time.Duration
	// StreamsPerUser and Streams bound the event streams open at once; 0 means 4 and 10000.
	StreamsPerUser, Streams int
	// Heartbeat is the pause between signs of life on a quiet event stream; 0 means 15 s.
	Heartbeat time.Duration

	// Metrics answers /metrics, Health the three health paths, Pprof switches /debug/pprof on, all on the probe listener.
	Metrics http.Handler
	Health  Health
	Pprof   bool
}

func (d Deps) withDefaults() Deps {
	if d.Gateway.Clock == nil {
		d.Gateway.Clock = clock.Real{}
	}
	if d.Gateway.Drain == nil {
		d.Gateway.Drain = gateway.NewDrain()
	}
	if d.PassTTL == 0 {
		d.PassTTL = 15 * time.Minute
	}
	if d.StreamsPerUser == 0 {
		d.StreamsPerUser = 4
	}
	if d.Streams == 0 {
		d.Streams = 10_000
	}
	if d.Heartbeat == 0 {
		d.Heartbeat = 15 * time.Second
	}
	return d
}

// need names what is missing.
func need(listener string, have map[string]bool) error {
	for _, name := range sortedKeys(have) {
		if !have[name] {
			return fmt.Errorf("%s listener: %s is missing", listener, name)
		}
	}
	return nil
}
