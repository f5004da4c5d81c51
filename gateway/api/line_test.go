package api

import (
	"bufio"
	"context"
	"strings"
	"testing"
	"time"

	"penstock/errs"
	"penstock/line"
	"penstock/line/draw"
)

// linesRoom has one entry, ann's, 1-2, and a draw whose pot is open.
type linesRoom struct{ *rooms }

func (linesRoom) entry(saleID, user string, id line.ID) (line.Entry, error) {
	if saleID != "flash" || user != "ann" || id != (line.ID{Line: 1, Seq: 2}) {
		return line.Entry{}, errs.New(errs.NotFound, "there is no such entry")
	}
	return line.Entry{ID: id, Sale: saleID, SKU: "sku-1", State: "waiting", Position: 2, Reach: line.InReach, Wait: -1, Error: -1, JoinedAt: start}, nil
}

func (r linesRoom) Join(_ context.Context, q line.Request) (line.Entry, error) {
	r.note("join " + q.User + " " + q.SKU)
	if q.Sale != "flash" {
		return line.Entry{}, noSale()
	}
	return line.Entry{ID: line.ID{Line: 1, Seq: 2}, Sale: q.Sale, SKU: "sku-1", State: "waiting", Position: 2, Wait: -1, Error: -1, JoinedAt: start}, nil
}

func (r linesRoom) Look(_ context.Context, saleID, user string, id line.ID) (line.Entry, error) {
	return r.entry(saleID, user, id)
}

func (r linesRoom) Leave(_ context.Context, saleID, user string, id line.ID) (line.Entry, error) {
	return r.entry(saleID, user, id)
}

func (linesRoom) Live(user string) []line.Place {
	if user != "ann" {
		return nil
	}
	return []line.Place{{Sale: "flash", ID: line.ID{Line: 1, Seq: 2}}}
}

func (linesRoom) Changed(line.ID) <-chan struct{} { return nil }

func (linesRoom) Draws(_ context.Context, saleID string) (draw.Documents, error) {
	if saleID != "flash" {
		return draw.Documents{}, noSale()
	}
	return draw.Documents{Draws: []draw.Document{{Version: 1, Sale: saleID, SKU: "sku-1", State: draw.Collecting}}}, nil
}

func (linesRoom) Standing(context.Context, string) ([]line.Line, error) {
	return []line.Line{{Sale: "flash", SKU: "sku-1", Wait: -1}}, nil
}

func (r linesRoom) Give(_ context.Context, who, saleID, value, reason string) error {
	r.note("give " + who + " " + saleID + " " + value + " " + reason)
	return nil
}

// The stream of a user's orders shows his places in lines too: once, and again only when they change.
func TestEventStreamShowsPlaces(t *testing.T) {
	t.Parallel()
	h := setup(t)
	res := h.listen(t, h.serve(t), "")
	in := bufio.NewScanner(res.Body)
	next := func() (event, data string) {
		for in.Scan() && in.Text() != "" {
			if e, ok := strings.CutPrefix(in.Text(), "event: "); ok {
				event = e
			}
			if d, ok := strings.CutPrefix(in.Text(), "data: "); ok {
				data = d
			}
		}
		return event, data
	}
	event, data := "", ""
	for event == "" { // comments are signs of life
		event, data = next()
	}
	if event != "entry" || !strings.Contains(data, `"entry":"1-2"`) || !strings.Contains(data, `"position":2`) {
		t.Errorf("got %s %s", event, data)
	}
	for range 3 {
		for h.clock.Timers() == 0 {
			time.Sleep(time.Millisecond) // polling until the stream waits
		}
		h.clock.Advance(lineEvery)
	}
	h.rooms.events <- theOrder()
	for event = ""; event == ""; {
		event, _ = next()
	}
	if event != "order" {
		t.Errorf("an entry that has not changed came as %s again", event)
	}
}
