package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"penstock/bus"
	busdriver "penstock/bus/driver"
	"penstock/bus/outboxbus"
	"penstock/bus/sqlstore"
	"penstock/check"
	"penstock/check/history"
	"penstock/engine/sqlite"
	"penstock/internal/fault"
	"penstock/internal/ident"
	"penstock/limit"
	"penstock/order"
	"penstock/order/payment"
	"penstock/order/sqliteorder"
	"penstock/sale"
	"penstock/stock"
	"penstock/stock/gate"
	"penstock/stock/sqlitestock"
)

// world is one Penstock without its HTTP listeners, in simulated time.
type world struct {
	t    *testing.T
	dir  string
	rng  *rand.Rand
	seed uint64

	fault    *fault.Points
	driver   *sqlitestock.Driver
	stock    *stock.Stock
	sales    *sale.Sales
	shards   *sqliteorder.Store
	orders   *order.Orders
	payments *payment.Payments
	provider *provider
	busDB    *sqlite.DB
	busDrv   *outboxbus.Driver
	bus      *bus.Bus

	log     *history.Writer
	file    *os.File
	calls   uint64
	won     []won
	pending []wish // wishes whose answer is not final
}

type won struct {
	user  string
	order ident.ID
}

type wish struct {
	user, key string
	items     []stock.Item
}

var either = regexp.MustCompile(`"(why|at)":"[^"]*",?`)

var number = regexp.MustCompile(`"seq":\d+,|"stock-\d+"`)

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, dir: t.TempDir(), rng: rand.New(rand.NewPCG(seed, 1)), seed: seed, provider: newProvider(seed)}
	file, err := os.Create(filepath.Join(w.dir, "history.ndjson"))
	w.must(err)
	w.file, w.log = file, history.NewWriter(file)
	w.open()
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("seed %d: %v", w.seed, err)
	}
}

// open builds the rooms over the data directory, as a start of the process would.
func (w *world) open() {
	ctx := context.Background()
	var err error
	w.fault = &fault.Points{}
	w.driver, err = sqlitestock.Open(ctx, filepath.Join(w.dir, "stock.db"), sqlitestock.Options{Fault: w.fault})
	w.must(err)
	g := gate.New(0)
	w.stock, err = stock.New(ctx, w.driver, stock.Options{OnCommit: g.Observe})
	w.must(err)
	w.sales = sale.New(w.stock, g, sale.Options{Throttle: throttle{limit.New[string](limit.Rate{Calls: 1, Per: time.Second}, limit.Options{})}})
	w.shards, err = sqliteorder.Open(ctx, filepath.Join(w.dir, "orders"), sqliteorder.Options{})
	w.must(err)
	w.orders, err = order.New(w.shards, w.stock, order.Options{ExpireParallel: 1}) // one after the other, in a fixed order
	w.must(err)
	w.payments, err = payment.New(ctx, filepath.Join(w.dir, "payments.db"), payment.Deps{
		Orders: w.orders, Stock: w.stock, Providers: map[string]payment.Provider{"sim": w.provider},
	}, payment.Options{Workers: 1})
	w.must(err)
	w.busDB, err = sqlstore.Open(ctx, filepath.Join(w.dir, "bus.db"), sqlite.Options{})
	w.must(err)
	cursors := sqlstore.NewCursors(w.busDB, nil)
	w.must(cursors.Void(ctx))
	w.busDrv, err = outboxbus.New(cursors, map[string][]outboxbus.Source{stock.Topic: {w.stock.Source()}}, outboxbus.Options{})
	w.must(err)
	w.bus, err = bus.New(w.busDrv, sqlstore.New(w.busDB), bus.Options{})
	w.must(err)
	w.must(w.bus.Consume("orders", stock.Topic, w.orders.Handle))
	w.must(w.bus.Start(ctx))
	w.must(w.orders.Start(ctx))
	w.must(w.payments.Start(ctx))
	synctest.Wait()
}

func (w *world) close() {
	ctx := context.Background()
	w.must(w.bus.Stop(ctx))
	w.must(w.payments.Stop())
	w.orders.Stop()
	w.must(w.stock.Close(ctx))
	w.must(errors.Join(w.busDrv.Close(), w.busDB.Close(), w.shards.Close(), w.driver.Close()))
}

type throttle struct{ l *limit.Limiter[string] }

func (t throttle) Allow(user string) (bool, time.Duration) {
	r := t.l.Take(user)
	return r.Allowed, r.RetryAfter
}

// attempt makes one attempt, writes it down before and after, and remembers what is not final.
func (w *world) attempt(x wish) {
	w.calls++
	rec := history.Record{
		Phase: history.Send, Seed: int64(w.seed), Call: w.calls, Sale: "s", User: x.user, Key: x.key, Op: history.Buy,
		TSend: time.Now().UTC(),
	}
	if len(x.items) == 1 { // a cart names no SKU
		rec.SKU, rec.Qty = x.items[0].SKU, x.items[0].Quantity
	}
	w.log.Write(&rec)
	a := w.sales.Attempt(context.Background(), stock.Request{Sale: "s", User: x.user, Key: x.key, Items: x.items})
	rec.Phase, rec.TRecv, rec.Replayed = history.Recv, time.Now().UTC(), a.Replayed
	switch a.State {
	case stock.Won:
		rec.Status, rec.State, rec.Order, rec.Amount = http.StatusCreated, "won", a.Attempt.ID.String(), a.Attempt.Amount
		if !a.Replayed {
			w.won = append(w.won, won{x.user, a.Attempt.ID})
		}
	case stock.Lost:
		rec.Status, rec.Problem = a.Reason.Status(), string(a.Reason)
	case stock.Unknown:
		rec.Status, rec.State = http.StatusAccepted, "unknown"
	}
	w.log.Write(&rec)
	if a.State == stock.Unknown || (a.State == stock.Lost && !history.Final(rec.Problem)) {
		w.pending = append(w.pending, x)
	}
}

