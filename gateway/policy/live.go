package policy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"penstock/breaker"
	"penstock/gateway"
	"penstock/internal/clock"
)

// Options tunes a [Live]. The zero value is good.
type Options struct {
	Clock  clock.Clock
	Logger *slog.Logger
	// Every is the pause between two looks at the file; 0 means 250 ms. A change is used when two looks in a row saw the same.
	Every time.Duration
	// Loaded is told how each try to use a file went, the first excepted; nil means nobody is.
	Loaded func(err error)
}

// Live keeps the policy in use: it reads the file, and reads it again when it changes or somebody asks.
type Live struct {
	path  string
	rooms Rooms
	o     Options

	mu       sync.Mutex
	gateways []Preparer
	now      *built
	status   Status
	running  bool
	stop     context.CancelFunc
	done     chan struct{}
	retired  retired
	seen     string // hash of the file at the last look
	text     []byte // of the policy in use
	tried    string // hash of the file that was tried last
}

// Preparer is what a policy is for; *gateway.Gateway is one.
type Preparer interface {
	Prepare(p *gateway.Policy) (swap func(), err error)
}

// Status is where a policy comes from and what became of the last file.
type Status struct {
	// File is "" for the built-in policy.
	File string `json:"file"`
	// Version counts the policies that this process has used; Hash is the SHA-256 of the file in use.
	Version  int       `json:"version"`
	Hash     string    `json:"hash"`
	LoadedAt time.Time `json:"loadedAt"`
	// LastError is why the newest file is not in use; "" when it is.
	LastError   string     `json:"lastError,omitempty"`
	LastErrorAt *time.Time `json:"lastErrorAt,omitempty"`
}

// Open reads the policy at path, "" for the built-in one, which is that of an empty file. A bad file is an error.
func Open(path string, rooms Rooms, o Options) (*Live, error) {
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Every == 0 {
		o.Every = 250 * time.Millisecond
	}
	l := &Live{path: path, rooms: rooms, o: o}
	text, err := l.read()
	if err != nil {
		return nil, err
	}
	b, err := rooms.build(text, nil)
	if err != nil {
		return nil, l.named(err)
	}
	l.now, l.text = b, text
	l.tried = hash(text)
	l.status = Status{File: path, Version: 1, Hash: l.tried, LoadedAt: o.Clock.Now()}
	return l, nil
}

func hash(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// read returns the file; the built-in policy is one that changes nothing.
func (l *Live) read() ([]byte, error) {
	if l.path == "" {
		return []byte("{}\n"), nil
	}
	f, err := os.Open(l.path)
	if err != nil {
		return nil, fmt.Errorf("gateway.file: %w; the path must lead to a policy such as docs/gateway.md shows", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("gateway.file: %w", err)
	}
	return text, nil
}

func (l *Live) named(err error) error { return fmt.Errorf("%s: %w", l.path, err) }

// Attach lets a gateway use the policy, now and after each change.
func (l *Live) Attach(g Preparer) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	swap, err := g.Prepare(l.now.policy)
	if err != nil {
		return err
	}
	swap()
	l.gateways = append(l.gateways, g)
	return nil
}

// Reload reads the file and uses it. After an error, which says what is wrong, the policy in use stays.
func (l *Live) Reload() (Status, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	text, err := l.read()
	if err == nil {
		l.seen = hash(text)
		err = l.use(text)
	} else {
		l.failed(err)
	}
	return l.status, err
}

// Rebuild makes the policy in use again from what the rooms say now, such as the quotas of apps. What is said of a newer file that is
// not usable stays.
func (l *Live) Rebuild() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	tried, was := l.tried, l.status
	err := l.use(l.text)
	l.tried = tried
	l.status.LastError, l.status.LastErrorAt = was.LastError, was.LastErrorAt
	return err
}

