package line

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"sync/atomic"
	"time"

	"penstock/line/draw"
)

// book is one line in memory: what is committed, as far as this process knows. Alone it knows everything; beside others it is up to
// date at the beginning of each of its own batches, and within Options.Look otherwise.
type book struct {
	id        int64
	sale, sku string
	draws     bool
	secret    []byte
	salt      []byte

	mu      sync.Mutex
	entries []entry // number n is entries[n-1]
	users   map[string]uint64
	passes  map[string]struct{} // users of entries that had a pass, or may have had one
	ahead   tree                // marks those who wait, by place
	count   [left + 1]int
	changes int64
	pot     int64 // entries in the pot; -1 while it is open
	closed  int64 // when it closes
	listed  int64 // when it was closed and its list published
	value   string
	valued  int64 // when the public value was given
	source  string
	place   []uint32      // place of entry n in the order drawn is place[n-1], for the pot; nil before
	at      []uint32      // number of the entry at a place of the pot
	shown   draw.Document // what was published last of a pot that is closed
	drawn   int           // users in the pot; who left and came again has two entries and one place
	flow    flow          // how fast the head moves
	units   float64       // mean units of a used pass
	spent   []spending    // passes used lately, which the stock rows may not show
	waiters watch         // who wants to know of changes

	queue   []*op
	writing bool
	behind  bool // the outcome of a batch is not known: read before deciding

	pace  pace
	out   []uint64  // entries that are called or passed, and some that were; each once
	lease time.Time // until when this process calls
	asked time.Time // when it last tried to, and told where its users are
	nodes map[string]node

	asks atomic.Int64 // when it was last asked for, in Unix nanoseconds
}

// resting says that no batch runs or waits.
func (b *book) resting() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.writing && len(b.queue) == 0
}

type entry struct {
	user    string
	joined  int64
	seen    int64 // by any process
	here    int64 // by this one
	since   int64 // when it came into its state
	expires int64
	state   state
	out     bool // it is in the book's out
}

type spending struct {
	at    time.Time
	units int64
}

func newBook(id int64, sale, sku string) *book {
	return &book{id: id, sale: sale, sku: sku, users: map[string]uint64{}, passes: map[string]struct{}{}, pot: -1, units: 1, flow: flow{}}
}

// placeOf returns the place of an entry in the order: the drawn one for the pot, else that of its number, both from 0.
func (b *book) placeOf(seq uint64) int {
	if int(seq) <= len(b.place) {
		return int(b.place[seq-1])
	}
	return int(seq - 1)
}

func (b *book) seqAt(place int) uint64 {
	if place < len(b.at) {
		return uint64(b.at[place])
	}
	return uint64(place + 1)
}

// append takes over a new entry; numbers come without gaps.
func (b *book) append(e entry) {
	b.entries = append(b.entries, e)
	seq := uint64(len(b.entries))
	b.ahead.grow(len(b.entries))
	b.users[e.user] = seq
	b.count[e.state]++
	switch e.state {
	case waiting:
		b.ahead.add(b.placeOf(seq), 1)
	case called, passed:
		b.goesOut(seq)
	}
	if e.state >= passed {
		b.passes[e.user] = struct{}{}
	}
}

// move takes over a new state of an entry.
func (b *book) move(m moved, now time.Time) {
	e := &b.entries[m.seq-1]
	if was := e.state; was != m.state {
		b.count[was]--
		b.count[m.state]++
		switch {
		case was == waiting:
			b.ahead.add(b.placeOf(m.seq), -1)
		case m.state == waiting:
			b.ahead.add(b.placeOf(m.seq), 1)
		}
		if was == waiting && (m.state == called || m.state == passed || m.state == away) {
			b.flow.passed(m.at)
		}
		if m.state == called || m.state == passed {
			b.goesOut(m.seq)
		}
		if m.state == used && m.units > 0 {
			b.units += (float64(m.units) - b.units) / 16
			b.spent = append(b.spent, spending{now, m.units})
		}
	}
	if m.state >= passed && (m.state != left || e.state == passed) {
		b.passes[e.user] = struct{}{}
	}
	e.state, e.since, e.expires = m.state, m.at, m.expires
}

