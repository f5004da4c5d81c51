package check

import (
	"time"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/text/unicode/norm"

	"penstock/internal/ident"
)

// shelf is one SKU of a sale: its stock row and what ledger and claims say about it.
type shelf struct {
	sale, sku    string
	row          StockRow
	known        bool // the stock row exists
	sold         bool // the SKU is in the sale's definition
	limit, price int64
	currency     string
	replay       levels // from the ledger
	claims       levels // from the claims; only held and sold
	claimed      int64  // claims seen
	lastRise     int64  // when units last became free, ns
	line         []waiter
	open         bool // the sale takes attempts
	moved        bool // the stock row changed while the records were read
}

// levels are the parts of a stock row.
type levels struct{ offered, withdrawn, available, held, sold int64 }

type shelfKey struct{ sale, sku string }

// window is when a sale may sell, as wide as any definition of it has ever said.
type window struct {
	start, end int64
	grace      int64 // ns
}

type world struct {
	tally   *tally
	opt     *Options
	drained bool

	shelves []*shelf
	bySKU   map[shelfKey]uint32
	windows map[string]*window
	buys    purchases
	byKey   map[uint64]uint32 // hash of (sale, user, key) → purchase
	taken   map[uint64]int64  // hash of (shelf, user) → units held or sold, by ledger replay
	refs    map[uint64]struct{}
	late    []uint32 // purchases that are claims made for late money
	slots   [ident.Slots]placement
	perDB   map[int64]int64
	money   balances

	waits    []waitLine // of the lists, not yet replayed
	seq      uint64
	auditSeq int64
	earlier  *earlierAudit
	asked    map[uint64]*wish
	told     bool // there is a history

	counts map[string]int64
	dead   map[ident.ID]int64 // dead letters by the order they are about
	clocks int64              // times the ledger's clock went back
	lastAt int64
}

func newWorld(s Snapshot, drained bool, o *Options) *world {
	w := &world{
		tally: newTally(), opt: o, drained: drained, bySKU: map[shelfKey]uint32{}, windows: map[string]*window{},
		buys: newPurchases(), byKey: map[uint64]uint32{}, taken: map[uint64]int64{}, refs: map[uint64]struct{}{},
		perDB: map[int64]int64{}, money: newBalances(), counts: map[string]int64{}, dead: map[ident.ID]int64{},
	}
	for i := range s.Sales {
		sale := &s.Sales[i]
		w.windows[sale.ID] = &window{nanos(sale.StartsAt), nanos(sale.EndsAt), sale.GraceSeconds * int64(time.Second)}
		for _, it := range sale.Items {
			sh := w.shelf(sale.ID, it.SKU)
			sh.limit, sh.price, sh.currency, sh.sold = it.LimitPerUser, it.Price, it.Currency, true
			sh.open = sale.State == "open"
		}
	}
	for i := range s.Stock {
		sh := w.shelf(s.Stock[i].Sale, s.Stock[i].SKU)
		sh.row, sh.known = s.Stock[i], true
	}
	return w
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func (w *world) shelf(sale, sku string) *shelf { return w.shelves[w.shelfAt(sale, sku)] }

func (w *world) shelfAt(sale, sku string) uint32 {
	k := shelfKey{sale, sku}
	i, ok := w.bySKU[k]
	if !ok {
		i = uint32(len(w.shelves))
		w.shelves = append(w.shelves, &shelf{sale: sale, sku: sku})
		w.bySKU[k] = i
	}
	return i
}

// canonical hashes a user as one identity, whatever Unicode form the name came in.
func canonical(user []byte) uint64 {
	if norm.NFC.IsNormal(user) {
		return xxhash.Sum64(user)
	}
	return xxhash.Sum64(norm.NFC.Bytes(user))
}

// mix combines two hashes; the order matters.
func mix(a, b uint64) uint64 {
	a ^= b + 0x9e3779b97f4a7c15 + a<<6 + a>>2
	a *= 0xff51afd7ed558ccd
	return a ^ a>>33
}

// scoped hashes an idempotency key in its scope.
func scoped(sale string, user, key []byte) uint64 {
	return mix(mix(xxhash.Sum64String(sale), canonical(user)), xxhash.Sum64(key))
}

// lineHash stands for "quantity of this shelf"; the sum over the lines of a purchase stands for all of them in any order.
func lineHash(shelf uint32, quantity int64) uint64 { return mix(uint64(shelf)+1, uint64(quantity)) }

func (w *world) figures() map[string]int64 {
	for _, sh := range w.shelves {
		w.counts["offered"] += sh.row.Offered
		w.counts["available"] += sh.row.Available
		w.counts["held"] += sh.row.Held
		w.counts["sold"] += sh.row.Sold
	}
	w.counts["purchases"] = int64(w.buys.n)
	return w.counts
}
