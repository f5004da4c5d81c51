package order

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"penstock/errs"
)

// Missing says that databases did not answer. Beside a page it means that the page lacks what they have; alone, that there is
// no answer. Its code is errs.ReducedCapacity, with the numbers of the databases as "missing".
type Missing struct {
	// Shards are the numbers of the databases that did not answer, ascending.
	Shards []int
	cause  error
}

func (m *Missing) Error() string {
	numbers := make([]string, len(m.Shards))
	for i, s := range m.Shards {
		numbers[i] = fmt.Sprint(s)
	}
	return fmt.Sprintf("the orders of database %s are missing: %v", strings.Join(numbers, ", "), m.cause)
}

// Unwrap returns the error that clients may see; its cause is what the databases said.
func (m *Missing) Unwrap() error {
	e := errs.New(errs.ReducedCapacity, "%d of the order databases do not answer; try again", len(m.Shards))
	e.Err, e.Extra = m.cause, map[string]any{"missing": m.Shards}
	return e
}

// misses is what went wrong at each database, nil where nothing did.
type misses []error

func (m misses) add(more misses) {
	for db, err := range more {
		m[db] = errors.Join(m[db], err)
	}
}

// err returns a *Missing, or nil when nothing is.
func (m misses) err() error {
	var out Missing
	for db, err := range m {
		if err != nil {
			out.Shards = append(out.Shards, db)
			out.cause = errors.Join(out.cause, err)
		}
	}
	if out.cause == nil {
		return nil
	}
	if code := errs.CodeOf(out.cause); errors.Is(out.cause, context.Canceled) || code == errs.Invalid {
		return out.cause
	}
	return &out
}

// gone is the end of a call that needs one database, which said err.
func (o *Orders) gone(db int, err error) error {
	m := make(misses, len(o.writers))
	m[db] = err
	return m.err()
}

// missing is the end of an export at one database.
func missing(db int, err error) error {
	return &Missing{Shards: []int{db}, cause: err}
}

// gather asks all databases, Parallel at a time.
func (o *Orders) gather(ctx context.Context, ask func(ctx context.Context, db int) error) misses {
	found := make(misses, len(o.writers))
	var g errgroup.Group
	g.SetLimit(o.opt.Parallel)
	var mu sync.Mutex
	for db := range found {
		g.Go(func() error {
			err := ask(ctx, db)
			mu.Lock()
			defer mu.Unlock()
			found[db] = err
			return nil
		})
	}
	_ = g.Wait() // the errors are in found
	return found
}