// check waits until nothing is in flight, runs every check, and returns every line of every export.
func (w *world) check() []string {
	w.t.Helper()
	for range 600 {
		time.Sleep(time.Second)
		synctest.Wait()
		if w.inFlight() == 0 {
			break
		}
	}
	w.must(w.log.Flush())
	rep, err := check.Run(context.Background(), check.Source{Export: w.export, Snapshot: w.snapshot}, check.Options{
		History: w.file.Name(), Route: w.shards.Map().Route,
	})
	w.must(err)
	if rep.Verdict != check.Pass {
		w.t.Fatalf("seed %d:\n%s", w.seed, rep.Text())
	}
	var records []string
	for _, name := range check.Exports {
		var text bytes.Buffer
		w.must(w.export(context.Background(), name, &text))
		said := text.String()
		if name == "order-events" {
			// An order is moved by the call and by the message about its claim, whichever comes first in the same instant: the
			// step is the same, its reason and its time (of the claim, or after a lost reply of the call) are the first one's.
			said = either.ReplaceAllString(said, "")
		}
		// What happens in one instant has no order in simulated time: compare what is recorded, not its number.
		lines := strings.Split(number.ReplaceAllString(said, ""), "\n")
		slices.Sort(lines)
		records = append(records, lines...)
	}
	return records
}

func (w *world) inFlight() int64 {
	lag, err := w.bus.InFlight(context.Background())
	w.must(err)
	money, err := w.payments.InFlight(context.Background())
	w.must(err)
	waiting := money + w.stock.InFlight() + w.orders.InFlight()
	for _, n := range lag {
		waiting += n
	}
	return waiting
}

func (w *world) snapshot(ctx context.Context) (check.Snapshot, error) {
	snap, err := w.stock.Snapshot(ctx)
	if err != nil {
		return check.Snapshot{}, err
	}
	return check.SnapshotOf(snap), nil
}

func (w *world) export(ctx context.Context, name string, out io.Writer) error {
	switch name {
	case "orders":
		return w.orders.ExportOrders(ctx, out)
	case "order-events":
		return w.orders.ExportEvents(ctx, out)
	case "payments":
		return w.payments.Export(ctx, out)
	case "balances":
		return nil // nobody pays from one here
	case "dead-letters":
		letters, err := w.bus.DeadLetters().List(ctx, busdriver.Filter{All: true}, 0, 10)
		if err == nil && len(letters) > 0 {
			err = fmt.Errorf("%d dead letters, the first because %s", len(letters), letters[0].Reason)
		}
		return err
	}
	return w.stock.Export(ctx, name, out)
}

// provider is a payment provider that decides by the payment's id: captures, declines, is silent at first, or captures late.
type provider struct {
	seed uint64
	paid map[ident.ID]payment.Charge
	back map[ident.ID]bool
}

func newProvider(seed uint64) *provider {
	return &provider{seed: seed, paid: map[ident.ID]payment.Charge{}, back: map[ident.ID]bool{}}
}

func (*provider) Check(payment.Begin) error { return nil }

func (p *provider) Charge(_ context.Context, c payment.Charge) (payment.Result, error) {
	switch uint64(c.Payment) % 5 {
	case 0:
		return payment.Result{Status: payment.Declined, Why: "no funds"}, nil
	case 1: // the money is taken, the answer is lost
		p.paid[c.Payment] = c
		return payment.Result{}, errors.New("reset by peer")
	}
	p.paid[c.Payment] = c
	return p.taken(c), nil
}

func (*provider) taken(c payment.Charge) payment.Result {
	return payment.Result{Status: payment.Taken, Ref: "ref-" + strconv.FormatInt(int64(c.Payment), 10), Amount: c.Amount, Currency: c.Currency}
}

func (p *provider) Query(_ context.Context, id ident.ID) (payment.Result, error) {
	if c, ok := p.paid[id]; ok {
		return p.taken(c), nil
	}
	return payment.Result{Status: payment.Absent}, nil
}

func (p *provider) Refund(_ context.Context, r payment.RefundCall) (payment.Result, error) {
	if !p.back[r.Refund] {
		p.back[r.Refund] = true
		return payment.Result{}, errors.New("timed out") // done, and not told
	}
	return payment.Result{Status: payment.Returned, Ref: r.Ref, Amount: r.Amount, Currency: r.Currency}, nil
}

func (*provider) Event(http.Header, []byte) (payment.Event, error) {
	return payment.Event{}, errors.New("this provider sends no callbacks")
}
