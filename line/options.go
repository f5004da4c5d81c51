package line

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"time"

	"penstock/auth"
	"penstock/internal/clock"
	"penstock/stock/driver"
)

// Sales is what a line sees of sales and stock, in memory; *gate.Memory is one.
type Sales interface {
	Sale(id string) *driver.Sale
	Level(sale, sku string) *driver.Stock
	Sales() []*driver.Sale
	// AsOf is the moment that stock rows are at least as new as, whichever process changed them.
	AsOf() time.Time
}

// Signer signs passes and challenges; *auth.Ring is one.
type Signer interface {
	MintAdmission(g auth.Grant, now time.Time) (string, error)
	MintChallenge(g auth.Grant, now time.Time) (string, error)
	VerifyChallenge(token string, now time.Time) (auth.Grant, error)
}

// Rules are the defaults for sales that do not say themselves.
type Rules struct {
	// Reach closes a line that has this many entries per unit that is not sold; at least 1, 0 means 2.
	Reach float64
	// Rate is the most entries to call in a second; 0 means 500.
	Rate int
	// Pass is how long a pass is good for, 0 means 2 min; Away how long a user may be silent and still be called, 0 means 20 s.
	Pass, Away time.Duration
	// ProofBits is the work to be done before joining, in leading zero bits of a SHA-256, at most 30; 0 is none.
	ProofBits int
}

// Observer is told what happens, from several goroutines; it must not block. Each field may be nil.
type Observer struct {
	Joined, Called, Refused Counter
	// Waited is how long an entry waited until it was called.
	Waited func(time.Duration)
}

// Counter takes how many more there are.
type Counter func(n int)

func (c Counter) add(n int) {
	if c != nil && n > 0 {
		c(n)
	}
}

// Options tunes [Lines]. The zero value works.
type Options struct {
	Clock  clock.Clock
	Logger *slog.Logger
	Rules  Rules
	// Target is the time that a decision may take before fewer are called; 0 means 50 ms.
	Target time.Duration
	// Tick is the pause between two rounds of calling, 0 means 100 ms; Look that between two looks at what other processes did,
	// 0 means 200 ms.
	Tick, Look time.Duration
	// Calls lets this process call entries; without it another one must.
	Calls bool
	// Random makes the secrets of draws; nil means the system's generator.
	Random   io.Reader
	Observer Observer
}

// Validate names the field that is out of range and sets the defaults.
func (o *Options) Validate() error {
	r := &o.Rules
	switch {
	case r.Reach != 0 && !(r.Reach >= 1):
		return fmt.Errorf("line: Reach is %v, want 1 or more", r.Reach)
	case r.Rate < 0 || r.Pass < 0 || r.Away < 0 || o.Target < 0 || o.Tick < 0 || o.Look < 0:
		return fmt.Errorf("line: rates and durations must not be negative")
	case r.ProofBits < 0 || r.ProofBits > 30:
		return fmt.Errorf("line: ProofBits is %d, want 0 to 30", r.ProofBits)
	}
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r.Reach = cmp.Or(r.Reach, 2)
	r.Rate = cmp.Or(r.Rate, 500)
	r.Pass = cmp.Or(r.Pass, 2*time.Minute)
	r.Away = cmp.Or(r.Away, 20*time.Second)
	o.Target = cmp.Or(o.Target, 50*time.Millisecond)
	o.Tick = cmp.Or(o.Tick, 100*time.Millisecond)
	o.Look = cmp.Or(o.Look, 200*time.Millisecond)
	return nil
}

// of returns the rules of a sale.
func (r Rules) of(doc *driver.Sale) Rules {
	l := doc.Line
	if l == nil {
		return r
	}
	if l.Reach > 0 {
		r.Reach = l.Reach
	}
	if l.RatePerSecond > 0 {
		r.Rate = int(l.RatePerSecond)
	}
	if l.PassSeconds > 0 {
		r.Pass = time.Duration(l.PassSeconds) * time.Second
	}
	if l.AwaySeconds > 0 {
		r.Away = time.Duration(l.AwaySeconds) * time.Second
	}
	if l.ProofBits != 0 {
		r.ProofBits = int(max(l.ProofBits, 0))
	}
	return r
}

// closing is when the pot of a draw closes.
func closing(doc *driver.Sale) time.Time {
	if doc.Line != nil && !doc.Line.ClosesAt.IsZero() {
		return doc.Line.ClosesAt
	}
	return doc.StartsAt.Truncate(time.Millisecond)
}

func source(doc *driver.Sale) string {
	if doc.Line == nil {
		return ""
	}
	return doc.Line.PublicSource
}
