package redisgate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"penstock/stock/driver"
)

// follow compares Redis with SQL at least once a second, and Redis with memory whenever something went wrong: a nudge costs no
// snapshot, only calls of Redis.
func (g *Gate) follow(ctx context.Context) {
	g.compare(ctx, nil)
	next := g.opt.Clock.NewTimer(g.resync.Pause(0))
	defer func() { next.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C():
			start := g.opt.Clock.Now()
			g.cycle(ctx)
			next = g.opt.Clock.NewTimer(g.resync.Pause(g.opt.Clock.Now().Sub(start)))
		case <-g.kick:
			if !g.rest(ctx) {
				return
			}
			g.compare(ctx, nil)
		}
	}
}

// rest keeps a storm of nudges, and processes that were all nudged by the same loss, from calling at the same moment.
func (g *Gate) rest(ctx context.Context) bool {
	t := g.opt.Clock.NewTimer(10*time.Millisecond + rand.N(40*time.Millisecond))
	defer t.Stop()
	select {
	case <-t.C():
		return true
	case <-ctx.Done():
		return false
	}
}

// cycle reads Redis first and SQL second: a version in Redis that SQL has not reached afterwards is a lie.
func (g *Gate) cycle(ctx context.Context) {
	var before map[string]found
	if !g.gone.Load() {
		before = g.readAll(ctx)
	}
	snap, err := g.resync.Once(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		g.opt.Logger.Error("the gate does not see other processes", "error", err.Error())
	}
	if snap == nil {
		return
	}
	g.compare(ctx, before)
	for i := range snap.Sales {
		if _, ok := before[snap.Sales[i].ID]; !ok && active(&snap.Sales[i], g.opt.Clock.Now()) {
			g.nudge() // it is new here
			return
		}
	}
}

// found is the content of Redis for one sale, without the marks.
type found struct {
	token    string
	epoch    int64
	seq      int64
	versions map[string]int64
	garbled  bool
}

// readAll reads the content of every active sale, or nil when Redis cannot be read.
func (g *Gate) readAll(ctx context.Context) map[string]found {
	c, err := g.redis.Redis()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, g.patience())
	defer cancel()
	var cmds rueidis.Commands
	var sales []string
	now := g.opt.Clock.Now()
	for _, doc := range g.Sales() {
		if active(doc, now) {
			sales = append(sales, doc.ID)
			cmds = append(cmds, c.B().Hgetall().Key(g.lane(doc.ID).keys[0]).Build())
		}
	}
	if len(cmds) == 0 {
		cmds = append(cmds, c.B().Ping().Build())
	}
	start := g.opt.Clock.Now()
	all := make(map[string]found, len(sales))
	for i, res := range c.DoMulti(ctx, cmds...) {
		fields, err := res.AsStrMap()
		switch _, answered := rueidis.IsRedisErr(err); {
		case len(sales) == 0 && res.NonRedisError() == nil:
		case err != nil && answered && strings.HasPrefix(err.Error(), "WRONGTYPE"):
			all[sales[i]] = found{garbled: true}
		case err != nil:
			g.opt.OnCall(Call{Op: "read", Batch: len(sales), Took: g.since(start), Err: err})
			g.lost(err)
			return nil
		default:
			all[sales[i]] = parse(fields)
		}
	}
	g.opt.OnCall(Call{Op: "read", Batch: len(sales), Took: g.since(start)})
	return all
}

func parse(fields map[string]string) found {
	f := found{token: fields[fieldToken], versions: map[string]int64{}}
	var err error
	if f.seq, err = strconv.ParseInt(fields[fieldSeq], 10, 64); err != nil {
		f.garbled = true
	}
	epoch, _, _ := strings.Cut(f.token, "-")
	if f.epoch, err = strconv.ParseInt(epoch, 10, 64); err != nil || f.epoch > 1<<53 {
		f.epoch, f.garbled = 0, true
	}
	for name, v := range fields {
		if sku, ok := strings.CutPrefix(name, fieldSKU); ok {
			version, _, _ := strings.Cut(v, " ")
			if f.versions[sku], err = strconv.ParseInt(version, 10, 64); err != nil {
				f.garbled = true
			}
		}
	}
	return f
}

