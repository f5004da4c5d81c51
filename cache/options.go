package cache

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"time"

	"penstock/internal/clock"
)

// Times to live by kind.
const (
	// TTLSession is for sessions. Give them a negative Stale, so that none outlives its time.
	TTLSession = 7200 * time.Second
	// TTLHot is for what many read and few change.
	TTLHot = 300 * time.Second
)

// Options tunes a Cache. The zero value works.
type Options[V any] struct {
	// TTL is how long a value is fresh; 0 means TTLHot. Each value gets a random part of Jitter less.
	TTL time.Duration
	// Stale is how long after its TTL a value is still served, while one reader in the background loads it anew or while the
	// origin fails; 0 means as long as TTL, negative means not at all.
	Stale time.Duration
	// Jitter is the greatest part of a TTL that is left off, so that what was loaded together does not expire together; 0 means
	// 0.2, negative means none.
	Jitter float64
	// Negative is how long "not found" is believed; 0 means 30 s.
	Negative time.Duration
	// Loads is how many calls of the loader run at once, at most; 0 means 64.
	Loads int
	// Waiting is how many loads may wait or run; beyond it Get answers ErrBusy. 0 means 4096.
	Waiting int
	// LoadTimeout bounds a load, waiting included; 0 means 5 s.
	LoadTimeout time.Duration
	// StoreTimeout bounds a call of the store; 0 means 1 s.
	StoreTimeout time.Duration
	// Alone is how long a process serves by itself what it loaded and could not store; 0 means 1 s, negative means not at all.
	// Changes by other processes are not seen meanwhile.
	Alone time.Duration
	// IDs lists every id that the origin has, for the filter that turns away what cannot exist; nil means no filter. With a
	// filter every id that comes into being must go through Write.
	IDs func(context.Context) iter.Seq2[string, error]
	// FilterAge is how long a filter is believed, and so the longest that an id stays unknown whose mark the store lost unseen;
	// 0 means 10 min. IDs is read twice in that time.
	FilterAge time.Duration
	// FalsePositives is the part of missing ids that the filter lets through; 0 means 0.001.
	FalsePositives float64
	// Codec of the values; nil means JSON.
	Codec Codec[V]
	Clock clock.Clock
}

func (o *Options[V]) complete() error {
	for _, d := range []struct {
		name  string
		value *time.Duration
		usual time.Duration
	}{
		{"TTL", &o.TTL, TTLHot}, {"Negative", &o.Negative, 30 * time.Second}, {"LoadTimeout", &o.LoadTimeout, 5 * time.Second},
		{"StoreTimeout", &o.StoreTimeout, time.Second}, {"FilterAge", &o.FilterAge, 10 * time.Minute},
	} {
		if *d.value == 0 {
			*d.value = d.usual
		}
		if *d.value < time.Millisecond {
			return fmt.Errorf("cache: %s is %v, want at least 1ms, for example %v", d.name, *d.value, d.usual)
		}
	}
	o.Stale = max(cmp.Or(o.Stale, o.TTL), 0)
	o.Alone = max(cmp.Or(o.Alone, time.Second), 0)
	o.Jitter = max(cmp.Or(o.Jitter, 0.2), 0)
	o.Loads, o.Waiting = cmp.Or(o.Loads, 64), cmp.Or(o.Waiting, 4096)
	o.FalsePositives = cmp.Or(o.FalsePositives, 0.001)
	switch {
	case o.Jitter > 0.9:
		return fmt.Errorf("cache: Jitter is %v, want at most 0.9, for example 0.2", o.Jitter)
	case o.Loads < 1 || o.Waiting < o.Loads:
		return fmt.Errorf("cache: Loads is %d and Waiting %d, want at least 1 and at least Loads, for example 64 and 4096", o.Loads, o.Waiting)
	case o.FalsePositives < 1e-6 || o.FalsePositives > 0.1:
		return fmt.Errorf("cache: FalsePositives is %v, want 0.000001 to 0.1, for example 0.001", o.FalsePositives)
	}
	if o.Codec == nil {
		o.Codec = JSON[V]{}
	}
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	return nil
}
