package resilience

import (
	"slices"
	"time"

	"penstock/internal/engines"
	"penstock/internal/faultproxy"
)

// dependency is a part of the matrix: its short name, what it is, what its faults are, and what stays true whatever happens to it.
type dependency struct {
	id, name, promise string
	faults            []fault
}

const noCopy = "makes no sense: a database that forgets commits has broken the promise that everything rests on; see the durability checks at start"

// matrix is every dependency and every fault.
func matrix() []dependency {
	mysql := func(w *world) *engines.Server { return w.mysql }
	redis := func(w *world) *engines.Server { return w.redis }
	broker := func(w *world) *engines.Server { return w.kafka.Nodes[0] }
	shard := func(w *world) *engines.Server { return w.shard }
	replica := func(w *world) *engines.Server { return w.replica }
	toMySQL := func(w *world) *faultproxy.Proxy { return w.toMySQL }
	toRedis := func(w *world) *faultproxy.Proxy { return w.toRedis }
	toKafka := func(w *world) *faultproxy.Proxy { return w.toKafka }
	toShard := func(w *world) *faultproxy.Proxy { return w.toShard }
	toReplica := func(w *world) *faultproxy.Proxy { return w.toReplica }
	toProvider := func(w *world) *faultproxy.Proxy { return w.toProvider }
	return []dependency{
		{"none", "Nothing", "The same stampede without a fault.", []fault{{name: "nothing", begin: func(*world) {}, end: func(*world) {}}}},
		{"mysql", "MySQL (stock and 7 of 8 order databases)", "Nobody who was told yes is forgotten; an answer that is not known is settled under its key; nothing is sold twice.",
			slices.Concat(through(toMySQL), of(mysql), []fault{lasting(named("black-holed", through(toMySQL)), "black-holed for 20 s", 20*time.Second)},
				notRun(noCopy, "back empty", "back older"))},
		{"redis", "Redis (gate)", "The sale goes on without it; what it forgets or invents costs speed or a moment, never a unit and never a buyer.",
			slices.Concat(through(toRedis), of(redis), []fault{empty, older})},
		{"kafka", "Kafka (bus), the only broker", "Winning does not need it; orders are written when it is back, each once.",
			slices.Concat(through(toKafka), starting(16*time.Second, of(broker)), []fault{lasting(named("refused", through(toKafka)), "gone for 10 s", 10*time.Second)},
				notRun("makes no sense: a topic with fewer messages than were acknowledged is lost data, which replication is for", "back empty", "back older"))},
		{"shard", "One order database of eight", "Winning does not need it; seven eighths of the orders are not slowed by it.",
			slices.Concat(through(toShard), of(shard), notRun(noCopy, "back empty", "back older"))},
		{"replica", "A replica of the order databases", "Reads go to the primary meanwhile; nobody reads less than he has written.",
			slices.Concat(through(toReplica), of(replica), []fault{lag})},
		{"provider", "The payment provider", "Money is taken at most once per order; a payment of which nothing is known is asked about until it is.",
			slices.Concat(through(toProvider), process("provider"))},
		{"shop", "One of two processes with roles sale and order", "The other one sells; what was paused past its lease makes no id and leads nothing.",
			slices.Concat(process("shop-1"), []fault{lasting(process("shop-1")[0], "paused for 40 s, past its lease and its session", 40*time.Second)})},
		{"leader", "The process with roles timers and relay", "Winning does not need it; messages wait in the outbox.", process("leader")},
		{"two", "Two at once", "As for each alone.", []fault{
			both("Redis back empty while MySQL is killed", empty, named("killed, started again", of(mysql))),
			both("Kafka refused while Redis is black-holed", named("refused", through(toKafka)), named("black-holed", through(toRedis))),
			both("MySQL loses replies while a process is killed", named("replies lost after the request was applied", through(toMySQL)), process("shop-1")[1]),
		}},
	}
}

// brief are the cells that every test run has: those in which most can go wrong.
var brief = []string{
	"redis/back empty",
	"mysql/black-holed",
	"mysql/replies lost after the request was applied",
	"kafka/refused",
}
