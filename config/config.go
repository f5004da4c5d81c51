// Package config is the one configuration of a Penstock: every key is defined once, in [Keys], with its type, default, unit,
// help and example, and the flags, the sample file and the reference in docs/config.md come from those definitions.
//
// [Load] reads one YAML file, then PENSTOCK_… environment variables, then flags; later wins. It promises that a key nobody
// defined is an error, that every error names the key, the value and a value that would work, and that the Config it returns
// is valid as a whole. It does not open, create or contact anything but the file it is given. A Config is plain data: safe to
// copy and, while nobody changes it, to share.
package config

import (
	"net/netip"
	"slices"
	"time"
)

// Config is everything an operator decides. The zero value is not valid; start from [Default].
type Config struct {
	Data string
	// Target are the roles of the process, see [Config.Has].
	Target         []string
	Node           int
	Stock          string
	Orders         string
	Gate           string
	Gateway        Gateway
	Bus            string
	Listen         Listen
	Keys           KeyRing
	Limits         Limits
	Line           Line
	TrustedProxies []netip.Prefix
	Payment        Payment
	Sales          Sales
	Transactions   Transactions
	Identity       Identity
	Webhooks       Webhooks
	Apps           Apps
	Problems       string
	BodyLimit      int64 // bytes
	HeaderLimit    int64 // bytes
	Timeouts       Timeouts
	Batch          Batch
	OrderWriter    OrderWriter
	Log            Log
	Trace          Trace
	Pprof          bool
	DemoLogin      bool
	Monitor        Monitor
}

// Listen holds the addresses, host:port; port 0 takes a free one.
type Listen struct{ Public, Admin, Probe, Sandbox string }

// Gateway is about the policy of the public listener.
type Gateway struct {
	File string // "" is the built-in policy, made of Limits
}

// KeyRing is about tokens and the keys that sign them.
type KeyRing struct {
	File    string // "" is keys.json in the data directory
	PassTTL time.Duration
}

// Limits are the quotas of the public listener.
type Limits struct {
	IP, User, API, Attempt Rate
	// Shared is "off" or the URL of the Redis in which all instances count together.
	Shared string
}

// Line is how lines and draws go that do not say themselves.
type Line struct {
	Reach, Rate int
	Pass, Away  time.Duration
	Target      time.Duration
	ProofBits   int
}

// Payment is about paying for orders.
type Payment struct {
	Window   time.Duration
	Grace    time.Duration
	Provider string
	// Providers are the methods that a buyer may name, Provider the one that metrics of new orders are counted under.
	Providers []string
	LateMoney string
	CaseAfter time.Duration
	QueryMax  time.Duration
	Sandbox   string // base URL of the sandbox provider in another process; "" means this process
	Callback  string // base URL of the public listener that providers report to; "" means this process
	Secret    string // "" means that one is made and kept in the data directory
}

// Webhooks is about telling other systems.
type Webhooks struct {
	Key           string // seals the secrets of endpoints; "" means that one is made and kept in the data directory
	AllowInsecure bool
	AllowPrivate  bool
}

// Apps is about third-party apps.
type Apps struct {
	Key      string // seals signing secrets; "" means that one is made and kept in the data directory
	TokenTTL time.Duration
}

// Sales is about sales that have ended.
type Sales struct {
	Keep time.Duration // of final noes and limits in use; 0 means for ever
}

// Transactions is about transactions across services.
type Transactions struct {
	Participants []Named // services elsewhere that take part
	Secret       string  // signs the calls to them; "" means that one is made and kept in the data directory
	Bearers      []Credential
	Timeout      time.Duration
	Call         time.Duration
	Tries        int
	Keep         time.Duration // of those that have ended; 0 means for ever
}

// Identity is about the logins of the back office.
type Identity struct {
	Issuer     string // "" means that no other system may use the login
	Key        string // seals and signs; "" means that one is made and kept in the data directory
	Idle, Life time.Duration
}

// Timeouts bound how long each thing may take.
type Timeouts struct{ Attempt, Body, Write, Idle, Drain time.Duration }

// Batch is the group commit of attempts.
type Batch struct {
	Size int
	Wait time.Duration
}

// OrderWriter is the batch insert of orders, per database.
type OrderWriter struct {
	Rows int
	Wait time.Duration
	Pace Rate // rows; off means as fast as the database takes them
}

// Log is about the log.
type Log struct {
	Level  string
	Sample float64 // share of attempts that are logged; errors always are
	Env    string
}

// Trace is about spans.
type Trace struct {
	Sample float64 // share of requests without a sampled parent; errors are always kept
	Export string  // "off", "log" or a file
}

// Monitor is about the live watch over the invariants of a sale.
type Monitor struct {
	Every  time.Duration // 0 is off
	Freeze bool
}

// Rate is N events per Per. The zero Rate means off.
type Rate struct {
	N   int64
	Per time.Duration
}

// Off reports whether nothing is limited.
func (r Rate) Off() bool { return r.N == 0 }

// PerSecond returns the rate in events per second, 0 when off.
func (r Rate) PerSecond() float64 {
	if r.Off() {
		return 0
	}
	return float64(r.N) / r.Per.Seconds()
}

// Has reports whether the process has one of the roles.
func (c Config) Has(roles ...string) bool {
	return slices.ContainsFunc(c.Target, func(have string) bool { return have == RoleAll || slices.Contains(roles, have) })
}

// OrdersEngine returns the engine of the orders: its own, or that of the stock.
func (c Config) OrdersEngine() string {
	if c.Orders == "" {
		return c.Stock
	}
	return c.Orders
}

// Shared reports whether other processes may use the same stock database.
func (c Config) Shared() bool { return c.Stock != "sqlite:" }
