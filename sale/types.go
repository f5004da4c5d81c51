package sale

import (
	"time"

	"penstock/stock/driver"
)

// State is where a sale stands.
//
//	scheduled ─► open ◄──► paused
//	               │ ▲        │
//	               ▼ │        │
//	           sold_out       │
//	               └──► closed ◄┘
//
// scheduled, open and closed follow the clock of the stock database; pause, resume, close and force_sold_out are an
// operator's; sold_out is true while nothing is available and nothing is held, and ends when stock comes back.
type State string

// Sale states.
const (
	Scheduled State = "scheduled"
	Open      State = "open"
	Paused    State = "paused"
	SoldOut   State = "sold_out"
	Closed    State = "closed"
)

// Availability is how much is left, told coarsely.
type Availability string

// Availability levels: Plenty is over 10 % of the offer, Few is less, Held means that none is free but unpaid holds exist.
const (
	Plenty Availability = "plenty"
	Few    Availability = "few"
	Held   Availability = "held"
	None   Availability = "none"
)

// Action is what an operator may do to a whole sale.
type Action string

// Actions. Open starts a scheduled sale now; Resume ends a pause or a forced sold-out.
const (
	DoOpen         Action = "open"
	DoPause        Action = "pause"
	DoResume       Action = "resume"
	DoForceSoldOut Action = "force_sold_out"
	DoClose        Action = "close"
)

// View is a sale as buyers see it.
type View struct {
	ID         string     `json:"id"`
	Title      string     `json:"title"`
	State      State      `json:"state" enum:"scheduled,open,paused,sold_out,closed"`
	StartsAt   time.Time  `json:"startsAt"`
	EndsAt     time.Time  `json:"endsAt"`
	ServerTime time.Time  `json:"serverTime"`
	Items      []ItemView `json:"items"`
	Admission  string     `json:"admission" enum:"open,line,draw"`
	// WaitingList says that buyers may wait for units that come back.
	WaitingList bool `json:"waitingList" doc:"whether buyers may wait for units that come back"`
	// Line is how the line or the draw goes, where the sale says so itself.
	Line *driver.LineRules `json:"line,omitempty"`
}

// ItemView is one SKU of a View. Price is in minor units of Currency; LimitPerUser 0 means no limit.
type ItemView struct {
	SKU          string       `json:"sku"`
	Title        string       `json:"title"`
	Price        int64        `json:"price"`
	Currency     string       `json:"currency"`
	LimitPerUser int64        `json:"limitPerUser"`
	Availability Availability `json:"availability" enum:"plenty,few,held,none"`
}

// Definition is a sale as an operator writes it. Zero values take the defaults of [Options].
type Definition struct {
	ID                   string    `json:"id,omitempty"`
	Title                string    `json:"title"`
	StartsAt             time.Time `json:"startsAt"`
	EndsAt               time.Time `json:"endsAt"`
	PaymentWindowSeconds int64     `json:"paymentWindowSeconds,omitempty"`
	GraceSeconds         *int64    `json:"graceSeconds,omitempty"`
	Admission            string    `json:"admission,omitempty"`
	WaitingList          bool      `json:"waitingList,omitempty"`
	// Line is how a line or a draw goes; members left out take the defaults of the server.
	Line  *driver.LineRules `json:"line,omitempty"`
	Items []ItemDefinition  `json:"items"`
}

// ItemDefinition is one SKU of a Definition. Price is in minor units; Stock is how many units are offered.
type ItemDefinition struct {
	SKU          string `json:"sku"`
	Title        string `json:"title"`
	Price        int64  `json:"price"`
	Currency     string `json:"currency"`
	Stock        int64  `json:"stock"`
	LimitPerUser int64  `json:"limitPerUser"`
}

// Patch changes a sale. Nil fields stay as they are. Stock is changed by its own call, never here.
type Patch struct {
	Title                *string    `json:"title,omitempty"`
	StartsAt             *time.Time `json:"startsAt,omitempty"`
	EndsAt               *time.Time `json:"endsAt,omitempty"`
	PaymentWindowSeconds *int64     `json:"paymentWindowSeconds,omitempty"`
	GraceSeconds         *int64     `json:"graceSeconds,omitempty"`
}

// Detail is a sale as operators see it: the definition, the state and the stock rows.
type Detail struct {
	View
	Version              int64          `json:"version"`
	PaymentWindowSeconds int64          `json:"paymentWindowSeconds"`
	GraceSeconds         int64          `json:"graceSeconds"`
	Paused               bool           `json:"paused"`
	ForcedSoldOut        bool           `json:"forcedSoldOut"`
	Levels               []driver.Stock `json:"-"`
}

// Why explains an answer to one attempt: when it arrived, its place in the order of decision (0 if it was never decided),
// what each stage said, and the rule that decided.
type Why struct {
	Key     string       `json:"key"`
	Arrived time.Time    `json:"arrivedAt"`
	Place   uint64       `json:"place,omitempty"`
	Stages  []WhyVerdict `json:"stages"`
	Rule    string       `json:"rule"`
}

// WhyVerdict is what one stage said.
type WhyVerdict struct {
	Stage   string `json:"stage"`
	Verdict string `json:"verdict"`
}
