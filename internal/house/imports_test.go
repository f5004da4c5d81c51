package house

import (
	"fmt"
	"strconv"
	"strings"
)

const module = "penstock"

// room is one row of the map: a directory, what of this module its code may import, and why. A name stands for the whole
// directory tree below it; imports inside the own tree are free but for drivers, which have rows of their own.
type room struct {
	dir string
	may []string
	why string
}

// floor is what everything may stand on.
var floor = []string{"errs", "internal/clock", "internal/durable", "internal/egress", "internal/fault", "internal/ident", "internal/page", "internal/seal"}

// rooms is the direction of imports: errs and internal ← rooms ← drivers; gateway → rooms; app → all; cmd → app.
var rooms = []room{
	{"errs", nil, "everything stands on it"},
	{"internal", []string{"errs"}, "everything stands on it"},
	{"internal/house", nil, "it looks at the tree from outside"},
	{"internal/house/testrun", []string{"internal/engines"}, "has engines installed before the tests want them"},
	{"engine", nil, "an engine is a connection; it knows no business word"},

	{"stock/driver", nil, "the port: policy and engines meet here"},
	{"stock/sqlitestock", []string{"stock/driver", "engine"}, "a driver knows its port and its engine, never the policy above"},
	{"stock/mysqlstock", []string{"stock/driver", "engine"}, "a driver knows its port and its engine, never the policy above"},
	{"stock/gate/redisgate", []string{"stock", "engine"}, "the gate of several processes: the memory gate and one engine"},
	{"stock/drivertest", []string{"stock", "engine"}, "the contract runs the policy over a driver"},
	{"stock", []string{"bus/driver"}, "decides; it knows neither who asks nor who stores, but offers its journal as a source of messages"},
	{"bus/driver", nil, "the port"},
	{"bus/outboxbus", []string{"bus/driver", "engine"}, "carries what a database journals"},
	{"bus/drivertest", []string{"bus", "engine"}, "the contract"},
	{"bus/messagetest", []string{"bus", "engine"}, "tests of the whole way of a message"},
	{"bus/outbox", []string{"bus/driver", "engine"}, "the message table that rooms write in their own transactions"},
	{"bus/kafkabus", []string{"bus/driver", "engine"}, "relays outboxes to Kafka and reads them back"},
	{"bus/sqlrow", []string{"bus/driver"}, "what the two stores below have in common"},
	{"bus/sqlstore", []string{"bus/driver", "bus/sqlrow", "engine"}, "keeps offsets and dead letters in one SQLite file"},
	{"bus/mysqlstore", []string{"bus/driver", "bus/sqlrow", "engine"}, "keeps cursors and dead letters where several processes share them"},
	{"bus", nil, "delivers; it knows no business word"},
	{"sale", []string{"stock"}, "windows and limits around the stock decision"},
	{"line/draw", nil, "the arithmetic of a draw, which others recompute"},
	{"line", []string{"sale", "stock", "auth", "engine"}, "who may attempt, and in which order; it never decides about stock"},
	{"order/shard", nil, "where an order lives; it opens nothing"},
	{"order/driver", []string{"order/shard", "stock/driver", "bus/driver", "bus/outbox"}, "the port: the policy of orders and their databases meet here"},
	{"order/sqlrow", []string{"order/driver"}, "what the two stores below have in common"},
	{"order/sqliteorder", []string{"order/driver", "order/shard", "order/sqlrow", "bus/driver", "bus/outbox", "engine"}, "a driver"},
	{"order/mysqlorder", []string{"order/driver", "order/shard", "order/sqlrow", "bus/driver", "bus/outbox", "engine"}, "a driver"},
	{"order/drivertest", []string{"order/driver", "order/shard", "stock/driver"}, "the contract"},
	{"webhook/standard", nil, "signs and verifies messages; payments use it for what comes in, webhooks for what goes out"},
	{"webhook", []string{"bus", "engine"}, "tells other systems what the bus says; it knows no business word"},
	{"order", []string{"stock", "bus", "engine", "sale", "webhook/standard"}, "follows the claims; keeps its shards"},
	{"saga/participant", nil, "the port: what a service does to take part"},
	{"saga/barrier", []string{"saga/participant", "engine/sqldb"}, "a table in a participant's own database"},
	{"saga", []string{"order", "stock", "engine", "webhook/standard"}, "transactions across services; package shop is what of ours takes part"},
	{"partner/signature", nil, "signs and verifies requests; it knows neither apps nor clocks"},
	{"partner/redisnonce", []string{"engine"}, "nonces over several processes: one engine"},
	{"partner", []string{"auth", "limit", "engine"}, "third-party apps; it knows no route but by name"},
	{"balance/till", []string{"balance", "order/payment", "webhook/standard"}, "a balance as a way to pay"},
	{"balance", []string{"engine", "saga/participant", "saga/barrier"}, "what users have; it knows neither orders nor who asks"},
	{"identity", []string{"auth", "engine"}, "people, their logins and what other systems learn of them; it knows no business word"},
	{"auth", nil, "keys and tokens; who may do what is the gateway's"},
	{"breaker", nil, "counts failures; it knows neither HTTP nor what it guards"},
	{"shed", nil, "decides who may run; it knows neither HTTP nor what is run"},
	{"limit/driver", nil, "the port"},
	{"limit/redislimit", []string{"limit/driver", "engine"}, "a driver knows its port and its engine, never the policy above"},
	{"limit/drivertest", []string{"limit"}, "the contract"},
	{"limit", nil, "counts calls; it knows neither HTTP nor sales"},
	{"lock/driver", nil, "the port"},
	{"lock/memorylock", []string{"lock/driver"}, "a driver knows its port, never the policy above"},
	{"lock/redislock", []string{"lock/driver", "engine"}, "a driver knows its port and its engine, never the policy above"},
	{"lock/drivertest", []string{"lock/driver"}, "the contract"},
	{"lock", []string{"engine"}, "grants names with fencing tokens from SQL; it knows no business word"},
	{"cache/driver", nil, "the port"},
	{"cache/memorycache", []string{"cache/driver"}, "a driver knows its port, never the policy above"},
	{"cache/rediscache", []string{"cache/driver", "engine"}, "a driver knows its port and its engine, never the policy above"},
	{"cache/drivertest", []string{"cache/driver"}, "the contract"},
	{"cache", nil, "keeps what an origin says; it knows no business word"},
	{"reconcile", []string{"stock", "order", "bus/driver"}, "compares what the rooms have written down"},
	{"check", []string{"stock/driver"}, "judges from what the outside can see: exports, stock rows, a buyer's log"},
	{"report", []string{"check"}, "tells the story of a sale from what the exports say"},
	{"storm", []string{"check"}, "buys from outside, over HTTP"},
	{"console", nil, "tells operators' pages what others read; it knows no room"},
	{"config", nil, "keys and values; it starts nothing"},
	{"telemetry", nil, "rooms are handed recorders; it knows none of them"},
	{"gateway/policy", []string{"gateway", "limit", "breaker", "shed", "config"}, "makes what the gateway uses of one file; the rooms keep their settings"},
	{"gateway/upstream", []string{"breaker"}, "sends calls to other services; it knows neither the chain nor who decides"},
	{"gateway", []string{"partner", "sale", "line", "stock", "order", "balance", "webhook", "saga", "bus", "telemetry", "auth", "identity", "limit", "breaker", "shed", "reconcile", "docs/problems", "console"}, "speaks HTTP to the rooms"},

	{"app", []string{"*"}, "the only place that knows everything"},
	{"cmd", []string{"*"}, "subcommands over app"},
	{"test", []string{"*"}, "tests of the whole"},
	{"bench", []string{"*"}, "measures the whole"},
	{"examples", nil, "what users copy"},
	{"docs", nil, "pages that the server itself serves"},
	{"web", nil, "pages that the server itself serves; what they show comes over the API"},
}

