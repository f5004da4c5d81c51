package storm

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"penstock/internal/clock"
)

// Config says how the stampede goes. Shares are between 0 and 1.
type Config struct {
	// URL is the public listener, AdminURL the admin listener, AdminToken an operator's bearer token.
	URL, AdminURL, AdminToken string
	// Sale is the id of the sale; SKU is what to buy, "" means the sale's items in turn.
	Sale, SKU string
	// Quantity is units per attempt; 0 means 1.
	Quantity int64
	// Users is how many identities there are; arrivals beyond them come again with new keys.
	Users int
	// Identity returns the n-th identity, 0 … Users-1. It is called from several goroutines.
	Identity func(n int) (Identity, error)
	// Rate is arrivals per second, For how long they last; 0 means until every user has come once.
	Rate float64
	For  time.Duration
	// Constant spaces the arrivals evenly; otherwise they are a Poisson process.
	Constant bool
	// Seed decides everything that is drawn.
	Seed int64

	// Pay and Cancel are the shares of winners who do so; the rest walk away and let the window run out.
	Pay, Cancel float64
	// Retry is the share of buyers who ask again with the same key until the answer is final; Double the share who click twice.
	Retry, Double float64
	// Pass is the share of users who exchange their token for a pass before the arrivals begin.
	Pass float64
	// Outcomes is what the sandbox provider is asked to do, by weight; nil means that the body says nothing of it.
	Outcomes map[string]float64
	// Think is the mean time between winning and paying or cancelling; 0 means 200 ms.
	Think time.Duration

	// Linger is how long patient buyers go on after the last arrival; 0 means 5 s.
	Linger time.Duration
	// Settle bounds the time after that in which unknowns are settled; 0 means 30 s.
	Settle time.Duration
	// Timeout bounds one call; 0 means 5 s.
	Timeout time.Duration
	// Conns is how many connections there may be (0 means 256), MaxInFlight how many buyers may be in the middle of a step
	// (0 means 20,000).
	Conns, MaxInFlight int
	// Bind gives connections source addresses 127.x.y.z; for loopback targets only.
	Bind bool

	// History is the path to write the history to; "" means a temporary file that is removed.
	History string
	// Route is the placement to check orders against; see check.Options.
	Route func(slot int) (database, table int)
	// Progress, if not nil, is called about four times a second from one goroutine.
	Progress func(Progress)
	Clock    clock.Clock
}

// Identity is one user and what he proves it with.
type Identity struct{ User, Token string }

// Defaults.
const (
	defaultThink       = 200 * time.Millisecond
	defaultLinger      = 5 * time.Second
	defaultSettle      = 30 * time.Second
	defaultTimeout     = 5 * time.Second
	defaultMaxInFlight = 20_000
)

// outcomes are what the sandbox provider does on request.
var outcomes = []string{"capture", "fail", "lose", "duplicate", "reorder", "wrong_amount"}

// Validate names the field that is wrong and what is allowed.
func (c *Config) Validate() error {
	for _, s := range []struct {
		name  string
		value float64
	}{{"pay", c.Pay}, {"cancel", c.Cancel}, {"retry", c.Retry}, {"double", c.Double}, {"pass", c.Pass}, {"pay + cancel", c.Pay + c.Cancel}} {
		if !(s.value >= 0 && s.value <= 1) {
			return fmt.Errorf("%s is %v, a share between 0 and 1 is allowed", s.name, s.value)
		}
	}
	switch {
	case c.URL == "" || c.AdminURL == "":
		return fmt.Errorf("url and admin-url must both be given, such as http://127.0.0.1:8080 and http://127.0.0.1:8081")
	case c.Sale == "":
		return fmt.Errorf("sale must be given")
	case !(c.Rate > 0 && c.Rate <= 1e7):
		return fmt.Errorf("rate is %v arrivals a second, more than 0 is allowed (there is no closed loop)", c.Rate)
	case c.Users < 1 || c.Users > 50_000_000:
		return fmt.Errorf("users is %d, 1 to 50,000,000 are allowed", c.Users)
	case c.Conns < 0:
		return fmt.Errorf("conns is %d, 1 or more is allowed", c.Conns)
	case c.Quantity < 0:
		return fmt.Errorf("quantity is %d, 1 or more is allowed", c.Quantity)
	case c.Identity == nil:
		return fmt.Errorf("identity must be given: the buyers need tokens")
	case c.For < 0 || c.Linger < 0 || c.Settle < 0 || c.Timeout < 0 || c.Think < 0:
		return fmt.Errorf("durations must not be negative")
	}
	return c.weigh()
}

// weigh looks at the outcomes.
func (c *Config) weigh() error {
	sum := 0.0
	for name, w := range c.Outcomes {
		if !slices.Contains(outcomes, name) {
			return fmt.Errorf("outcome %q is none of %s", name, strings.Join(outcomes, ", "))
		}
		if !(w >= 0 && w <= 1e9) {
			return fmt.Errorf("outcome %s has weight %v, 0 to 1e9 is allowed", name, w)
		}
		sum += w
	}
	if c.Outcomes != nil && sum == 0 {
		return fmt.Errorf("outcomes have no weight: one of them must be more than 0")
	}
	return nil
}

func (c *Config) fill() {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&c.Think, defaultThink)
	set(&c.Linger, defaultLinger)
	set(&c.Settle, defaultSettle)
	set(&c.Timeout, defaultTimeout)
	if c.Quantity == 0 {
		c.Quantity = 1
	}
	if c.MaxInFlight == 0 {
		c.MaxInFlight = defaultMaxInFlight
	}
	if c.Clock == nil {
		c.Clock = clock.Real{}
	}
	if c.Progress == nil {
		c.Progress = func(Progress) {}
	}
}

// arrivals is how many buyers come.
func (c *Config) arrivals() int {
	if c.For == 0 {
		return c.Users
	}
	return max(1, int(c.Rate*c.For.Seconds()))
}