// compare makes every active sale one to believe: it adopts what another process built, builds what is missing, older or a lie, and
// corrects the rest. before was read before the newest snapshot; nil means now, and then free counts stay as they are.
func (g *Gate) compare(ctx context.Context, before map[string]found) {
	snapshot := before != nil
	if !snapshot {
		if before = g.readAll(ctx); before == nil {
			g.retry(ctx)
			return
		}
	}
	all := true
	for sale, f := range before {
		if ctx.Err() != nil {
			return
		}
		l := g.lane(sale)
		if l.spoilt.Swap(false) || f.stale(l.last.Load()) || (snapshot && g.lies(sale, f)) {
			l.build.Store(nil)
			all = g.rebuild(l, f) && all
			continue
		}
		b, known := l.build.Load(), true
		if b == nil || b.token != f.token {
			b, known = &build{token: f.token, epoch: f.epoch}, false
			b.saw(f.seq)
		}
		if snapshot || !known || g.gone.Load() {
			if !g.pushRows(l, b, "hard", g.rows(sale), nil) {
				all = false
				continue
			}
		}
		l.believe(b)
	}
	g.settle(all)
}

// retry tries again while Redis is gone, without SQL.
func (g *Gate) retry(ctx context.Context) {
	t := g.opt.Clock.NewTimer(50*time.Millisecond + rand.N(100*time.Millisecond))
	defer t.Stop()
	select {
	case <-t.C():
		g.nudge()
	case <-ctx.Done():
	}
}

// settle closes the breaker after a comparison that went well.
func (g *Gate) settle(all bool) {
	if !all {
		if !g.gone.Load() {
			g.setState(Rebuilding)
		}
		g.nudge()
		return
	}
	if g.gone.Swap(false) {
		g.opt.Logger.Info("redis is believed again")
	}
	g.setState(Ready)
}

// stale reports content that is no build, older than the one believed last, or behind what was seen of it.
func (f found) stale(last *build) bool {
	switch {
	case f.garbled || f.token == "":
		return true
	case last == nil:
		return false
	}
	return f.epoch < last.epoch || (last.token == f.token && f.seq < last.seq.Load())
}

// lies reports a version that SQL had not reached after it was read.
func (g *Gate) lies(sale string, f found) bool {
	for sku, version := range f.versions {
		if row := g.Level(sale, sku); row != nil && version > row.Version {
			return true
		}
	}
	return false
}

// rows returns what memory knows of a sale.
func (g *Gate) rows(sale string) []driver.Stock {
	var rows []driver.Stock
	for _, l := range g.LevelsOf(sale) {
		rows = append(rows, *l)
	}
	return rows
}

// rebuild replaces the content of one sale from memory, which is at most one cycle behind SQL. Whoever gets the lock builds;
// false means that another did, or that it failed: look again.
func (g *Gate) rebuild(l *lane, f found) bool {
	c, err := g.redis.Redis()
	if err != nil {
		return false
	}
	rows := g.rows(l.sale)
	start := g.opt.Clock.Now()
	err = g.replace(c, l, f, rows)
	g.opt.OnCall(Call{Op: "build", Batch: len(rows), Took: g.since(start), Err: err})
	if err != nil && !errors.Is(err, errUnknown) {
		g.lost(err)
	}
	return err == nil
}

// lockFor is how long a builder keeps others away at most.
const lockFor = 2 * time.Second

func (g *Gate) replace(c rueidis.Client, l *lane, f found, rows []driver.Stock) error {
	ctx, cancel := context.WithTimeout(context.Background(), g.patience())
	defer cancel()
	owner := strconv.FormatUint(rand.Uint64(), 36)
	err := c.Do(ctx, c.B().Set().Key(l.keys[3]).Value(owner).Nx().Px(lockFor).Build()).Error()
	if rueidis.IsRedisNil(err) {
		return errUnknown
	}
	if err != nil {
		return err
	}
	b := &build{epoch: f.epoch + 1}
	if last := l.last.Load(); last != nil {
		b.epoch = max(b.epoch, last.epoch+1)
	}
	b.token = fmt.Sprintf("%d-%s", b.epoch, owner)
	args := []string{b.token, f.token, num(l.ttl().Milliseconds()), num(g.opt.Attempt.Milliseconds()), owner}
	res, err := g.exec(g.lua.build, l, appendRows(args, rows), g.patience())
	if err != nil {
		return err
	}
	if res[0] != "ok" {
		return errUnknown
	}
	b.saw(1)
	l.believe(b)
	g.opt.Logger.Info("the gate in redis was rebuilt", "sale", l.sale, "build", b.token)
	return nil
}
