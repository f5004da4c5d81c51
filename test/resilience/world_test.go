package resilience

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"penstock/internal/engines"
	"penstock/internal/faultproxy"
	"penstock/test/cluster/rig"
)

// world is the engines, the proxies before them, and the processes. It is started once; a cell that fails leaves it to a fresh
// cluster on databases of its own, so that one failure is not told by all cells after it.
type world struct {
	t      *testing.T
	binary string
	commit string

	mysql, shard, replica *engines.Server
	redis                 *engines.Server
	kafka                 *engines.KafkaCluster

	toMySQL, toShard, toReplica, toRedis, toKafka, toProvider *faultproxy.Proxy

	*rig.Cluster
	tokens []string
	before map[string]float64 // goroutines of each process at its start
}

// mostBuyers is how many identities there are; no cell has more buyers.
const mostBuyers = 2000

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, binary: rig.Binary(t), commit: commit(), mysql: engines.MariaDB(t), shard: engines.MariaDB(t), redis: engines.Redis(t)}
	w.replica = engines.MariaDBReplica(t, w.mysql)
	w.kafka = engines.Kafka(t, 1, engines.KafkaOptions{Front: func(addr string) string {
		if w.toKafka == nil { // asked again at every start
			w.toKafka = faultproxy.New(t, addr)
		}
		return w.toKafka.Addr()
	}})
	w.toMySQL, w.toShard = faultproxy.New(t, w.mysql.Addr()), faultproxy.New(t, w.shard.Addr())
	w.toReplica, w.toRedis = faultproxy.New(t, w.replica.Addr()), faultproxy.New(t, w.redis.Addr())
	w.populate()
	return w
}

// populate starts the processes on a fresh database, topics and order databases.
func (w *world) populate() {
	name := filepath.Base(w.mysql.Database(w.t))
	at := func(p *faultproxy.Proxy) string { return "mysql://root@" + p.Addr() + "/" + name }
	var orders []string
	for range 7 {
		orders = append(orders, at(w.toMySQL)+"?replica="+url.QueryEscape(w.toReplica.Addr()))
	}
	orders = append(orders, at(w.toShard))
	w.Cluster = rig.New(w.t, rig.Plan{
		Binary: w.binary,
		Processes: []rig.Process{
			{Name: "desk", Roles: "admin"}, {Name: "leader", Roles: "timers,relay"}, {Name: "provider", Roles: "sandbox"},
			{Name: "shop-1", Roles: "sale,order"}, {Name: "shop-2", Roles: "sale,order"},
		},
		Env: []string{
			"PENSTOCK_LOG_LEVEL=warn", // so that what is counted is what somebody would have to read
			"PENSTOCK_STOCK=" + at(w.toMySQL), "PENSTOCK_ORDERS=" + strings.Join(orders, ","),
			"PENSTOCK_GATE=redis://" + w.toRedis.Addr(), fmt.Sprintf("PENSTOCK_BUS=kafka://%s?topic-prefix=%s-", w.toKafka.Addr(), name),
		},
		Sandbox: func(addr string) string {
			w.toProvider = faultproxy.New(w.t, addr)
			return w.toProvider.Addr()
		},
	})
	w.tokens = w.Tokens(mostBuyers)
	w.before = w.goroutines()
}

// renew replaces the processes after a cell that failed.
func (w *world) renew() {
	w.Kill()
	for _, p := range []*faultproxy.Proxy{w.toMySQL, w.toShard, w.toReplica, w.toRedis, w.toKafka} {
		p.Pass()
	}
	w.populate()
}
