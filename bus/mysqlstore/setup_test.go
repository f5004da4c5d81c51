package mysqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"penstock/bus/driver"
	"penstock/bus/drivertest"
	"penstock/bus/mysqlstore"
	"penstock/bus/outboxbus"
	"penstock/engine/mysql"
	"penstock/internal/clock"
	"penstock/internal/engines"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shifted is the machine's clock plus what a test lets pass.
type shifted struct {
	clock.Real
	mu sync.Mutex
	by time.Duration
}

func (c *shifted) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Real.Now().Add(c.by)
}

func (c *shifted) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by += d
}

// database makes a database with the bus's tables and returns its URL.
func database(t *testing.T, s *engines.Server) string {
	t.Helper()
	url := s.Database(t)
	if err := mysqlstore.Migrate(t.Context(), open(t, url), nil); err != nil {
		t.Fatal(err)
	}
	return url
}

// open opens the pool of one process.
func open(t *testing.T, url string) *mysql.DB {
	t.Helper()
	c, err := mysql.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	db, err := mysql.Open(t.Context(), c, mysql.Options{Pool: 4, LockWait: time.Second, Reply: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// elsewhere is a source to which another process commits: nobody here is told.
type elsewhere struct {
	*drivertest.Log
	never chan struct{}
}

func (e elsewhere) Changed() <-chan struct{} { return e.never }

// process is one of several that read the same sources.
type process struct {
	t   *testing.T
	db  *mysql.DB
	drv *outboxbus.Driver
}

func start(t *testing.T, url string, o outboxbus.Options, logs ...*drivertest.Log) *process {
	t.Helper()
	p := &process{t: t, db: open(t, url)}
	var sources []outboxbus.Source
	for _, l := range logs {
		sources = append(sources, elsewhere{l, make(chan struct{})})
	}
	if o.Poll == 0 {
		o.Poll = 10 * time.Millisecond
	}
	var err error
	p.drv, err = outboxbus.New(mysqlstore.NewCursors(p.db, nil), map[string][]outboxbus.Source{"topic": sources}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.drv.Close() })
	return p
}

func (p *process) reader(group string) driver.Reader {
	p.t.Helper()
	r, err := p.drv.Subscribe(p.t.Context(), group, "topic")
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = r.Close() })
	return r
}

// next polls until messages come.
func next(t *testing.T, r driver.Reader, limit int) []driver.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	for {
		batch, err := r.Poll(ctx, limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(batch) > 0 {
			return batch
		}
	}
}

// persist does something until it succeeds, bounded, as a caller does who must not guess.
func persist(t *testing.T, what string, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, errors.Join(err, ctx.Err()))
		case <-tick.C:
		}
	}
}

func message(user string, n int) driver.Message {
	return driver.Message{ID: fmt.Sprintf("%s-%d", user, n), User: user, Topic: "topic", Payload: []byte{byte(n)}}
}

func messages(user string, n int) (out []driver.Message) {
	for i := range n {
		out = append(out, message(user, i))
	}
	return out
}
