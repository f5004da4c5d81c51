package shed

import (
	"fmt"
	"time"

	"penstock/internal/clock"
)

// Options tunes a shedder. The zero value is good.
type Options struct {
	Clock clock.Clock
	// Capacity is how many calls a second are let through, over all classes; 0 means as many as go.
	Capacity float64
	// InFlight is the most calls that run at once; 0 means 4096. Under pressure fewer do, but never fewer than Floor.
	InFlight int
	// Floor is the least that the limit falls to; 0 means 1024, or InFlight if that is less.
	Floor int
	// Target is the delay between a goroutine's being ready and its running, at the 90th percentile over a Tick, above which the
	// machine has too much to do; 0 means 30 ms.
	Target time.Duration
	// Waiting is the most calls that wait for their turn; 0 means 2048.
	Waiting int
	// Patience is how long a call of a class waits at most. Zero entries take the defaults: 2 s for paying, 1 s for those who
	// read what they won or ask for an outcome, 50 ms for all others.
	Patience [8]time.Duration
	// Tick is the pause between two looks at the pressure; 0 means 100 ms.
	Tick time.Duration
	// Pressure returns that delay over the time since it was last called; nil means the Go scheduler's.
	Pressure func() time.Duration
}

// Validate names the field that is out of range.
func (o Options) Validate() error {
	switch {
	case o.Capacity < 0 || o.Capacity > 10_000_000:
		return fmt.Errorf("capacity is %v: it must be between 1 and 10000000 calls a second, such as 5000, or off", o.Capacity)
	case o.InFlight < 0 || o.InFlight > 1<<20:
		return fmt.Errorf("inFlight is %d: it must be between 1 and 1048576, such as 4096", o.InFlight)
	case o.Floor < 0 || o.Floor > 1<<20:
		return fmt.Errorf("floor is %d: it must be between 1 and 1048576, such as 1024", o.Floor)
	case o.Target < 0 || o.Target > time.Minute:
		return fmt.Errorf("target is %v: it must be at most 1m, such as 30ms", o.Target)
	case o.Waiting < 0 || o.Waiting > 1<<20:
		return fmt.Errorf("waiting is %d: it must be between 1 and 1048576, such as 2048", o.Waiting)
	}
	for c, d := range o.Patience {
		if d < 0 || d > time.Minute {
			return fmt.Errorf("patience of %v is %v: it must be at most 1m, such as 50ms", Class(c), d)
		}
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.InFlight == 0 {
		o.InFlight = 4096
	}
	if o.Floor == 0 {
		o.Floor = 1024
	}
	o.Floor = min(o.Floor, o.InFlight)
	if o.Target == 0 {
		o.Target = 30 * time.Millisecond
	}
	if o.Waiting == 0 {
		o.Waiting = 2048
	}
	if o.Tick == 0 {
		o.Tick = 100 * time.Millisecond
	}
	if o.Pressure == nil {
		o.Pressure = schedulerDelay()
	}
	for _, c := range Classes() {
		if o.Patience[c] != 0 {
			continue
		}
		o.Patience[c] = 50 * time.Millisecond
		switch c {
		case Paying:
			o.Patience[c] = 2 * time.Second
		case ReadingWon, Confirming:
			o.Patience[c] = time.Second
		}
	}
	return o
}
