package gate

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"

	"penstock/stock"
	"penstock/stock/driver"
)

// Journal reads the entries of the stock database in commit order. A stock.Stock is one.
type Journal interface {
	Journal(ctx context.Context, after uint64, limit int) ([]driver.Entry, error)
}

const (
	indexPage = 1024
	// In one Follow; what is left waits for the next.
	indexPages = 64
	indexTime  = 200 * time.Millisecond
)

// Index knows which users have anything bound in a sale, so that a refusal of anybody else needs no look-up in the database. It
// reads the journal, and only while somebody is refused: in the rush before, it costs nothing. It keeps 8 bytes of hash a user,
// so two users may look like one, which costs a look-up. Of a sale that ended an hour ago it keeps nothing: whoever asks then is
// looked up.
//
// All methods but Follow are safe for concurrent use.
type Index struct {
	journal Journal
	fresh   time.Duration
	wanted  atomic.Bool
	covered atomic.Pointer[coverage]
	seq     uint64 // read so far; owned by Follow

	mu   sync.RWMutex
	seen map[string]map[uint64]struct{} // by sale; nil for one that is over: then nobody knows
}

// coverage says up to where the journal was read: to the moment of a snapshot, taken at a time, with these versions.
type coverage struct {
	at     time.Time
	levels map[driver.StockRef]int64
	now    time.Time // of the snapshot, by the clock of the stock database
	sales  map[string]int64
}

// over is how long after its end a sale leaves the index.
const over = time.Hour

// lateCommit is how long after its end a sale may still gain what was decided before it: as long as a decision waits for a lock.
const lateCommit = 5 * time.Second

// NewIndex returns an empty index. What it knows counts for twice as long as every, the pause between two calls of Follow;
// 0 means 1 s.
func NewIndex(j Journal, every time.Duration) *Index {
	if every == 0 {
		every = time.Second
	}
	return &Index{journal: j, fresh: 2 * every, seen: map[string]map[uint64]struct{}{}}
}

// Nothing reports that nothing was bound for the user in the sale up to a moment ago or, with a row of the stock, up to its
// version. False means that a look-up must tell; the next Follow then reads on.
func (x *Index) Nothing(now time.Time, sale, user string, row *driver.Stock) bool {
	x.wanted.Store(true)
	c := x.covered.Load()
	if c == nil {
		return false
	}
	if row != nil && c.levels[driver.StockRef{Sale: row.Sale, SKU: row.SKU}] < row.Version {
		return false
	}
	if row == nil && now.Sub(c.at) >= x.fresh {
		return false
	}
	return !x.bound(sale, user)
}

func (x *Index) bound(sale, user string) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	users, known := x.seen[sale]
	if known && users == nil {
		return true
	}
	_, yes := users[xxhash.Sum64String(user)]
	return yes
}

// forget drops what is known of sales that are over, once and for good: also of one whose end is put off later.
func (x *Index) forget(snap *driver.Snapshot) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range snap.Sales {
		if doc := &snap.Sales[i]; stock.EndOf(doc).Add(over).Before(snap.Now) {
			x.seen[doc.ID] = nil
		}
	}
}

// Stopped reports that nothing was bound for the user in a sale that takes nothing any more: up to the version that paused or
// closed it or said sold out, or up to its end. A moment ago would not do: who has won in it, on another process, and asks
// again here must be told so.
func (x *Index) Stopped(sale *driver.Sale, user string) bool {
	x.wanted.Store(true)
	c := x.covered.Load()
	if c == nil || c.sales[sale.ID] < sale.Version {
		return false
	}
	if byHand := sale.Paused || sale.SoldOut || !sale.ClosedAt.IsZero(); !byHand && c.now.Before(sale.EndsAt.Add(lateCommit)) {
		return false
	}
	return !x.bound(sale.ID, user)
}

// Follow reads the journal up to the snapshot if anybody asked since the last call. at is when the snapshot was asked for.
func (x *Index) Follow(ctx context.Context, at time.Time, snap *driver.Snapshot) error {
	x.forget(snap)
	if !x.wanted.Swap(false) {
		return nil
	}
	begun := time.Now() // real time, because it is about I/O: the next snapshot must not wait for a long journal
	for range indexPages {
		if x.seq >= snap.Seq || time.Since(begun) > indexTime {
			break
		}
		page, err := x.journal.Journal(ctx, x.seq, indexPage)
		if err != nil {
			x.wanted.Store(true)
			return err
		}
		if len(page) == 0 {
			x.seq = snap.Seq
			break
		}
		x.add(page)
		x.seq = page[len(page)-1].Last()
	}
	if x.seq < snap.Seq {
		x.wanted.Store(true)
		return nil
	}
	c := &coverage{at: at, levels: make(map[driver.StockRef]int64, len(snap.Stock)), now: snap.Now, sales: make(map[string]int64, len(snap.Sales))}
	for i := range snap.Sales {
		c.sales[snap.Sales[i].ID] = snap.Sales[i].Version
	}
	for i := range snap.Stock {
		c.levels[driver.StockRef{Sale: snap.Stock[i].Sale, SKU: snap.Stock[i].SKU}] = snap.Stock[i].Version
	}
	x.covered.Store(c)
	return nil
}

func (x *Index) add(page []driver.Entry) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range page {
		if k := page[i].Kind; (k == driver.Hold || k == driver.Refuse) && page[i].Attempt != nil {
			x.see(page[i].Attempt.Key.Sale, page[i].Attempt.Key.User)
		}
	}
}

// see notes a user of a sale that is not over. mu is held.
func (x *Index) see(sale, user string) {
	users, known := x.seen[sale]
	if !known {
		users = map[uint64]struct{}{}
		x.seen[sale] = users
	}
	if users != nil {
		users[xxhash.Sum64String(user)] = struct{}{}
	}
}
