package redisgate

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/redis/rueidis"

	"penstock/stock"
)

// build is the content of Redis that a lane believes. seq is the highest sequence seen under its token.
type build struct {
	token string
	epoch int64
	seq   atomic.Int64
}

func (b *build) saw(seq int64) {
	for old := b.seq.Load(); seq > old; old = b.seq.Load() {
		if b.seq.CompareAndSwap(old, seq) {
			return
		}
	}
}

// said is what the script says of one attempt.
type said struct {
	letter byte
	marked bool
	number int64
	sku    string
}

// waiter is one attempt on its way through Redis.
type waiter struct {
	user, wish string
	skus       []string // of the items, in the order of the wish
	since      time.Time
	said       said
	ok         bool
	done       chan struct{}
}

// lane gathers the attempts of one sale: while one call is on its way, the next batch gathers. An idle lane has no goroutine.
type lane struct {
	g     *Gate
	sale  string
	keys  []string
	build atomic.Pointer[build] // nil while nothing there is believed
	// spoilt is set when a key has a type that no build gives it.
	spoilt atomic.Bool
	last   atomic.Pointer[build] // what was believed last: whatever is older is a copy from before

	mu      sync.Mutex
	waiting []*waiter
	running bool
}

func newLane(g *Gate, sale string) *lane {
	base := g.opt.Prefix + "{" + url.PathEscape(sale) + "}:" // a brace in an id would move the keys apart
	return &lane{g: g, sale: sale, keys: []string{base + "g", base + "m", base + "l", base + "b"}}
}

// backlog is how many batches may wait; more attempts than that go on unasked.
const backlog = 16

// ask brings an attempt to Redis; false means that Redis could not say. With only set, only the mark is asked for.
func (l *lane) ask(r *stock.Request, only bool) (said, bool) {
	w := &waiter{user: hash(r.User), since: l.g.opt.Clock.Now(), done: make(chan struct{})}
	w.encode(r, only)
	l.mu.Lock()
	if len(l.waiting) >= backlog*l.g.opt.MaxBatch {
		l.mu.Unlock()
		return said{}, false
	}
	l.waiting = append(l.waiting, w)
	if !l.running {
		l.running = true
		go l.run()
	}
	l.mu.Unlock()
	<-w.done
	return w.said, w.ok
}

func hash(s string) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], xxhash.Sum64String(s))
	return string(b[:])
}

// encode writes the key, and for each item room for the place of its SKU and the quantity.
func (w *waiter) encode(r *stock.Request, only bool) {
	b := make([]byte, 0, 8+3*len(r.Items))
	b = append(b, hash(r.Key)...)
	if !only {
		for _, it := range r.Items {
			b = append(b, 0)
			b = binary.BigEndian.AppendUint16(b, uint16(min(max(it.Quantity, 0), 0xffff)))
			w.skus = append(w.skus, it.SKU)
		}
	}
	w.wish = string(b)
}

