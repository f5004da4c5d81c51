package storm

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"penstock/check"
	"penstock/check/history"
	"penstock/storm/wire"
)

// ErrUnreachable says that the server could not be reached before the stampede began.
var ErrUnreachable = check.ErrUnreachable

// ErrNotOffered says that the server does not have what the buyers were to come for.
var ErrNotOffered = errors.New("not on offer")

// person is an identity with its address and, if it was exchanged in time, the pass for this sale.
type person struct {
	Identity
	address, pass string
}

type storm struct {
	cfg       Config
	client    *wire.Client
	admin     check.Source
	log       *history.Writer
	meter     *meter
	people    []person
	skus      []string
	outcomes  []string
	keyPrefix string
	salePath  string
	lined     bool // the sale admits by a line or a draw
	start     time.Time
	span      time.Duration // from the start to the last arrival's due time
	calls     atomic.Uint64
	passes    atomic.Int64
	noPass    atomic.Int64
	responses sync.Pool
	phase     atomic.Value // Phase

	rest    []*buyer // who still waited when the time was over
	left    []*buyer // whose outcome is to be settled; touched by the schedule's goroutine and after it
	points  []Point  // touched by the sampler only, until it has ended
	counted Counts
}

// Run runs the stampede to its verdict. The error wraps [ErrUnreachable] when the server could not be reached to begin with or
// to be judged; a report with verdict fail is not an error.
func Run(ctx context.Context, cfg Config) (rep Report, err error) {
	if err := cfg.Validate(); err != nil {
		return rep, err
	}
	cfg.fill()
	s, err := newStorm(cfg)
	if err != nil {
		return rep, err
	}
	defer func() { err = errors.Join(err, s.client.Close()) }()
	file, path, err := openHistory(cfg.History)
	if err != nil {
		return rep, err
	}
	s.log = history.NewWriter(file)
	err = s.rage(ctx)
	err = errors.Join(err, s.log.Flush(), file.Close())
	if err == nil {
		rep, err = s.judge(ctx, path)
	}
	if cfg.History == "" {
		err = errors.Join(err, os.Remove(path))
	}
	return rep, err
}

func openHistory(path string) (*os.File, string, error) {
	if path != "" {
		f, err := os.Create(path)
		return f, path, err
	}
	f, err := os.CreateTemp("", "penstock-history-*.ndjson")
	if err != nil {
		return nil, "", err
	}
	return f, f.Name(), nil
}

func newStorm(cfg Config) (*storm, error) {
	client, err := wire.New(cfg.URL, wire.Options{Conns: cfg.Conns, Timeout: cfg.Timeout, Bind: cfg.Bind})
	if err != nil {
		return nil, err
	}
	s := &storm{
		cfg: cfg, client: client, meter: newMeter(), outcomes: slices.Sorted(maps.Keys(cfg.Outcomes)),
		admin:     check.HTTP(cfg.AdminURL, cfg.AdminToken, &http.Client{Timeout: time.Minute}),
		keyPrefix: "storm-" + strconv.FormatInt(cfg.Seed, 10) + "-" + strconv.FormatInt(cfg.Clock.Now().UnixMilli(), 36) + "-", salePath: "/v1/sales/" + url.PathEscape(cfg.Sale),
		start: cfg.Clock.Now(),
	}
	s.responses.New = func() any { return new(wire.Response) }
	s.phase.Store(Preparing)
	return s, nil
}

// rage prepares, lets the buyers come, and settles what is open.
func (s *storm) rage(ctx context.Context) error {
	s.tell(Counts{})
	opens, err := s.scout(ctx)
	if err != nil {
		return err
	}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	if err := s.wait(ctx, opens); err != nil {
		return err
	}
	s.start = s.cfg.Clock.Now()
	s.phase.Store(Storming)
	sampling, stop := context.WithCancel(ctx)
	var background sync.WaitGroup
	background.Go(func() { s.sample(sampling) })
	background.Go(func() { s.flush(sampling) })
	defer background.Wait()
	defer stop()
	arrivals := s.newArrivals(s.start)
	s.rest = s.newSchedule().run(ctx, arrivals, s.cfg.Linger)
	for _, b := range s.rest {
		s.leave(b)
	}
	s.span = arrivals.last.Sub(s.start)
	s.phase.Store(Settling)
	until := s.cfg.Clock.Now().Add(s.cfg.Settle)
	s.finish(ctx, until)
	s.settle(ctx, until)
	s.lastCall(ctx, until)
	s.settle(ctx, until)
	s.phase.Store(Checking)
	return ctx.Err()
}

