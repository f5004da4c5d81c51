package app

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"penstock/engine/groupcommit"
	"penstock/line"
	"penstock/stock"
	"penstock/stock/driver"
)

// startLine opens the lines and draws. Where attempts come in, entries are called too; one process at a time does it.
func (a *App) startLine(ctx context.Context) (func(context.Context) error, error) {
	db, err := open(ctx, "stock", a.cfg.Stock, map[string]func(context.Context) (line.Store, error){"sqlite": a.sqliteLines, "mysql": a.mysqlLines})
	if err != nil {
		return nil, err
	}
	c := a.cfg.Line
	a.lines, err = line.New(db, a.gate, a.ring, line.Options{
		Clock: a.opt.Clock, Logger: a.log, Target: c.Target, Calls: true, Observer: a.lineMetrics(),
		Rules: line.Rules{Reach: float64(c.Reach), Rate: c.Rate, Pass: c.Pass, Away: c.Away, ProofBits: c.ProofBits},
	})
	if err == nil {
		err = a.lines.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	a.countLines()
	return func(context.Context) error { a.lines.Stop(); return db.Close() }, nil
}

func (a *App) sqliteLines(ctx context.Context) (line.Store, error) {
	return line.OpenSQLite(ctx, a.path("line.db"), groupcommit.Options{Logger: a.log, Fault: a.opt.Fault})
}

// linePool is what looks, batches and the lease need at once.
const linePool = 8

func (a *App) mysqlLines(ctx context.Context) (line.Store, error) {
	o := quick()
	o.Pool = linePool
	return a.besideStock(ctx, "line", o, line.OpenMySQL)
}

// passed says whether a user may have had a pass for a sale. Attempts come in after the lines have started.
func (a *App) passed(ctx context.Context, sale, user string) bool {
	return a.lines == nil || a.lines.May(ctx, sale, user)
}

// lineMetrics counts what happens in lines.
func (a *App) lineMetrics() line.Observer {
	counter := func(name, help string) line.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		a.metrics.Registry().MustRegister(c)
		return func(n int) { c.Add(float64(n)) }
	}
	waited := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "penstock_line_wait_seconds", Help: "How long entries waited until they were called.", Buckets: prometheus.ExponentialBuckets(0.1, 3, 9),
	})
	a.metrics.Registry().MustRegister(waited)
	return line.Observer{
		Joined:  counter("penstock_line_joined_total", "Entries that joined a line."),
		Called:  counter("penstock_line_called_total", "Entries that were called by this process."),
		Refused: counter("penstock_line_refused_total", "Joins refused because the stock does not reach them."),
		Waited:  func(d time.Duration) { waited.Observe(d.Seconds()) },
	}
}

// countLines shows how long the lines are, all together: names of sales would be series without bound.
func (a *App) countLines() {
	lines := a.lines
	for _, g := range []struct {
		name, help string
		of         func(line.Sum) int
	}{
		{"penstock_line_waiting", "Entries that wait in all lines.", func(s line.Sum) int { return s.Waiting }},
		{"penstock_line_passes", "Passes that are out.", func(s line.Sum) int { return s.Out }},
	} {
		a.metrics.Registry().MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: g.name, Help: g.help}, func() float64 { return float64(g.of(lines.Sum())) }))
	}
}

// lined tells the lines how long attempts take, and which of them used a pass.
type lined struct {
	attempts interface {
		Attempt(context.Context, stock.Request) stock.Answer
	}
	lines *line.Lines
}

// Attempt passes the attempt on.
func (l lined) Attempt(ctx context.Context, r stock.Request) stock.Answer {
	if r.Pass != 0 && l.lines.Left(r.Pass) {
		r.Pass, r.PassSKU = 0, "" // its unit is another's; an answer that it was bound to is found without it
	}
	if r.Pass == 0 {
		return l.attempts.Attempt(ctx, r)
	}
	begin := time.Now()
	a := l.attempts.Attempt(ctx, r)
	l.lines.Decided(time.Since(begin))
	if a.Attempt != nil && a.Attempt.Pass == r.Pass && (!a.Replayed || l.lines.Out(r.Pass)) { // a kill may have lost the word of its use
		var units int64
		if a.State == stock.Won {
			units = r.Items[0].Quantity
		}
		l.lines.Used(r.Pass, units)
	}
	return a
}

// auditedLines records what operators do to draws.
type auditedLines struct {
	*line.Lines
	record func(context.Context, driver.Audit) error
}

// Give gives the public value to a sale's draws; see line.Lines.
func (l auditedLines) Give(ctx context.Context, who, saleID, value, reason string) error {
	if err := l.Lines.Give(ctx, saleID, value); err != nil {
		return err
	}
	after, _ := json.Marshal(map[string]string{"value": value}) // text always has a JSON form
	return l.record(ctx, driver.Audit{Who: who, Act: "draw.value", Object: "sale/" + saleID, Why: reason, After: string(after), ID: "draw-value-" + saleID})
}
