package app

import (
	"testing"
	"time"

	"penstock/auth"
	"penstock/internal/clock"
	"penstock/shed"
)

// Whoever holds something keeps the class of the call; whoever only claims to is lowered, once the process can know; providers
// and those who attempt or browse are neither raised nor lowered.
func TestClassFollowsWhatIsHeld(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(time.Unix(1_800_000_000, 0))
	h := newHolders(c, time.Hour)
	class := func(user string, base shed.Class) shed.Class { return h.Class("", auth.Identity{User: user}, base) }
	if got := class("nobody", shed.Paying); got != shed.Paying {
		t.Errorf("just after the start: %v", got)
	}
	c.Advance(time.Hour)
	h.saw("ann")
	for _, k := range []struct {
		user string
		base shed.Class
		want shed.Class
	}{
		{"ann", shed.Paying, shed.Paying}, {"ann", shed.ReadingWon, shed.ReadingWon}, {"ann", shed.Browsing, shed.Browsing},
		{"bob", shed.Paying, shed.Confirming}, {"bob", shed.ReadingWon, shed.Browsing},
		{"bob", shed.AttemptingWithPass, shed.AttemptingWithPass}, {"bob", shed.Attempting, shed.Attempting}, {"", shed.Paying, shed.Paying},
	} {
		if got := class(k.user, k.base); got != k.want {
			t.Errorf("%q with %v: %v, want %v", k.user, k.base, got, k.want)
		}
	}
	c.Advance(time.Hour)
	if got := class("ann", shed.Paying); got != shed.Confirming {
		t.Errorf("ann, an hour later: %v", got)
	}
}
