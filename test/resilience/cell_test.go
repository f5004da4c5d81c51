package resilience

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"penstock/check/history"
	"penstock/storm"
	"penstock/test/cluster/rig"
)

// Rates and times of a cell: arrivals before the fault, while it lasts and after it, at a rate that leaves a busy machine room.
const (
	rate   = 40.0
	lead   = 1500 * time.Millisecond
	after  = 4 * time.Second
	stocks = 0.75 // of the buyers get one

	// bound is how long anything may take to be well again before that is a failure.
	bound = 45 * time.Second
)

// result is what a cell showed in one run.
type result struct {
	observed
	// Ready is how long after the fault's end all processes were ready; UnreadyDuring are those that were not while it lasted.
	Ready         time.Duration
	UnreadyDuring int
	// Lines is the most lines a second that a process logged, over the whole cell.
	Lines float64
	Seed  int64
	Wrong []string
}

// run runs a cell. Whatever is wrong is in the result, not an end of the test.
func (w *world) run(t *testing.T, id string, f fault, seed int64) (res result) {
	res.Seed = seed
	lasts := f.lasts
	if lasts == 0 {
		lasts = usual
	}
	buyers := min(int(rate*(lead+lasts+f.start+after).Seconds()), mostBuyers)
	units := int(stocks * float64(buyers))
	sale := "s" + strconv.FormatInt(time.Now().UnixNano(), 36)
	if err := w.Offer(sale, units, 10*time.Minute); err != nil {
		res.Wrong = []string{err.Error()}
		return res
	}
	path := filepath.Join(t.TempDir(), "history.ndjson")
	reader := w.read(t.Context())
	begun, lines := time.Now(), w.lines()
	var from, to time.Time
	rep, err := w.Stampede(storm.Config{
		Sale: sale, Rate: rate, Seed: seed, Pay: 1, Retry: 0.85, Double: 0.05, History: path,
		Linger: 15 * time.Second, Settle: bound, Timeout: 8 * time.Second, Conns: 2048,
	}, w.tokens[:buyers], func(ctx context.Context) { from, to = w.disturb(ctx, f, lasts, &res) })
	lists := reader.stop()
	if err != nil {
		res.Wrong = append(res.Wrong, err.Error())
	} else {
		res.Wrong = append(res.Wrong, rig.Broken(rep, int64(units))...)
	}
	if res.observed, err = observe(path, lists, from, to); err != nil {
		res.Wrong = append(res.Wrong, err.Error())
	}
	if res.FirstWin < 0 && res.Before < units {
		res.Wrong = append(res.Wrong, "nobody won after the fault")
	}
	for _, n := range w.Nodes {
		res.Lines = max(res.Lines, float64(n.Lines()-lines[n.Name])/time.Since(begun).Seconds())
		if !n.Running() {
			res.Wrong = append(res.Wrong, n.Name+" has ended")
		}
	}
	return res
}

// disturb has the fault happen and returns when it began and ended; the end is when all is up again.
func (w *world) disturb(ctx context.Context, f fault, lasts time.Duration, res *result) (from, to time.Time) {
	if f.early != nil {
		f.early(w)
	}
	wait(ctx, lead)
	from = time.Now()
	f.begin(w)
	wait(ctx, lasts/2) // asking a process that is paused takes a while
	unready := w.unready()
	res.UnreadyDuring = len(unready)
	wait(ctx, time.Until(from.Add(lasts)))
	f.end(w)
	to = time.Now()
	for unready = w.unready(); len(unready) > 0 && time.Since(to) < bound && ctx.Err() == nil; unready = w.unready() {
		wait(ctx, 50*time.Millisecond)
	}
	res.Ready = time.Since(to)
	for _, err := range unready {
		res.Wrong = append(res.Wrong, fmt.Sprintf("not ready %v after the fault: %v", bound, err))
	}
	return from, to
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// unready are the processes that are not ready, with what they say.
func (w *world) unready() (errs []error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, n := range w.Nodes {
		all.Go(func() {
			if err := n.Ready(); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	all.Wait()
	return errs
}

func (w *world) lines() map[string]int64 {
	lines := map[string]int64{}
	for _, n := range w.Nodes {
		lines[n.Name] = n.Lines()
	}
	return lines
}

// reader is buyers who look at their orders, and an operator who looks at everybody's, ten times a second.
type reader struct {
	cancel context.CancelFunc
	all    sync.WaitGroup
	mu     sync.Mutex
	calls  []history.Record
}

const readEvery = 100 * time.Millisecond

func (w *world) read(ctx context.Context) *reader {
	r := &reader{}
	ctx, r.cancel = context.WithCancel(ctx)
	client := &http.Client{Timeout: 8 * time.Second}
	r.all.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			token := w.tokens[n%50]
			r.all.Go(func() { r.look(ctx, client, w.URL+"/v1/orders", token) })
			r.all.Go(func() { r.look(ctx, client, w.AdminURL()+"/admin/v1/orders?limit=10", w.Operator) })
			wait(ctx, readEvery)
		}
	})
	return r
}

func (r *reader) look(ctx context.Context, client *http.Client, url, token string) {
	call := history.Record{Op: list, TSend: time.Now()}
	if strings.Contains(url, "/admin/") {
		call.Op = listAll
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := client.Do(req)
	if ctx.Err() != nil {
		return // the end of the cell, not an answer
	}
	if err == nil {
		body, _ := io.ReadAll(resp.Body) // a torn body has no problem type
		resp.Body.Close()
		call.Status, call.TRecv = resp.StatusCode, time.Now()
		for _, problem := range []string{"reduced-capacity", "unknown-outcome"} {
			if strings.Contains(string(body), "/"+problem+`"`) {
				call.Problem = problem
			}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, call)
}

func (r *reader) stop() []history.Record {
	r.cancel()
	r.all.Wait()
	return r.calls
}