// imports finds imports against the direction. Tests may import whatever does not stand above their room.
func imports(t *tree) []string {
	found := map[string]bool{}
	for _, f := range t.files {
		r := roomFor(f.dir())
		if r == nil {
			found[f.dir()+" is no room: give it a row, with what it may import and why"] = true
			continue
		}
		for _, spec := range f.ast.Imports {
			p, _ := strconv.Unquote(spec.Path.Value)
			if !strings.HasPrefix(p, module+"/") {
				continue
			}
			if why := r.refuses(strings.TrimPrefix(p, module+"/"), f); why != "" {
				found[fmt.Sprintf("%s imports %s%s (%s: %s)", f.dir(), p, why, r.dir, r.why)] = true
			}
		}
	}
	return sorted(found)
}

// refuses says why the room may not import the package p, or "".
func (r *room) refuses(p string, f *file) string {
	if strings.HasSuffix(p, "drivertest") && !f.test() && !strings.HasSuffix(f.dir(), "test") {
		return " outside tests"
	}
	for _, m := range append(append([]string{r.dir}, floor...), r.may...) {
		if m == "*" || within(p, m) {
			return ""
		}
	}
	if target := roomFor(p); f.test() && (target == nil || !target.above()) {
		return ""
	}
	return ", against the direction"
}

// above reports a room on top of the house.
func (r *room) above() bool { return len(r.may) == 1 && r.may[0] == "*" }

func within(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

// roomFor returns the row with the longest directory that p stands in.
func roomFor(p string) *room {
	var best *room
	for i := range rooms {
		if r := &rooms[i]; within(p, r.dir) && (best == nil || len(r.dir) > len(best.dir)) {
			best = r
		}
	}
	return best
}
