package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"penstock/app"
	"penstock/auth"
	"penstock/config"
	"penstock/storm"
)

// demo is one demonstration: a Penstock of its own, a sale, a stampede.
type demo struct {
	e *env
	stormFlags
	stock    int64
	data     string
	leave    bool
	operator string
	app      *app.App
	drain    time.Duration
}

const (
	demoSale   = "demo"
	demoSKU    = "teapot"
	demoWindow = 15 * time.Minute
	demoLife   = 12 * time.Hour // of the operator token that is printed
)

func newDemo(e *env) *cobra.Command {
	d := &demo{e: e}
	c := &cobra.Command{
		Use:   "demo",
		Short: "watch a stampede of buyers sell out a stock, in a fresh directory, and see the verdict",
		Long:  "Start everything embedded in a fresh directory, open a sale, run the stampede over real HTTP with a live picture, and print the\nverdict. Then it stays open for the browser and for curl, unless --exit is given.",
		Args:  args(),
	}
	w := &d.cfg
	c.Flags().Int64Var(&d.stock, "stock", 1000, "units for sale")
	c.Flags().IntVar(&w.Users, "buyers", 10_000, "buyers, each with an identity and an address of his own")
	c.Flags().Float64Var(&w.Rate, "rate", 4000, "arrivals per second")
	c.Flags().DurationVar(&w.For, "for", 0, "how long buyers arrive; 0 means until each has come once")
	c.Flags().Int64Var(&w.Seed, "seed", 0, "decides everything that is drawn; 0 takes one from the clock and prints it")
	c.Flags().StringVar(&d.data, "data", "", "keep the data in this directory, which must be new or empty; else it is a temporary one that goes with the demo")
	c.Flags().BoolVar(&d.leave, "exit", false, "end after the verdict")
	c.Flags().StringVar(&d.report, "report", "", "write the report to this file; else it stands in the data directory")
	stormShares(c, &d.stormFlags)
	c.Flags().Var((*fileName)(&d.json), "json", "write the result as one JSON object to this file; - is standard output")
	c.RunE = func(c *cobra.Command, _ []string) error { return d.run(c.Context()) }
	return c
}

func (d *demo) run(ctx context.Context) (err error) {
	if d.stock < 1 {
		return usage("for example --stock 1000", "--stock is %d, at least 1 is needed", d.stock)
	}
	if d.cfg.Seed == 0 {
		d.cfg.Seed = time.Now().UnixMicro()
	}
	remove, err := d.directory()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	asked, release := stopSignals(d.e)
	defer release()
	if err := d.open(ctx, asked); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop(d.app, d.drain)) }()
	ctx, cancel := until(ctx, asked)
	defer cancel()
	verdict := d.show(ctx)
	if verdict != nil && !isVerdict(verdict) || d.leave {
		return verdict
	}
	if err := d.stockShop(ctx); err != nil {
		return err
	}
	d.invite()
	<-ctx.Done()
	return verdict
}

// isVerdict tells a stampede that ended with a failed verdict from one that did not end.
func isVerdict(err error) bool {
	f, ok := errors.AsType[*failure](err)
	return ok && f.err == nil
}