// goesOut puts an entry among those that are out, once: whoever does not call takes nobody off, and a history is read from its beginning.
func (b *book) goesOut(seq uint64) {
	if e := &b.entries[seq-1]; !e.out {
		e.out = true
		b.out = append(b.out, seq)
	}
}

// outstanding counts the units that passes not used yet may take. mu is held.
func (b *book) outstanding() float64 { return float64(b.count[called]+b.count[passed]) * b.units }

// unseen counts the units of passes whose use was heard of after the stock rows were read. mu is held.
func (b *book) unseen(read time.Time) (n float64) {
	keep := b.spent[:0]
	for _, s := range b.spent {
		if !s.at.Before(read) {
			n += float64(s.units)
			keep = append(keep, s)
		}
	}
	b.spent = keep
	return n
}

// drawState says where the draw stands.
func (b *book) drawState() string {
	switch {
	case !b.draws:
		return ""
	case b.pot < 0:
		return draw.Collecting
	case b.place == nil:
		return draw.Closed
	}
	return draw.Drawn
}

// saltOf returns what makes a user's hash his own.
func (b *book) saltOf(user string) []byte {
	mac := hmac.New(sha256.New, b.salt)
	mac.Write([]byte(user))
	return mac.Sum(nil)[:16]
}

// potClosed takes over that the pot is closed, and if the public value is there, draws. mu is held.
func (b *book) potClosed(pot, listed int64, value string, valued int64) {
	b.pot, b.listed, b.value, b.valued = pot, listed, value, valued
	if !b.draws || b.place != nil || pot < 0 || int(pot) > len(b.entries) || valued == 0 {
		return
	}
	doc, by := b.list()
	if err := doc.Draw(b.secret, value); err != nil {
		panic(err) // the hashes are our own
	}
	b.place, b.at = make([]uint32, pot), make([]uint32, pot)
	b.drawn = len(doc.Order)
	for place, i := range doc.Order {
		seq := by[doc.Entrants[i]]
		b.at[place], b.place[seq-1] = uint32(seq), uint32(place)
	}
	rest := b.drawn
	for i := range pot { // entries that their users gave up for later ones: behind all, where nobody is called
		if seq := uint32(i + 1); uint64(seq) != by[draw.Entrant(b.saltOf(b.entries[i].user), b.entries[i].user)] {
			b.at[rest], b.place[i] = seq, uint32(rest)
			rest++
		}
	}
	b.ahead = tree{}
	b.ahead.grow(len(b.entries))
	for i := range b.entries {
		if b.entries[i].state == waiting {
			b.ahead.add(b.placeOf(uint64(i+1)), 1)
		}
	}
}

// list returns the closed list, with each user once, and the number of each one's last entry. mu is held.
func (b *book) list() (draw.Document, map[string]uint64) {
	doc := b.document()
	hashes, by := make([]string, 0, b.pot), make(map[string]uint64, b.pot)
	for i := range b.pot {
		hash := draw.Entrant(b.saltOf(b.entries[i].user), b.entries[i].user)
		if by[hash] == 0 {
			hashes = append(hashes, hash)
		}
		by[hash] = uint64(i + 1)
	}
	doc.Close(draw.Moment(time.UnixMilli(b.listed)), hashes)
	return doc, by
}

// document returns what is published from the beginning. mu is held.
func (b *book) document() draw.Document {
	return draw.Document{
		Version: 1, Sale: b.sale, SKU: b.sku, State: draw.Collecting, ClosesAt: draw.Moment(time.UnixMilli(b.closed)), Commitment: draw.Commit(b.secret),
		PublicSource: b.source, Entrants: []string{}, Order: []int{},
	}
}

// published returns what may be published of the draw now; nobody may change it. mu is held, so lists are hashed once and not whenever
// somebody asks.
func (b *book) published() draw.Document {
	if b.pot < 0 || int(b.pot) > len(b.entries) {
		return b.document()
	}
	if state := b.drawState(); b.shown.State != state {
		b.shown, _ = b.list()
		if state == draw.Drawn {
			if err := b.shown.Draw(b.secret, b.value); err != nil {
				panic(err) // the hashes are our own
			}
		}
	}
	return b.shown
}

func (b *book) entrant(user string) (hash, salt string) {
	s := b.saltOf(user)
	return draw.Entrant(s, user), hex.EncodeToString(s)
}
