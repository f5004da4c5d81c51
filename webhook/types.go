package webhook

import (
	"time"

	"penstock/errs"
	"penstock/webhook/standard"
)

// Endpoint is where events go. It never shows its secrets.
type Endpoint struct {
	ID          string
	URL         string
	Description string
	// Events are the types wanted: "stock.sold", "stock.*" or "*".
	Events []string
	// Rate is the most deliveries a second, Concurrency the most at a time.
	Rate, Concurrency int
	Enabled           bool
	// Why says why it is disabled.
	Why string
	// Version counts its changes.
	Version int64
	// FailingSince is when the first try failed since the last success; zero while all is well. PausedUntil is when the next
	// try may be made.
	FailingSince, PausedUntil time.Time
	// Secrets tells the age of those in use, newest first.
	Secrets              []SecretInfo
	CreatedAt, ChangedAt time.Time
}

// How an endpoint does: failing is enabled and without a success since a failure.
const (
	Working  = "working"
	Failing  = "failing"
	Disabled = "disabled"
)

// Health is Working, Failing or Disabled.
func (e *Endpoint) Health() string {
	switch {
	case !e.Enabled:
		return Disabled
	case !e.FailingSince.IsZero():
		return Failing
	}
	return Working
}

// SecretInfo tells of a secret without showing it. Until is zero for the newest, which has no end.
type SecretInfo struct{ CreatedAt, Until time.Time }

// Definition is what an operator says of a new endpoint. Zero Rate and Concurrency mean 50 a second and 4.
type Definition struct {
	URL, Description  string
	Events            []string
	Rate, Concurrency int
}

// Change is what an operator changes; nil fields stay.
type Change struct {
	URL, Description  *string
	Events            []string
	Rate, Concurrency *int
}

// State of a delivery.
//
//	         earlier one settled          taken (2xx)
//	waiting ─────────────────────► due ──────────────► delivered
//	   ▲                           │ ▲                     │
//	   │                  no try left │ replay             │ replay
//	   │                           ▼ │                     │
//	   └────── replay ────────── given-up                  │
//	   └───────────────────────────────────────────────────┘
type State int

// States of a delivery. Waiting stands behind an earlier one of its user.
const (
	Waiting State = iota
	Due
	Delivered
	GivenUp
)

// String returns the state as the API writes it.
func (s State) String() string { return [...]string{"waiting", "due", "delivered", "given-up"}[s] }

// Delivery is one event on its way to one endpoint.
type Delivery struct {
	Endpoint string
	// Seq numbers the deliveries of an endpoint in the order of the bus.
	Seq int64
	// Event is the webhook-id, and the same for every try and replay.
	Event, Type, User string
	State             State
	// Tries failed since it was queued or replayed; Replays is how often it was replayed.
	Tries, Replays int
	// Status is the last HTTP status, 0 when there was none; Error says what went wrong.
	Status int
	Error  string
	At     time.Time
	// TriedAt is zero before the first try, NextAt unless it is due.
	TriedAt, NextAt time.Time
}

// Event is what a receiver gets.
type Event struct {
	// ID is the webhook-id, and the id of the CloudEvent.
	ID, Topic, Type, User string
	At                    time.Time
	Body                  []byte
}

// Limits of what an operator may ask for.
const (
	maxEndpoints   = 100
	maxRate        = 1000
	maxConcurrency = 16
	maxEvents      = 32
	// maxOverlap is the longest time that an old secret still signs after a rotation.
	maxOverlap = 7 * 24 * time.Hour
)

func notFound() error { return errs.New(errs.NotFound, "no such webhook endpoint or delivery") }

type secret = standard.Secret
