package line

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// state is where an entry stands.
//
//	waiting ◄─► away (silent when its turn came; it keeps its place)
//	   │          ▲
//	   ▼          │ the pass was not collected
//	 called ──────┘
//	   │ collects
//	   ▼
//	 passed ─► used (the pass bound an attempt) | expired
//
// waiting, away, called and passed may also be left.
type state uint8

const (
	waiting state = iota
	away
	called
	passed
	used
	expired
	left
)

func (s state) live() bool { return s <= passed }

func (s state) String() string {
	return [...]string{"waiting", "away", "called", "admitted", "used", "expired", "left"}[s]
}

// ID names an entry among those of all lines: its line and its number there.
type ID struct {
	Line int64
	Seq  uint64
}

const seqBits = 40

// Number is the id as passes carry it.
func (i ID) Number() uint64 { return uint64(i.Line)<<seqBits | i.Seq }

func idOf(number uint64) ID { return ID{int64(number >> seqBits), number & (1<<seqBits - 1)} }

func (i ID) String() string { return fmt.Sprintf("%d-%d", i.Line, i.Seq) }

// Ended says that nothing will become of the entry any more: who wants to buy joins again.
func (e *Entry) Ended() bool {
	return e.State == used.String() || e.State == expired.String() || e.State == left.String()
}

// ParseID reads what String wrote, and nothing else.
func ParseID(text string) (ID, bool) {
	a, b, _ := strings.Cut(text, "-")
	l, err := strconv.ParseInt(a, 10, 64)
	n, err2 := strconv.ParseUint(b, 10, seqBits)
	id := ID{l, n}
	return id, err == nil && err2 == nil && l > 0 && id.String() == text
}

// Reach says whether the stock reaches an entry.
type Reach string

// Reaches. InReach: there is a unit even if everybody ahead takes what buyers took so far. Unlikely: only if some ahead do not buy
// or pay. Gone: nothing is left, or far too much is ahead.
const (
	InReach  Reach = "in-reach"
	Unlikely Reach = "unlikely"
	Gone     Reach = "gone"
)

// Entry is an entry as its user sees it.
type Entry struct {
	ID        ID
	Sale, SKU string
	// State is pot, waiting, admitted, used, expired or left.
	State string
	// Position is 1 for the next to be called; 0 when there is none. Places count who is there: who is away is passed over.
	Position int
	// Drawn is the place that the draw gave, from 1; 0 when none did.
	Drawn int
	Reach Reach
	// Wait is how long it will be, give or take Error; both are negative where nothing can be said.
	Wait, Error time.Duration
	JoinedAt    time.Time
	// Pass admits one attempt until Expires, from the start of the sale on.
	Pass    string
	Expires time.Time
	// Poll is when to look again; 0 when the entry has ended.
	Poll time.Duration
	// Entrant and Salt let the user of a draw find himself: Entrant is SHA-256 of Salt and his id, as the list has it.
	Entrant, Salt string
	// Again is true when the entry was there before this call.
	Again bool
}

// Line is a line as operators see it.
type Line struct {
	Sale, SKU, Admission                                        string
	Waiting, Away, Called, Admitted, Used, Expired, Left, Total int
	// Open says whether it takes new entries, Rate how many a second may be called now, Pace how many left the head of the line a
	// second lately.
	Open       bool
	Rate, Pace float64
	Wait       time.Duration // of who would join now; negative where nothing can be said
	// Draw is "", collecting, closed (waits for the public value) or drawn.
	Draw string
}
