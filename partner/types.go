package partner

import (
	"time"

	"penstock/errs"
)

// App is a third-party app. It never shows its secrets.
type App struct {
	ID, Name, Description string
	Enabled               bool
	// Why says why it is disabled.
	Why string
	// Sandbox apps reach sandbox things only. It is decided when the app is made and never changes.
	Sandbox bool
	// APIs are the names of what it may call, such as "sales.read".
	APIs []string
	// PerMinute and PerDay are the most calls; 0 leaves it to the rule for all apps.
	PerMinute, PerDay int
	// Secrets are those that have not ended, newest first.
	Secrets []SecretInfo
	// Version counts the changes.
	Version              int64
	CreatedAt, ChangedAt time.Time
}

// Use says what a secret is for.
type Use string

// Uses of a secret.
const (
	OAuth2  Use = "oauth2"  // client secret of the client-credentials grant
	Signing Use = "signing" // key of request signatures; its id is the keyid
)

// SecretInfo tells of a secret without showing it. Until is zero for one that has no end.
type SecretInfo struct {
	ID               string
	Use              Use
	CreatedAt, Until time.Time
}

// Secret is a secret at the moment it was made, which is the only moment its Text is known.
type Secret struct {
	SecretInfo
	Text string
}

// Definition is what an operator says of a new app.
type Definition struct {
	Name, Description string
	Sandbox           bool
	APIs              []string
	PerMinute, PerDay int
}

// Change is what an operator changes; nil fields stay.
type Change struct {
	Name, Description *string
	APIs              []string
	PerMinute, PerDay *int
}

// Act is what an operator does to an app, for the trail: who does what to what, why, and JSON of before and after.
type Act struct{ Who, Act, Object, Why, Before, After, ID string }

// Limits of what an operator may ask for.
const (
	maxApps        = 1000
	maxName        = 100
	maxDescription = 500
	maxAPIs        = 64
	// MaxPerMinute and MaxPerDay bound the quotas of an app.
	MaxPerMinute = 1_000_000
	MaxPerDay    = 10_000_000
	// MaxOverlap is the longest time that an old secret lives beside the new one.
	MaxOverlap = 30 * 24 * time.Hour
	// liveSecrets is how many secrets of one use live at a time.
	liveSecrets = 2
)

func notFound() error { return errs.New(errs.NotFound, "no such app or secret") }
