package app

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"penstock/gateway/api"
	"penstock/stock/driver"
)

// A process that dies during a rehearsal leaves a copy that is open, and orders of it that are paid at the sandbox. Whoever can rehearse
// looks for such copies, ends them and takes back what they sold, as the process itself would have done.

const (
	leftBehind  = time.Minute // beyond the end of a copy: nobody who lives works on it any more
	longestRest = time.Hour   // between two tries to take back what cannot be taken back
)

// remnant is a rehearsal of a process that has gone.
type remnant struct {
	report *api.Rehearsal
	tries  int
	next   time.Time
}

// watch looks for what was left behind, at once and then now and then.
func (r *rehearsals) watch() {
	r.done.Go(func() {
		for {
			if err := r.sweep(r.life); err != nil && r.life.Err() == nil {
				r.log.Warn("looking for unfinished rehearsals", "error", err.Error())
			}
			t := r.opt.Clock.NewTimer(housekeepEvery)
			select {
			case <-t.C():
			case <-r.life.Done():
				t.Stop()
				return
			}
		}
	})
}

// sweep goes through the copies that are open or hold units. Alone, whatever this process does not run is nobody's; beside others, what
// has ended long enough ago.
func (r *rehearsals) sweep(ctx context.Context) error {
	snap, err := r.stock.Snapshot(ctx)
	if err != nil {
		return err
	}
	out := map[string]int64{}
	for i := range snap.Stock {
		out[snap.Stock[i].Sale] += snap.Stock[i].Held + snap.Stock[i].Sold
	}
	for i := range snap.Sales {
		doc := &snap.Sales[i]
		id, copied := strings.CutPrefix(doc.ID, api.RehearsalSales)
		switch {
		case !copied || !doc.ClosedAt.IsZero() && out[doc.ID] == 0, r.own(id):
		case r.cfg.Shared() && snap.Now.Before(doc.EndsAt.Add(leftBehind)):
		default:
			if err := r.finish(ctx, id, doc); err != nil {
				return err
			}
		}
	}
	return nil
}

// own says whether this process ran a rehearsal, or runs it.
func (r *rehearsals) own(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.all {
		if one.ID == id {
			return r.left[id] == nil
		}
	}
	return false
}

// finish cleans up after a process that has gone, and says so in the report and in the trail. What cannot be taken back is tried again,
// less and less often.
func (r *rehearsals) finish(ctx context.Context, id string, doc *driver.Sale) error {
	rest, err := r.remnant(ctx, id, doc)
	if err != nil || rest == nil || r.opt.Clock.Now().Before(rest.next) {
		return err
	}
	cleaned := r.clean(ctx, rest.report)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	snap, err := r.stock.Snapshot(ctx)
	if err != nil {
		return err
	}
	var out int64
	for i := range snap.Stock {
		if snap.Stock[i].Sale == doc.ID {
			out += snap.Stock[i].Held + snap.Stock[i].Sold
		}
	}
	const gone = "the process that ran it stopped before its end"
	if rest.tries++; out == 0 && cleaned == nil {
		err = r.stock.Record(ctx, driver.Audit{Who: rehearsalWho, Act: "sale.rehearsal.end", Object: "sale/" + rest.report.Sale, Why: gone + "; its copy was closed and everything taken back", ID: "rehearsal-end-" + id})
		r.set(rest.report, func() {
			rest.report.Note = gone + "; its copy was closed and everything that it had sold was taken back"
		})
		r.log.Info("an unfinished rehearsal was cleaned up", "rehearsal", id, "sale", rest.report.Sale)
		return err
	}
	rest.next = r.opt.Clock.Now().Add(min(time.Second<<min(rest.tries, 12), longestRest))
	r.set(rest.report, func() {
		rest.report.Note = fmt.Sprintf("%s; its copy was closed, and %d units are still to be taken back", gone, out)
	})
	return nil
}

// remnant finds or makes the report of a rehearsal whose process has gone; nil when the trail says that it was finished, so that only
// some refund goes on by itself.
func (r *rehearsals) remnant(ctx context.Context, id string, doc *driver.Sale) (*remnant, error) {
	r.mu.Lock()
	rest := r.left[id]
	r.mu.Unlock()
	if rest != nil {
		return rest, nil
	}
	one := &api.Rehearsal{
		ID: id, Sale: strings.TrimPrefix(doc.Title, rehearsalTitle), Shadow: doc.ID, State: "failed", Verdict: "no-go", StartedAt: doc.Created, Answers: map[string]int64{},
		Reasons: []api.RehearsalReason{{What: "storm", Detail: "the process that ran it stopped before its end"}},
	}
	ended, err := r.told(ctx, one)
	if err != nil || ended {
		return nil, err
	}
	rest = &remnant{report: one}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left[id] = rest
	r.all = append(r.all, one)
	if len(r.all) > rehearsalsKept {
		r.all = r.all[1:]
	}
	return rest, nil
}

// told fills in what the trail has of a rehearsal, and says whether it has its end.
func (r *rehearsals) told(ctx context.Context, one *api.Rehearsal) (ended bool, err error) {
	for after := uint64(0); ; {
		page, err := r.stock.Audit(ctx, after, 1000)
		if err != nil || len(page) == 0 {
			return ended, err
		}
		for _, row := range page {
			switch after = row.Seq; row.ID {
			case "rehearsal-" + one.ID:
				_ = json.Unmarshal([]byte(row.After), &one.Plan) // for people to read
				one.Arrivals = int64(one.Plan.Rate * one.Plan.Seconds)
			case "rehearsal-end-" + one.ID:
				ended = true
			}
		}
	}
}
