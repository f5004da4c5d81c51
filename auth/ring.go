package auth

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"penstock/internal/clock"
)

const (
	recheck        = time.Second
	recheckUnknown = 50 * time.Millisecond
)

// Options tunes a ring. The zero value is good.
type Options struct {
	Clock clock.Clock
	// CacheEntries bounds the tokens remembered as verified; 0 means 65536.
	CacheEntries int
	// Slots bounds the asymmetric checks that run at once; 0 means 2 × GOMAXPROCS.
	Slots int
	// SlotWait is how long a check waits for a slot; 0 means 20 ms.
	SlotWait time.Duration
	// Leeway forgives clocks that differ; 0 means 5 s.
	Leeway time.Duration
	// OnReloadError is told when the changed file could not be read; the keys read before stay in use. It must return at once.
	OnReloadError func(error)
}

// Validate names the field that is out of range.
func (o Options) Validate() error {
	switch {
	case o.CacheEntries < 0:
		return fmt.Errorf("option CacheEntries is %d: it must be 0 or more", o.CacheEntries)
	case o.Slots < 0:
		return fmt.Errorf("option Slots is %d: it must be 0 or more", o.Slots)
	case o.SlotWait < 0:
		return fmt.Errorf("option SlotWait is %v: it must be 0 or more", o.SlotWait)
	case o.Leeway < 0 || o.Leeway > time.Minute:
		return fmt.Errorf("option Leeway is %v: it must be between 0 and 1m", o.Leeway)
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.CacheEntries == 0 {
		o.CacheEntries = 1 << 16
	}
	if o.Slots == 0 {
		o.Slots = 2 * runtime.GOMAXPROCS(0)
	}
	if o.SlotWait == 0 {
		o.SlotWait = 20 * time.Millisecond
	}
	if o.Leeway == 0 {
		o.Leeway = 5 * time.Second
	}
	if o.OnReloadError == nil {
		o.OnReloadError = func(error) {}
	}
	return o
}

// Ring is the key ring of a data directory.
type Ring struct {
	path    string
	o       Options
	parser  *jwt.Parser
	set     atomic.Pointer[keySet]
	checked atomic.Int64 // when the file was last looked at, Unix nanoseconds
	mu      sync.Mutex   // serialises reloads and changes within this process
	cache   *cache
	slots   chan struct{}
}

// keySet is one version of the file. It never changes.
type keySet struct {
	keys   []*key
	tokens map[string]*key
	passes []*passKey
	signer *key
	minter *passKey
	stamp  fs.FileInfo
}

// Open opens the ring in the file at path, making the directory, the file and one key per use if they are missing.
func Open(path string, o Options) (*Ring, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("key ring: %w", err)
	}
	o = o.withDefaults()
	r := &Ring{path: path, o: o, cache: newCache(o.CacheEntries), slots: make(chan struct{}, o.Slots)}
	r.parser = jwt.NewParser(jwt.WithValidMethods([]string{EdDSA, HS256}), jwt.WithExpirationRequired(), jwt.WithLeeway(o.Leeway),
		jwt.WithTimeFunc(o.Clock.Now), jwt.WithStrictDecoding())
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("create the directory of the key ring: %w", err)
	}
	if err := locked(path, r.createIfMissing); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.reload(); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Ring) createIfMissing() error {
	if _, err := os.Stat(r.path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var set jwkSet
	for _, want := range []struct{ alg, use string }{{EdDSA, useToken}, {HS256, usePass}} {
		k, err := newJWK(want.alg, want.use, r.o.Clock.Now())
		if err != nil {
			return err
		}
		set.Keys = append(set.Keys, k)
	}
	return writeSet(r.path, set)
}

// Keys lists the keys, in the order of the file.
func (r *Ring) Keys() []Key {
	set := r.current(r.o.Clock.Now())
	out := make([]Key, 0, len(set.keys))
	for _, k := range set.keys {
		out = append(out, Key{ID: k.Kid, Alg: k.Alg, Pass: k.pass != nil, Active: k == set.signer || k.pass != nil && k.pass == set.minter, Created: time.Unix(k.Iat, 0).UTC()})
	}
	return out
}

// Rotate adds a key of the algorithm ([EdDSA] or [HS256]) that signs tokens from now on and returns its id. The keys before
// it go on verifying.
func (r *Ring) Rotate(alg string) (string, error) { return r.rotate(alg, useToken) }

// RotatePass adds a secret that signs passes from now on and returns its id. Passes signed before stay good.
func (r *Ring) RotatePass() (string, error) { return r.rotate(HS256, usePass) }

func (r *Ring) rotate(alg, use string) (string, error) {
	fresh, err := newJWK(alg, use, r.o.Clock.Now())
	if err != nil {
		return "", err
	}
	return fresh.Kid, r.change(func(set *jwkSet) error {
		for i := range set.Keys {
			if set.Keys[i].Use == use {
				set.Keys[i].Active = false
			}
		}
		set.Keys = append(set.Keys, fresh)
		return nil
	})
}

// Remove takes a key out: whatever it signed is refused from then on. The signing key of a use cannot be removed.
func (r *Ring) Remove(id string) error {
	return r.change(func(set *jwkSet) error {
		for i, k := range set.Keys {
			if k.Kid != id {
				continue
			}
			if k.Active {
				return fmt.Errorf("key %q signs: rotate before removing it", id)
			}
			set.Keys = append(set.Keys[:i], set.Keys[i+1:]...)
			return nil
		}
		return fmt.Errorf("no key %q", id)
	})
}

// change edits the file as it is now, whoever wrote it last.
func (r *Ring) change(edit func(*jwkSet) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := locked(r.path, func() error {
		set, _, err := readSet(r.path)
		if err != nil {
			return err
		}
		if err := edit(&set); err != nil {
			return err
		}
		return writeSet(r.path, set)
	})
	if err != nil {
		return err
	}
	return r.reload()
}

// current returns the keys, looking at the file when the last look is a second old.
func (r *Ring) current(now time.Time) *keySet { return r.look(now, recheck) }

// look returns the keys. One caller looks at the file when the last look is at least age old; the others do not wait for it.
func (r *Ring) look(now time.Time, age time.Duration) *keySet {
	set, last := r.set.Load(), r.checked.Load()
	if since := now.UnixNano() - last; since >= 0 && since < int64(age) || !r.checked.CompareAndSwap(last, now.UnixNano()) {
		return set
	}
	info, err := os.Stat(r.path)
	if err == nil && os.SameFile(info, set.stamp) && info.ModTime().Equal(set.stamp.ModTime()) && info.Size() == set.stamp.Size() {
		return set
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.reload(); err != nil {
		r.o.OnReloadError(err)
	}
	return r.set.Load()
}

// reload reads the file; r.mu is held. Keys that did not change stay the same objects, so what was verified with them stays
// remembered; keys that changed or left are marked gone.
func (r *Ring) reload() error {
	file, info, err := readSet(r.path)
	if err != nil {
		return fmt.Errorf("read the key ring: %w", err)
	}
	before := r.set.Load()
	old := map[jwk]*key{}
	if before != nil {
		for _, k := range before.keys {
			old[k.jwk] = k
		}
	}
	set, err := build(file, old)
	if err != nil {
		return fmt.Errorf("key ring %s: %w", r.path, err)
	}
	set.stamp = info
	r.set.Store(set)
	for _, k := range set.keys {
		delete(old, k.jwk)
	}
	for _, k := range old {
		k.gone.Store(true)
	}
	return nil
}

// build makes a key set, keeping the objects in old for keys that are still in the file.
func build(file jwkSet, old map[jwk]*key) (*keySet, error) {
	set := &keySet{tokens: map[string]*key{}}
	for _, j := range file.Keys {
		active := j.Active
		j.Active = false
		k := old[j]
		if k == nil {
			var err error
			if k, err = j.parse(); err != nil {
				return nil, err
			}
		}
		if err := set.add(k, active); err != nil {
			return nil, err
		}
	}
	if set.signer == nil || set.minter == nil {
		return nil, fmt.Errorf("one key of use sig and one of use pass must be active and able to sign")
	}
	return set, nil
}

func (s *keySet) add(k *key, active bool) error {
	for _, other := range s.keys {
		if other.Kid == k.Kid {
			return fmt.Errorf("key %q occurs twice", k.Kid)
		}
	}
	s.keys = append(s.keys, k)
	switch {
	case k.pass != nil:
		s.passes = append(s.passes, k.pass)
		if active {
			s.minter = k.pass
		}
	default:
		s.tokens[k.Kid] = k
		if active && k.signing() != nil {
			s.signer = k
		}
	}
	return nil
}
