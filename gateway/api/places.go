package api

import (
	"context"
	"time"

	"penstock/internal/clock"
	"penstock/line"
)

// places shows a user's entries in lines and draws on his stream.
type places struct {
	room  Places
	user  string
	shown map[line.Place]string // what was last shown of each that has not ended
}

// timer fires when it is time to look; never where no lines are served.
func (p places) timer(c clock.Clock, d time.Duration) clock.Timer {
	if p.room == nil {
		return never{}
	}
	return c.NewTimer(d)
}

// never is a timer that does not fire.
type never struct{ clock.Timer }

func (never) C() <-chan time.Time { return nil }
func (never) Stop() bool          { return true }

// changed writes the entries that have changed. An entry that cannot be looked at now is shown the next time.
func (p places) changed(ctx context.Context, st *stream) error {
	for _, at := range p.room.Live(p.user) {
		if _, known := p.shown[at]; !known {
			p.shown[at] = ""
		}
	}
	for at, was := range p.shown {
		e, err := p.room.Look(ctx, at.Sale, p.user, at.ID)
		if err != nil {
			continue
		}
		if p.shown[at] = was; e.Ended() {
			delete(p.shown, at)
		}
		body, event := entryEvent(e)
		if body == was {
			continue
		}
		if err := st.write(event); err != nil {
			return err
		}
		if !e.Ended() {
			p.shown[at] = body
		}
	}
	return nil
}