// until returns a context that ends with the first signal.
func until(ctx context.Context, asked <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-asked:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// directory makes the data directory. remove takes a temporary one away again.
func (d *demo) directory() (remove func() error, err error) {
	if d.data == "" {
		d.data, err = os.MkdirTemp("", "penstock-demo-*")
		return func() error { return os.RemoveAll(d.data) }, err
	}
	if err := os.MkdirAll(d.data, 0o750); err != nil {
		return nil, err
	}
	there, err := os.ReadDir(d.data)
	if err == nil && len(there) > 0 {
		err = usage("a demo needs a fresh directory; leave --data out for a temporary one", "%s is not empty", d.data)
	}
	return func() error { return nil }, err
}

// open starts a Penstock on free ports. Buyers come from one machine with addresses of their own in X-Forwarded-For, so
// loopback is a proxy to be trusted here.
func (d *demo) open(ctx context.Context, asked <-chan struct{}) error {
	cfg := config.Default()
	cfg.Data = d.data
	cfg.Listen = config.Listen{Public: "127.0.0.1:0", Admin: "127.0.0.1:0", Probe: "127.0.0.1:0", Sandbox: "127.0.0.1:0"}
	cfg.DemoLogin = true
	cfg.Limits.IP.N = max(cfg.Limits.IP.N, 1000) // all browsers of this machine have one address
	cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	log, err := os.OpenFile(filepath.Join(d.data, "penstock.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	b := readBuild()
	if d.app, err = app.New(ctx, cfg, app.Options{Log: log, Version: b.Version, Commit: b.Commit}); err != nil {
		return err
	}
	d.drain = cfg.Timeouts.Drain
	if err = start(ctx, d.app, asked); err != nil {
		return err
	}
	d.operator, err = d.app.Token("demo", auth.Operator, demoLife)
	return err
}

func (d *demo) url(listener string) string { return "http://" + d.app.Addrs()[listener] }

// show opens the sale and runs the stampede to its verdict.
func (d *demo) show(ctx context.Context) error {
	if err := d.createSale(ctx); err != nil {
		return err
	}
	w := &d.cfg
	w.URL, w.AdminURL, w.AdminToken, w.Sale = d.url("public"), d.url("admin"), d.operator, demoSale
	w.Linger, w.History = 3*time.Second, filepath.Join(d.data, "history.ndjson")
	if d.report == "" {
		d.report = filepath.Join(d.data, "report.html")
	}
	w.Think = time.Second // people look at their order before they pay
	w.Identity = func(n int) (storm.Identity, error) {
		user := "buyer-" + strconv.Itoa(n+1)
		token, err := d.app.Token(user, "", demoLife)
		return storm.Identity{User: user, Token: token}, err
	}
	if err := d.finish(); err != nil {
		return err
	}
	fmt.Fprintf(d.e.err, "%d units, %d buyers, seed %d; everything embedded in %s\n", d.stock, d.cfg.Users, d.cfg.Seed, d.data)
	rep, err := stampede(ctx, d.e, *w)
	if err != nil {
		return explain(err)
	}
	return d.conclude(d.e, &rep)
}

func (d *demo) createSale(ctx context.Context) error {
	now := time.Now().UTC()
	return d.create(ctx, map[string]any{
		"id": demoSale, "title": "Teapots from the old foundry", "startsAt": now.Add(-time.Second), "endsAt": now.Add(demoLife), "paymentWindowSeconds": int(demoWindow.Seconds()),
		"items": []map[string]any{{"sku": demoSKU, "title": "Cast-iron teapot", "price": 4990, "currency": "EUR", "stock": d.stock, "limitPerUser": 1}},
	})
}

// create makes a sale over the operator API.
func (d *demo) create(ctx context.Context, sale map[string]any) error {
	body, err := json.Marshal(sale)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url("admin")+"/admin/v1/sales", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+d.operator)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusCreated {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 500))
	return errors.Join(fmt.Errorf("the sale was not created: %s %s", resp.Status, text), err)
}

// invite says what to look at while the demo stays open.
func (d *demo) invite() {
	fmt.Fprintf(d.e.out, `
It stays open until you press Ctrl-C.
open     %s/shop   the shop, in a browser; everybody is somebody there
operate  %s/console   the console, as the operator of the token below
report   %s
the sale curl %s/v1/sales/%s
the API  curl %s/openapi.json
stock    curl -H "Authorization: Bearer $(cat %s)" "%s/admin/v1/stock?sale=%s"
metrics  curl %s/metrics
check    penstock check --data %s
`, d.url("public"), d.url("admin"), d.report, d.url("public"), demoSale, d.url("public"), d.tokenFile(), d.url("admin"), demoSale, d.url("probe"), d.data)
}

// tokenFile leaves the operator's token where the printed commands find it.
func (d *demo) tokenFile() string {
	path := filepath.Join(d.data, "operator.token")
	if err := os.WriteFile(path, []byte(d.operator+"\n"), 0o600); err != nil {
		fmt.Fprintln(d.e.err, "penstock: the operator token could not be kept:", err)
	}
	return path
}