// use brings a file into use. l.mu is held.
func (l *Live) use(text []byte) (err error) {
	defer func() {
		if err != nil {
			l.failed(err)
		}
		if l.o.Loaded != nil {
			l.o.Loaded(err)
		}
	}()
	l.tried = hash(text)
	b, err := l.rooms.build(text, l.now)
	if err != nil {
		return l.named(err)
	}
	var swaps []func()
	for _, g := range l.gateways {
		swap, err := g.Prepare(b.policy)
		if err != nil {
			return l.named(err)
		}
		swaps = append(swaps, swap)
	}
	if err := l.startShedder(b); err != nil {
		return l.named(err)
	}
	old := l.now
	if l.running {
		b.forwards.Start()
	}
	for _, swap := range swaps {
		swap()
	}
	l.now, l.text = b, text
	l.status.Version++
	l.status.Hash, l.status.LoadedAt, l.status.LastError, l.status.LastErrorAt = l.tried, l.o.Clock.Now(), "", nil
	l.o.Logger.Info("the gateway's policy has changed", "file", l.path, "version", l.status.Version, "hash", l.tried)
	if l.running {
		go old.forwards.Retire(b.forwards)
	}
	if old.shedder != b.shedder {
		l.retire(old.shedder)
	}
	return nil
}

// startShedder starts a shedder that the policy before did not have.
func (l *Live) startShedder(b *built) error {
	if !l.running || b.shedder == l.now.shedder {
		return nil
	}
	return b.shedder.Start(context.Background())
}

// failed remembers why a file is not in use. l.mu is held.
func (l *Live) failed(err error) {
	now := l.o.Clock.Now()
	l.status.LastError, l.status.LastErrorAt = err.Error(), &now
	l.o.Logger.Error("the gateway's policy is unchanged: the file is not usable", "error", err.Error())
}

// Status tells where the policy in use comes from.
func (l *Live) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status
}

// Breaker returns a breaker of the policy in use, nil if it has none of the name.
func (l *Live) Breaker(name string) *breaker.Breaker {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now.breakers[name]
}

// Sweep lets the limits forget callers who have gone.
func (l *Live) Sweep() {
	l.mu.Lock()
	b := l.now
	l.mu.Unlock()
	if b.address != nil {
		b.address.Sweep()
	}
	if b.callers != nil {
		b.callers.Sweep()
	}
}

// Start begins to watch the file.
func (l *Live) Start(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running {
		return nil
	}
	if l.now.shedder != nil {
		if err := l.now.shedder.Start(ctx); err != nil {
			return err
		}
	}
	l.now.forwards.Start()
	l.running, l.done = true, make(chan struct{})
	watch, cancel := context.WithCancel(context.Background())
	l.stop = cancel
	go l.watch(watch, l.done)
	return nil
}

// Stop ends the watch and what the policy started. Idempotent.
func (l *Live) Stop(ctx context.Context) error {
	l.mu.Lock()
	running, done, b := l.running, l.done, l.now
	if running {
		l.running = false
		l.stop()
	}
	l.mu.Unlock()
	if !running {
		return nil
	}
	select {
	case <-done:
	case <-ctx.Done():
		return ctx.Err()
	}
	b.forwards.Retire(nil)
	return errors.Join(b.shedder.Stop(ctx), l.stopRetired(ctx))
}

func (l *Live) watch(ctx context.Context, done chan struct{}) {
	defer close(done)
	for l.path != "" {
		t := l.o.Clock.NewTimer(l.o.Every)
		select {
		case <-t.C():
			l.look()
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}

// look uses the file if it has changed and did not change since the last look: an editor may be writing it.
func (l *Live) look() {
	text, err := l.read()
	l.mu.Lock()
	defer l.mu.Unlock()
	now := ""
	if err == nil {
		now = hash(text)
	}
	steady := now == l.seen
	l.seen = now
	switch {
	case !steady || now == l.tried && l.running:
	case !l.running:
	case err != nil:
		l.tried = now
		l.failed(err)
	default:
		_ = l.use(text) // kept in the status
	}
}