// run calls until nobody waits.
func (l *lane) run() {
	for {
		l.mu.Lock()
		batch := l.waiting[:min(len(l.waiting), l.g.opt.MaxBatch)]
		l.waiting = l.waiting[len(batch):]
		if len(batch) == 0 {
			l.waiting, l.running = nil, false
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		l.call(batch)
	}
}

// call judges a batch. Whatever goes wrong, everybody is answered, and who waited too long for his turn is not kept longer.
func (l *lane) call(batch []*waiter) {
	defer func() {
		for _, w := range batch {
			close(w.done)
		}
	}()
	b := l.build.Load()
	if b == nil || l.g.gone.Load() || l.g.since(batch[0].since) > l.g.opt.Deadline {
		return
	}
	args, sent := l.encode(b, batch)
	start := l.g.opt.Clock.Now()
	res, err := l.g.exec(l.g.lua.admit, l, args, l.g.opt.Deadline)
	if err == nil && res[0] == "unknown" {
		l.distrust(b)
		err = errUnknown
	} else if err == nil {
		err = l.decode(b, res, sent)
	} else {
		l.spoilt.Store(strings.Contains(err.Error(), "WRONGTYPE"))
		l.g.lost(err)
	}
	l.g.opt.OnCall(Call{Op: "admit", Batch: len(sent), Took: l.g.since(start), Err: err})
}

var errUnknown = errors.New("the content of redis is unknown")

// distrust stops believing a build; the comparison in the background finds out what is there now.
func (l *lane) distrust(b *build) {
	if l.build.CompareAndSwap(b, nil) {
		l.g.setState(Rebuilding)
	}
	l.g.nudge()
}

// maxSKUs is how many SKUs the place in an item can tell apart.
const maxSKUs = 255

// encode writes the arguments. Attempts whose SKUs find no place any more are left out and go on unasked.
func (l *lane) encode(b *build, batch []*waiter) (args []string, sent []*waiter) {
	place, skus := map[string]int{}, []string(nil)
	sent = make([]*waiter, 0, len(batch))
	wishes := make([]string, 0, len(batch))
	for _, w := range batch {
		wish := []byte(w.wish)
		fits := true
		for i, sku := range w.skus {
			at, ok := place[sku]
			if !ok && len(skus) < maxSKUs {
				skus = append(skus, fieldSKU+sku)
				at, ok = len(skus), true
				place[sku] = at
			}
			fits = fits && ok
			wish[8+3*i] = byte(at)
		}
		if fits {
			sent, wishes = append(sent, w), append(wishes, string(wish))
		}
	}
	o := &l.g.opt
	every := int64(0)
	if o.Calls > 0 {
		every = max(o.Per.Milliseconds()/int64(o.Calls), 1)
	}
	args = make([]string, 0, 8+len(skus)+2*len(sent))
	args = append(args, b.token, num(b.seq.Load()), num(l.ttl().Milliseconds()), num(every), num(max(int64(o.Calls), 1)),
		num(o.Attempt.Milliseconds()), num(int64(len(skus))), num(int64(len(sent))))
	args = append(args, skus...)
	for _, w := range sent {
		args = append(args, w.user)
	}
	return append(args, wishes...), sent
}

func num(n int64) string { return strconv.FormatInt(n, 10) }

// ttl is how long the content of a sale lives after the last call: until an hour after its end.
func (l *lane) ttl() time.Duration {
	doc := l.g.Sale(l.sale)
	if doc == nil {
		return time.Hour
	}
	return max(doc.EndsAt.Sub(l.g.opt.Clock.Now()), 0) + time.Hour
}

// decode hands out what the script said.
func (l *lane) decode(b *build, res []any, sent []*waiter) error {
	if len(res) != 4 {
		return fmt.Errorf("redisgate: an answer of %d parts", len(res))
	}
	seq, _ := res[1].(int64)
	letters, _ := res[2].(string)
	details, _ := res[3].([]any)
	if len(letters) != len(sent) || len(details)%3 != 0 {
		return fmt.Errorf("redisgate: an answer about %d attempts, asked for %d", len(letters), len(sent))
	}
	b.saw(seq)
	for i, w := range sent {
		w.said, w.ok = said{letter: letters[i] | 0x20, marked: letters[i] < 'a'}, true
	}
	for i := 0; i < len(details); i += 3 {
		at, _ := details[i].(int64)
		if at < 0 || int(at) >= len(sent) {
			continue
		}
		sent[at].said.number, _ = details[i+1].(int64)
		sent[at].said.sku, _ = details[i+2].(string)
	}
	return nil
}

func (g *Gate) since(t time.Time) time.Duration { return g.opt.Clock.Now().Sub(t) }

// believe takes over a build.
func (l *lane) believe(b *build) {
	l.last.Store(b)
	l.build.Store(b)
}

// exec runs a script of one sale.
func (g *Gate) exec(s *rueidis.Lua, l *lane, args []string, wait time.Duration) ([]any, error) {
	c, err := g.redis.Redis()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	v, err := s.Exec(ctx, c, l.keys, args).ToAny()
	if err != nil {
		return nil, err
	}
	res, ok := v.([]any)
	if !ok || len(res) == 0 {
		return nil, fmt.Errorf("redisgate: an answer of type %T", v)
	}
	return res, nil
}
