package driver

import "time"

// How a sale admits buyers.
const (
	AdmitOpen = "open"
	// AdmitLine admits in order of arrival.
	AdmitLine = "line"
	// AdmitDraw draws the order of those who came until LineRules.ClosesAt, and admits later ones behind them.
	AdmitDraw = "draw"
)

// LineRules is how a sale's line or draw goes. Zero values take the defaults of the process that admits.
type LineRules struct {
	// Reach is how many entries may stand in line per unit that is not sold; see line.Rules.
	Reach float64 `json:"reach,omitempty"`
	// RatePerSecond is the most entries to admit in a second.
	RatePerSecond int64 `json:"ratePerSecond,omitempty"`
	// PassSeconds is how long a pass is good for; AwaySeconds how long one may be silent and still be called.
	PassSeconds int64 `json:"passSeconds,omitempty"`
	AwaySeconds int64 `json:"awaySeconds,omitempty"`
	// ProofBits is the work to be done before joining; 0 takes the default, -1 is none.
	ProofBits int64 `json:"proofBits,omitempty"`
	// ClosesAt is when the pot of a draw closes; zero means when the sale starts.
	ClosesAt time.Time `json:"closesAt,omitzero"`
	// PublicSource names the public value that the draw waits for, told before it closes, such as "drand quicknet round 4711".
	// A draw needs one: else who knows its secret could try out lists.
	PublicSource string `json:"publicSource,omitempty"`
}
