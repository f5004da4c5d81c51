// Package sandbox is a payment provider for trying things out: a real HTTP service with books of its own that captures, fails,
// delays, duplicates, reorders and loses callbacks on demand.
//
// It promises what a decent provider does: a charge and a refund are durable before they are answered and happen once per id;
// callbacks are signed as Standard Webhooks, sent at least once and retried until they are taken, also after a restart. What
// became of a charge is a function of its row and the clock, so a restart forgets and invents nothing. It moves no real money
// and asks no caller who he is: its listener belongs on a loopback address. Safe for concurrent use.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"penstock/engine/groupcommit"
	"penstock/engine/sqlite"
	"penstock/internal/clock"
	"penstock/internal/egress"
	"penstock/webhook/standard"
)

// Outcomes that a charge can ask for.
const (
	Capture     = "capture"
	Fail        = "fail"
	Lose        = "lose"         // captured, and the callback never sent
	Duplicate   = "duplicate"    // captured, and told three times under two message ids
	Reorder     = "reorder"      // captured, and stale events arrive after the capture
	WrongAmount = "wrong_amount" // one minor unit more than asked for is captured
)

// Outcomes lists every outcome.
func Outcomes() []string { return []string{Capture, Fail, Lose, Duplicate, Reorder, WrongAmount} }

// MaxAfter is the longest delay a charge can ask for.
const MaxAfter = 10 * time.Minute

// Options tunes a Service. The zero value is good.
type Options struct {
	Clock  clock.Clock
	Logger *slog.Logger
	// Senders is how many callbacks are under way at a time; 0 means 128.
	Senders int
	// RetryAfter is the pause before a refused callback is sent again; it doubles up to RetryMax. 0 means 200 ms and 30 s.
	RetryAfter time.Duration
	RetryMax   time.Duration
	// MaxTries is how often a callback is sent before it is given up; 0 means 40.
	MaxTries int
	// SendTimeout bounds one callback; 0 means 10 s.
	SendTimeout time.Duration
	// Transport sends callbacks; nil means one of its own with keep-alive.
	Transport http.RoundTripper
	SQLite    sqlite.Options
}

// Validate names the field that cannot be used and what is allowed.
func (o Options) Validate() error {
	for name, n := range map[string]int64{
		"Senders": int64(o.Senders), "RetryAfter": int64(o.RetryAfter), "RetryMax": int64(o.RetryMax),
		"MaxTries": int64(o.MaxTries), "SendTimeout": int64(o.SendTimeout),
	} {
		if n < 0 {
			return fmt.Errorf("sandbox.Options.%s must not be negative", name)
		}
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if o.Senders == 0 {
		o.Senders = 128
	}
	if o.RetryAfter == 0 {
		o.RetryAfter = 200 * time.Millisecond
	}
	if o.RetryMax == 0 {
		o.RetryMax = 30 * time.Second
	}
	if o.MaxTries == 0 {
		o.MaxTries = 40
	}
	if o.SendTimeout == 0 {
		o.SendTimeout = 10 * time.Second
	}
	if o.Transport == nil {
		o.Transport = &http.Transport{MaxIdleConns: o.Senders, MaxIdleConnsPerHost: o.Senders, IdleConnTimeout: 90 * time.Second}
	}
	return o
}

// Service is one sandbox provider. Serve its Handler on a listener of its own.
type Service struct {
	o      Options
	secret standard.Secret
	db     *groupcommit.DB
	client *http.Client
	queue  *queue

	mu   sync.Mutex
	stop context.CancelFunc
	done chan struct{}
}

// New opens or creates the books at path. secret signs the callbacks. Callbacks are sent only between Start and Stop.
func New(ctx context.Context, path string, secret standard.Secret, o Options) (*Service, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	db, err := groupcommit.Open(ctx, path, migrations, groupcommit.Options{SQLite: o.SQLite, Logger: o.Logger})
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	return &Service{
		o: o, secret: secret, db: db, client: egress.Fixed(o.Transport, o.SendTimeout),
		queue: newQueue(),
	}, nil
}

// Start sends what is due, and goes on until Stop.
func (s *Service) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done != nil {
		return errors.New("the sandbox was started before")
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.stop, s.done = cancel, make(chan struct{})
	go s.dispatch(run, s.done)
	return nil
}

// Stop cuts off the callbacks under way (they will be sent again after the next Start) and closes the books. It is idempotent.
func (s *Service) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil {
		s.stop()
		<-s.done
		s.stop = nil
		s.client.CloseIdleConnections()
	}
	return s.db.Close()
}

// Pending counts the charges whose callbacks are not all delivered yet.
func (s *Service) Pending(ctx context.Context) (n int64, err error) {
	err = s.db.R().QueryRowContext(ctx, `SELECT count(*) FROM charges WHERE next_at IS NOT NULL`).Scan(&n)
	return n, err
}
