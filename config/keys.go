package config

import (
	"fmt"
	"strings"
	"time"
)

// Key is the definition of one setting.
type Key struct {
	// Name is the path in the file, such as "listen.public".
	Name string
	// Default and Example are values as one would write them.
	Default, Example string
	Help             string
	// Secret values are shown as stars.
	Secret bool
	// Main keys are the ones to show to somebody who is new here.
	Main bool
	v    value
}

// Env returns the environment variable that sets the key.
func (k Key) Env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(k.Name, ".", "_"))
}

// Flag returns the command line flag that sets the key, without the dashes.
func (k Key) Flag() string {
	var b strings.Builder
	capital := false // the letter before was one: TTL is one word
	for _, r := range strings.ReplaceAll(k.Name, ".", "-") {
		before := capital
		if capital = r >= 'A' && r <= 'Z'; capital {
			if !before {
				b.WriteByte('-')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Type names the kind of value, such as "duration"; it carries the unit.
func (k Key) Type() string { return k.v.kind() }

// Keys returns every definition, in the order of the reference.
func Keys() []Key { return define(new(Config)) }

// Default returns the configuration that runs when nothing is set.
func Default() Config {
	var c Config
	for _, k := range define(&c) {
		if err := k.v.set(k.Default); err != nil {
			panic(fmt.Sprintf("default of %s: %v", k.Name, err))
		}
	}
	return c
}

// sections says what each group of keys is about.
var sections = map[string]string{
	"":             "Where things are kept, by which engine, and what belongs to no group.",
	"listen":       "Addresses, host:port. Port 0 takes a free one; the addresses in use are written to `<data>/listen.json` and logged. Nothing of one listener answers on another.",
	"keys":         "Tokens and the keys that sign them.",
	"gateway":      "Who gets in, how fast, in what order.",
	"limits":       "Quotas of the public listener. `off` switches one off. Refused calls do not count.",
	"line":         "Lines and draws (`docs/line.md`): for sales that do not say themselves.",
	"payment":      "Paying. Window and grace are those of a sale that names none.",
	"webhooks":     "Telling other systems (`docs/webhooks.md`).",
	"apps":         "Third-party apps (`docs/open-api.md`).",
	"sales":        "Sales that have ended.",
	"transactions": "Transactions across services: TCC and saga.",
	"identity":     "The login of the back office (`docs/login.md`).",
	"timeouts":     "How long each thing may take.",
	"batch":        "The group commit that decides attempts. An idle writer commits at once; nobody waits for a batch to fill.",
	"orderWriter":  "The batch insert of orders, for each of the eight order databases.",
	"log":          "The log: JSON lines on standard error.",
	"monitor":      "The watch over the invariants while sales run (`docs/reconcile.md`).",
	"trace":        "Spans. Trace ids are made, passed on and answered whatever is set here.",
}

// define is the one place where keys exist: each is bound to its field of c.
func define(c *Config) []Key {
	all := storage(c)
	all = append(all, edge(c)...)
	all = append(all, selling(c)...)
	return append(all, watching(c)...)
}

func storage(c *Config) []Key {
	return []Key{
		{Name: "data", Main: true, Default: "./data", Example: "/var/lib/penstock", v: text{&c.Data, "path", true},
			Help: "Directory of everything that must survive. One process owns it at a time."},
		{Name: "target", Main: true, Default: RoleAll, Example: "all", v: roles{&c.Target, Roles()},
			Help: "What this process does. `all` is everything; processes with fewer roles share engines with those that have the others (`docs/topology.md`)."},
		{Name: "node", Default: "0", Example: "3", v: number{&c.Node, 0, 31},
			Help: "Number of this process in the ids it makes, on embedded engines. On a shared stock database the number is leased there, and this key is not read."},
		{Name: "stock", Main: true, Default: "sqlite:", Example: "mysql://penstock:secret@db:3306/penstock", v: engine{p: &c.Stock, embedded: []string{"sqlite:"}, remote: []string{"mysql://"}},
			Help: "Engine of sales, stock, claims and their outbox. `sqlite:` keeps it in the data directory."},
		{Name: "orders", Main: true, Default: "", Example: "mysql://penstock:secret@db:3306/penstock?replica=db2:3306", v: engine{p: &c.Orders, embedded: []string{"sqlite:"}, remote: []string{"mysql://"}, follows: "stock"},
			Help: "Engine of the order shards and the payments. Empty: that of `stock`. Several servers, with commas between their URLs, share the eight shards in equal parts; `replica` names a server to read lists from."},
		{Name: "gate", Main: true, Default: "memory", Example: "redis://:secret@cache:6379", v: engine{p: &c.Gate, embedded: []string{"memory"}, remote: []string{"redis://", "rediss://"}},
			Help: "The filter in front of the stock database. It only ever says no, and is rebuilt from the database."},
		{Name: "bus", Main: true, Default: "outbox", Example: "kafka://broker1:9092,broker2:9092", v: engine{p: &c.Bus, embedded: []string{"outbox"}, remote: []string{"kafka://"}},
			Help: "What carries messages between the rooms."},
	}
}

// Roles of a process.
const (
	// RoleAll is every role.
	RoleAll = "all"
	// RoleSale answers the buyers' calls about sales and attempts, and decides.
	RoleSale = "sale"
	// RoleOrder writes orders and answers the buyers' calls about orders and payments.
	RoleOrder = "order"
	// RoleAdmin answers operators.
	RoleAdmin = "admin"
	// RoleTimers ends what has run out: unpaid claims, payments nobody reported on. One process at a time does it.
	RoleTimers = "timers"
	// RoleRelay brings messages from the outbox to the broker. One process at a time does it.
	RoleRelay = "relay"
	// RoleGateway has no room: its public listener forwards calls by the routes of its policy (`docs/upstreams.md`).
	RoleGateway = "gateway"
	// RoleSandbox is the sandbox payment provider.
	RoleSandbox = "sandbox"
)

// Roles returns every role, "all" first.
func Roles() []string {
	return []string{RoleAll, RoleSale, RoleOrder, RoleAdmin, RoleTimers, RoleRelay, RoleGateway, RoleSandbox}
}

func edge(c *Config) []Key {
	address := func(p *string) value { return address{p} }
	return []Key{
		{Name: "listen.public", Main: true, Default: "127.0.0.1:8080", Example: "0.0.0.0:8080", v: address(&c.Listen.Public), Help: "Buyers and open API."},
		{Name: "listen.admin", Main: true, Default: "127.0.0.1:8081", Example: "127.0.0.1:8081", v: address(&c.Listen.Admin), Help: "Operator API."},
		{Name: "listen.probe", Main: true, Default: "127.0.0.1:9090", Example: "0.0.0.0:9090", v: address(&c.Listen.Probe), Help: "Metrics and health."},
		{Name: "listen.sandbox", Main: true, Default: "127.0.0.1:8082", Example: "127.0.0.1:0", v: address(&c.Listen.Sandbox), Help: "The sandbox payment provider, when it is the provider."},
		{Name: "keys.file", Default: "", Example: "/etc/penstock/keys.json", v: text{&c.Keys.File, "path", false}, Help: "Key ring. Empty: `keys.json` in the data directory, made at the first start. Processes that share engines need the same."},
		{Name: "keys.passTTL", Default: "30m", Example: "1h", v: span{&c.Keys.PassTTL, time.Minute, 24 * time.Hour}, Help: "Life of the pass a token is exchanged for before the opening."},
		{Name: "limits.ip", Default: "100/m", Example: "100/m", v: rate{&c.Limits.IP}, Help: "Calls of one client address."},
		{Name: "limits.user", Default: "1000/m", Example: "1000/m", v: rate{&c.Limits.User}, Help: "Calls of one user."},
		{Name: "limits.api", Default: "10000/m", Example: "10000/m", v: rate{&c.Limits.API}, Help: "Calls of one API (route) by all callers together. Not of attempts, passes and lines, of streams, of providers' callbacks (`docs/limits.md`)."},
		{Name: "limits.attempt", Default: "1/s", Example: "1/s", v: rate{&c.Limits.Attempt}, Help: "Attempts of one user, over all sales."},
		{Name: "limits.shared", Default: "off", Example: "redis://cache:6379", v: engine{p: &c.Limits.Shared, embedded: []string{"off"}, remote: []string{"redis://", "rediss://"}},
			Help: "Redis in which all instances count together what a policy limits (`docs/limits.md`). `off`: each counts alone."},
		{Name: "gateway.file", Default: "", Example: "/etc/penstock/gateway.yaml", v: text{&c.Gateway.File, "path", false}, Help: "Policy of the public listener: address lists, limits, stages by route, APIs of apps, breakers, shedding (`docs/gateway.md`). It is read again when it changes. Empty: the limits of `limits`, and nothing else."},
		{Name: "trustedProxies", Default: "", Example: "10.0.0.0/8, 192.168.1.7/32", v: prefixes{&c.TrustedProxies}, Help: "Networks of the proxies in front. Only from there is `X-Forwarded-For` read."},
		{Name: "bodyLimit", Default: "64KiB", Example: "64KiB", v: size{&c.BodyLimit, 1 << 10, 16 << 20}, Help: "Largest request body."},
		{Name: "headerLimit", Default: "16KiB", Example: "16KiB", v: size{&c.HeaderLimit, 4 << 10, 1 << 20}, Help: "Largest request head."},
		{Name: "problems", Default: "/problems", Example: "https://shop.example.com/problems", v: base{&c.Problems}, Help: "What problem types begin with. The server serves the pages under `/problems` itself."},
		{Name: "timeouts.attempt", Default: "2s", Example: "2s", v: span{&c.Timeouts.Attempt, 10 * time.Millisecond, time.Minute}, Help: "An attempt without an answer by then is answered 202, not yet known."},
		{Name: "timeouts.body", Default: "10s", Example: "10s", v: span{&c.Timeouts.Body, 10 * time.Millisecond, 10 * time.Minute}, Help: "Arrival of a request, head and body."},
		{Name: "timeouts.write", Default: "30s", Example: "30s", v: span{&c.Timeouts.Write, 100 * time.Millisecond, 10 * time.Minute}, Help: "Writing of an answer. Exports and streams go on as long as they move."},
		{Name: "timeouts.idle", Default: "60s", Example: "60s", v: span{&c.Timeouts.Idle, time.Second, time.Hour}, Help: "A connection without a request."},
		{Name: "timeouts.drain", Default: "5s", Example: "5s", v: span{&c.Timeouts.Drain, 0, 10 * time.Minute}, Help: "Requests and batches in flight at a stop."},
	}
}

func selling(c *Config) []Key {
	return []Key{
		{Name: "line.reach", Default: "2", Example: "3", v: number{&c.Line.Reach, 1, 1000}, Help: "Entries in line per unit that is not sold. A line with more takes no new ones and says so."},
		{Name: "line.rate", Default: "500", Example: "2000", v: number{&c.Line.Rate, 1, 1_000_000}, Help: "Most entries that get a pass in a second. Fewer do while decisions are slow or units are few."},
		{Name: "line.pass", Default: "2m", Example: "90s", v: span{&c.Line.Pass, time.Second, time.Hour}, Help: "How long a pass is good for, from its collection or the start of the sale."},
		{Name: "line.away", Default: "20s", Example: "1m", v: span{&c.Line.Away, 2 * time.Second, time.Hour}, Help: "Who is silent so long when his turn comes is passed over, and keeps his place."},
		{Name: "line.target", Default: "50ms", Example: "20ms", v: span{&c.Line.Target, time.Millisecond, time.Minute}, Help: "While attempts take longer than this on average, fewer get a pass."},
		{Name: "line.proofBits", Default: "0", Example: "18", v: number{&c.Line.ProofBits, 0, 30}, Help: "Work to be done before joining: leading zero bits of a SHA-256. Each bit doubles it; 18 is about a quarter of a second of a browser. 0 is none."},
		{Name: "payment.window", Main: true, Default: "15m", Example: "15m", v: span{&c.Payment.Window, time.Second, 30 * 24 * time.Hour}, Help: "How long a winner has to pay."},
		{Name: "payment.grace", Default: "30s", Example: "30s", v: span{&c.Payment.Grace, 0, time.Hour}, Help: "How long after the window the stock of an unpaid order still waits for money on its way."},
		{Name: "payment.provider", Default: "sandbox", Example: "sandbox", v: choice{&c.Payment.Provider, []string{"sandbox"}}, Help: "Who takes the money. The sandbox is a provider inside the binary."},
		{Name: "payment.providers", Default: "sandbox,balance", Example: "sandbox,balance,transfer", v: methods{&c.Payment.Providers, []string{"sandbox", "balance", "transfer"}}, Help: "The methods by which a buyer may pay. `balance`: from what he has with the shop (`docs/balance.md`). `transfer`: he sends the money from his bank, and a statement says that it came (`docs/payments.md`)."},
		{Name: "payment.lateMoney", Default: "reclaim", Example: "refund", v: choice{&c.Payment.LateMoney, []string{"reclaim", "refund", "case"}}, Help: "What becomes of money that comes after the order expired. `reclaim`: the units are claimed again if sale, stock and limit allow it, else it goes back. `refund`: it goes back. `case`: an operator decides."},
		{Name: "payment.caseAfter", Default: "6h", Example: "2h", v: span{&c.Payment.CaseAfter, time.Minute, 30 * 24 * time.Hour}, Help: "How long a provider may leave a payment or a refund open before it becomes a case for an operator. It is asked on meanwhile."},
		{Name: "payment.queryMax", Default: "30s", Example: "5m", v: span{&c.Payment.QueryMax, time.Second, time.Hour}, Help: "Longest pause between two questions to a provider about the same payment or refund."},
		{Name: "payment.sandbox", Default: "", Example: "http://sandbox:8082", v: link{&c.Payment.Sandbox}, Help: "Where the sandbox provider is, when another process has its role. Empty: in this process."},
		{Name: "payment.callback", Default: "", Example: "https://shop.example.com", v: link{&c.Payment.Callback}, Help: "Where a provider reaches a public listener with role order. Empty: the one of this process."},
		{Name: "payment.secret", Secret: true, Default: "", Example: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", v: webhookSecret{&c.Payment.Secret}, Help: "Standard Webhooks secret that signs callbacks. Empty: one is made and kept in the data directory. Processes that share engines need the same."},
		{Name: "webhooks.key", Secret: true, Default: "", Example: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", v: webhookSecret{&c.Webhooks.Key}, Help: "Encrypts the secrets of webhook endpoints where they are stored. Empty: one is made and kept in the data directory. Processes that share engines need the same."},
		{Name: "webhooks.allowInsecure", Default: "false", Example: "false", v: onOff{&c.Webhooks.AllowInsecure}, Help: "Let webhooks go to `http` URLs too."},
		{Name: "webhooks.allowPrivate", Default: "false", Example: "false", v: onOff{&c.Webhooks.AllowPrivate}, Help: "Let webhooks go to addresses of this machine and network, and to any port. For tests and closed networks."},
		{Name: "apps.key", Secret: true, Default: "", Example: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", v: webhookSecret{&c.Apps.Key}, Help: "Encrypts the signing secrets of apps where they are stored. Empty: one is made and kept in the data directory. Processes that share engines need the same."},
		{Name: "apps.tokenTTL", Default: "1h", Example: "15m", v: span{&c.Apps.TokenTTL, time.Minute, 24 * time.Hour}, Help: "Life of a token that an app gets by OAuth2."},
		{Name: "sales.keep", Default: "720h", Example: "2160h", v: pause{span{&c.Sales.Keep, 24 * time.Hour, 87600 * time.Hour}}, Help: "How long the final refusals of a sale (sold out, limit reached) stay bound to their keys after it ended, and what its users had used of its limits. Whoever sends such a key later is told that the sale is closed, which is true and final too. Orders, ledger, waiting lists and trail stay. A sale that holds unpaid units waits. `off` keeps all."},
		{Name: "transactions.participants", Default: "", Example: "shipping=http://shipping:7000/tcc, points=http://points:7000", v: named{&c.Transactions.Participants}, Help: "Services elsewhere that take part in transactions (`docs/transactions.md`). `stock`, `order` and `balance` are this Penstock's own."},
		{Name: "transactions.secret", Secret: true, Default: "", Example: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", v: webhookSecret{&c.Transactions.Secret}, Help: "Standard Webhooks secret that signs calls to participants. Empty: one is made and kept in the data directory, `participants.secret`. Processes that share engines need the same."},
		{Name: "transactions.bearers", Secret: true, Default: "", Example: "shipping=c2hpcHBpbmc=", v: credentials{&c.Transactions.Bearers}, Help: "Bearer tokens that calls to participants elsewhere carry beside the signature, by the participant's name."},
		{Name: "transactions.timeout", Default: "30s", Example: "30s", v: span{&c.Transactions.Timeout, 100 * time.Millisecond, 24 * time.Hour}, Help: "How long a transaction may try before it cancels, if it names no time of its own. Shorter than any payment window."},
		{Name: "transactions.call", Default: "3s", Example: "3s", v: span{&c.Transactions.Call, 10 * time.Millisecond, 10 * time.Minute}, Help: "One call to a participant."},
		{Name: "transactions.tries", Default: "12", Example: "12", v: number{&c.Transactions.Tries, 1, 1000}, Help: "Calls of one step without an outcome, with growing pauses (200 ms to 30 s), before a person is asked. 12 take about two minutes."},
		{Name: "transactions.keep", Default: "720h", Example: "720h", v: pause{span{&c.Transactions.Keep, time.Hour, 87600 * time.Hour}}, Help: "How long transactions are kept after they ended, with their timelines and barriers; those that have not ended, or wait for a person, stay. An id may be used again afterwards. `off` keeps all."},
		{Name: "identity.issuer", Default: "", Example: "https://login.shop.example", v: issuer{&c.Identity.Issuer}, Help: "Public URL of the admin listener, scheme and host only: other systems use the login there as an OpenID Connect provider. `http` is for loopback only. Empty: no other system may."},
		{Name: "identity.key", Secret: true, Default: "", Example: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", v: webhookSecret{&c.Identity.Key}, Help: "Encrypts second factors and signing keys where they are stored, and signs device cookies. Empty: one is made and kept in the data directory. Processes that share engines need the same."},
		{Name: "identity.idle", Default: "30m", Example: "15m", v: span{&c.Identity.Idle, time.Minute, 30 * 24 * time.Hour}, Help: "A session that is not used for so long is over."},
		{Name: "identity.life", Default: "12h", Example: "8h", v: span{&c.Identity.Life, time.Minute, 30 * 24 * time.Hour}, Help: "A session is over after so long in any case."},
		{Name: "batch.size", Default: "512", Example: "512", v: number{&c.Batch.Size, 1, 4096}, Help: "Attempts in one transaction."},
		{Name: "batch.wait", Default: "1ms", Example: "2ms", v: span{&c.Batch.Wait, 0, 100 * time.Millisecond}, Help: "How long a batch waits for company while there is a crowd. An idle writer commits at once."},
		{Name: "orderWriter.rows", Default: "100", Example: "100", v: number{&c.OrderWriter.Rows, 1, 1000}, Help: "Orders in one insert."},
		{Name: "orderWriter.wait", Default: "1s", Example: "1s", v: span{&c.OrderWriter.Wait, 0, time.Minute}, Help: "Longest wait of an order for its insert."},
		{Name: "orderWriter.pace", Default: "off", Example: "2000/s", v: rate{&c.OrderWriter.Pace}, Help: "Most rows that go into one database. `off`: as many as it takes."},
	}
}

func watching(c *Config) []Key {
	return []Key{
		{Name: "log.level", Main: true, Default: "info", Example: "debug", v: choice{&c.Log.Level, []string{"trace", "debug", "info", "warn", "error", "fatal"}}, Help: "Least level that is written."},
		{Name: "log.sample", Default: "0.001", Example: "0.01", v: ratio{&c.Log.Sample}, Help: "Share of attempts that are logged. Errors always are."},
		{Name: "log.env", Default: "development", Example: "production", v: text{&c.Log.Env, "text", true}, Help: "Name of the environment, field `env`."},
		{Name: "trace.sample", Default: "0.001", Example: "0.01", v: ratio{&c.Trace.Sample}, Help: "Share of requests that leave spans when the caller has not decided. Errors always do."},
		{Name: "trace.export", Default: "off", Example: "log", v: text{&c.Trace.Export, "path", true}, Help: "Where spans go as JSON lines: `off`, `log`, or a file."},
		{Name: "monitor.every", Default: "1s", Example: "5s", v: pause{span{&c.Monitor.Every, 100 * time.Millisecond, time.Hour}}, Help: "How often the leader of the timers compares stock rows, journal and gate. `off` switches the monitor off."},
		{Name: "monitor.freeze", Default: "false", Example: "true", v: onOff{&c.Monitor.Freeze}, Help: "Pause the sale of a stock row that breaks an invariant, as an operator would, with a row in the trail."},
		{Name: "demoLogin", Default: "false", Example: "false", v: onOff{&c.DemoLogin}, Help: "For demonstrations only: make every browser of this machine a buyer of its own, without any login (`docs/shop.md`). Needs `listen.public` on loopback. `penstock demo` switches it on."},
		{Name: "pprof", Default: "false", Example: "true", v: onOff{&c.Pprof}, Help: "Serve `/debug/pprof` on the probe listener."},
	}
}