// flush hands the history to the operating system ten times a second.
func (s *storm) flush(ctx context.Context) {
	for ctx.Err() == nil {
		t := s.cfg.Clock.NewTimer(100 * time.Millisecond)
		select {
		case <-t.C():
		case <-ctx.Done():
			t.Stop()
		}
		if s.log.Flush() != nil {
			return // the error is kept and reported at the end
		}
	}
}

// scout looks at the sale: what it sells and how long until it opens.
func (s *storm) scout(ctx context.Context) (opens time.Duration, err error) {
	who, err := s.cfg.Identity(0)
	if err != nil {
		return 0, fmt.Errorf("identity 0: %w", err)
	}
	var resp wire.Response
	if err := s.client.Do(ctx, &wire.Request{Method: "GET", Path: s.salePath, Token: who.Token, From: address(0)}, &resp); err != nil {
		return 0, fmt.Errorf("%w: %s: %w", ErrUnreachable, s.cfg.URL, err)
	}
	if resp.Status == http.StatusNotFound {
		return 0, fmt.Errorf("%w: the server at %s has no sale %q, or it is not the public listener", ErrNotOffered, s.cfg.URL, s.cfg.Sale)
	}
	if resp.Status != http.StatusOK {
		return 0, fmt.Errorf("%w: %s answered GET %s with %d (%s); is it the public listener of a Penstock, and are the tokens its own?", ErrUnreachable, s.cfg.URL, s.salePath, resp.Status, said(resp.Body))
	}
	var sale struct {
		StartsAt   time.Time              `json:"startsAt"`
		ServerTime time.Time              `json:"serverTime"`
		Items      []struct{ SKU string } `json:"items"`
		Admission  string                 `json:"admission"`
	}
	if err := json.Unmarshal(resp.Body, &sale); err != nil || len(sale.Items) == 0 {
		return 0, fmt.Errorf("%w: GET %s at %s does not answer with a sale that has items; is it the public listener of a Penstock?", ErrUnreachable, s.salePath, s.cfg.URL)
	}
	s.lined = sale.Admission == "line" || sale.Admission == "draw"
	for _, it := range sale.Items {
		if s.cfg.SKU == "" || s.cfg.SKU == it.SKU {
			s.skus = append(s.skus, it.SKU)
		}
	}
	if len(s.skus) == 0 {
		return 0, fmt.Errorf("%w: sku is %q, the sale does not sell it", ErrNotOffered, s.cfg.SKU)
	}
	return sale.StartsAt.Sub(sale.ServerTime), nil
}

// said is what an answer that is no success says for people.
func said(body []byte) string {
	var p struct{ Title, Detail string }
	if json.Unmarshal(body, &p) != nil || p.Title == "" && p.Detail == "" {
		return "nothing that Penstock says"
	}
	return cmp.Or(p.Detail, p.Title)
}

// prepare mints the identities and exchanges a share of the tokens for passes.
func (s *storm) prepare(ctx context.Context) error {
	s.people = make([]person, s.cfg.Users)
	const width = 32
	errs := make(chan error, width)
	var wg sync.WaitGroup
	for w := range width {
		wg.Go(func() {
			for n := w; n < len(s.people) && ctx.Err() == nil; n += width {
				who, err := s.cfg.Identity(n)
				if err != nil {
					errs <- fmt.Errorf("identity %d: %w", n, err)
					return
				}
				p := &s.people[n]
				p.Identity, p.address = who, address(n)
				if float64(n%100) < s.cfg.Pass*100 {
					s.exchange(ctx, p)
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	return errors.Join(<-errs, ctx.Err())
}

const longestWait = 10 * time.Minute

// wait waits for the opening.
func (s *storm) wait(ctx context.Context, opens time.Duration) error {
	if opens <= 0 {
		return nil
	}
	if opens > longestWait {
		return fmt.Errorf("the sale opens only in %v; a storm waits %v at most", opens.Round(time.Second), longestWait)
	}
	if !s.pause(ctx, opens, s.cfg.Clock.Now().Add(2*longestWait)) {
		return ctx.Err()
	}
	return nil
}
