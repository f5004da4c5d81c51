package redisgate

import (
	"context"
	"sync"
	"time"

	"penstock/stock/driver"
)

// limit is a user's limit as SQL told it.
type limit struct {
	sale, user, sku string
	left            int64
}

// pushes gathers what Redis is to be told; of several commits of a row only the last is kept.
type pushes struct {
	mu     sync.Mutex
	levels map[driver.StockRef]driver.Stock
	limits map[string][]limit
	some   chan struct{} // capacity 1
}

func newPushes() pushes {
	return pushes{levels: map[driver.StockRef]driver.Stock{}, limits: map[string][]limit{}, some: make(chan struct{}, 1)}
}

// maxLimits is how many limits of a sale wait at most; more are forgotten: SQL tells them again.
const maxLimits = 1000

func (p *pushes) rows(rows []driver.Stock) {
	if len(rows) == 0 {
		return
	}
	p.mu.Lock()
	for _, r := range rows {
		ref := driver.StockRef{Sale: r.Sale, SKU: r.SKU}
		if old, ok := p.levels[ref]; !ok || old.Version < r.Version {
			p.levels[ref] = r
		}
	}
	p.mu.Unlock()
	p.signal()
}

func (p *pushes) limit(l limit) {
	p.mu.Lock()
	if len(p.limits[l.sale]) < maxLimits {
		p.limits[l.sale] = append(p.limits[l.sale], l)
	}
	p.mu.Unlock()
	p.signal()
}

func (p *pushes) signal() {
	select {
	case p.some <- struct{}{}:
	default:
	}
}

// take returns what waits, by sale.
func (p *pushes) take() (map[string][]driver.Stock, map[string][]limit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	rows := map[string][]driver.Stock{}
	for ref, row := range p.levels {
		rows[ref.Sale] = append(rows[ref.Sale], row)
	}
	limits := p.limits
	clear(p.levels)
	p.limits = map[string][]limit{}
	for sale := range limits {
		if _, ok := rows[sale]; !ok {
			rows[sale] = nil
		}
	}
	return rows, limits
}

// pushAll tells Redis what was committed here, one call per sale at a time.
func (g *Gate) pushAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.push.some:
		}
		rows, limits := g.push.take()
		for sale, levels := range rows {
			l := g.lane(sale)
			if b := l.build.Load(); b != nil && !g.gone.Load() {
				g.pushRows(l, b, "soft", levels, limits[sale])
			}
		}
	}
}

// limitFor is how long a limit that SQL told is believed.
const limitFor = time.Second

// pushRows tells Redis rows of one sale. An error opens the breaker; foreign content is distrusted.
func (g *Gate) pushRows(l *lane, b *build, how string, levels []driver.Stock, limits []limit) bool {
	args := []string{b.token, num(b.seq.Load()), num(l.ttl().Milliseconds()), how, num(limitFor.Milliseconds()), num(int64(len(levels)))}
	args = appendRows(args, levels)
	for _, x := range limits {
		args = append(args, x.user, num(x.left), x.sku)
	}
	start := g.opt.Clock.Now()
	res, err := g.exec(g.lua.push, l, args, g.patience())
	switch {
	case err != nil:
		g.lost(err)
	case res[0] == "unknown":
		l.distrust(b)
		err = errUnknown
	case len(res) > 1:
		seq, _ := res[1].(int64)
		b.saw(seq)
	}
	g.opt.OnCall(Call{Op: "push", Batch: len(levels) + len(limits), Took: g.since(start), Err: err})
	return err == nil
}

func appendRows(args []string, levels []driver.Stock) []string {
	for i := range levels {
		args = append(args, fieldSKU+levels[i].SKU, num(levels[i].Version), num(levels[i].Available))
	}
	return args
}

// patience is the deadline of calls that nobody waits for.
func (g *Gate) patience() time.Duration { return 5 * g.opt.Deadline }
