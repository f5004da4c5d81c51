package partner

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"penstock/auth"
	"penstock/internal/clock"
)

// Replay remembers the nonces of signatures, over all processes.
type Replay interface {
	// Once reports true the first time it is asked about an id, and remembers it until then at least. An error means that it is
	// not known whether the id was used.
	Once(ctx context.Context, id [32]byte, until time.Time) (bool, error)
}

// Options tunes [Apps]. The zero value works, but issues no tokens.
type Options struct {
	Clock  clock.Clock
	Logger *slog.Logger
	// Issue signs tokens; *auth.Ring does. Nil issues none.
	Issue func(auth.Claims) (string, error)
	// TokenTTL is how long a token is good for, unless its secret ends before; 0 means 1 h.
	TokenTTL time.Duration
	// Refresh is the pause between two looks at the store for changes of other processes; 0 means 1 s.
	Refresh time.Duration
	// Stale is how long after the last good look apps are still let in; 0 means 4 s.
	Stale time.Duration
	// Replay remembers nonces; nil means the store itself.
	Replay Replay
	// Changed is told after the quotas of apps have changed, by whatever process. It must not call back into a refresh. Nil is not called.
	Changed func()
	// Audit records an operator's act before it is done; its failure refuses the act. Nil records nothing.
	Audit func(ctx context.Context, act Act) error
}

// Validate names the first field that is out of range.
func (o Options) Validate() error {
	switch {
	case o.TokenTTL < 0 || o.TokenTTL > 24*time.Hour:
		return fmt.Errorf("partner: TokenTTL is %v; allowed are 0 to 24h", o.TokenTTL)
	case o.Refresh < 0 || o.Refresh > 2*time.Second:
		return fmt.Errorf("partner: Refresh is %v; allowed are 0 to 2s", o.Refresh)
	case o.Stale < 0 || o.Stale > 4*time.Second:
		return fmt.Errorf("partner: Stale is %v; allowed are 0 to 4s, for a revocation must not take longer than 5s", o.Stale)
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Audit == nil {
		o.Audit = func(context.Context, Act) error { return nil }
	}
	for p, d := range map[*time.Duration]time.Duration{&o.TokenTTL: time.Hour, &o.Refresh: time.Second, &o.Stale: 4 * time.Second} {
		if *p == 0 {
			*p = d
		}
	}
	return o
}
