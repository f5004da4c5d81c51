package cluster

import (
	"fmt"
	"path/filepath"
	"testing"

	"penstock/internal/engines"
	"penstock/test/cluster/rig"
)

// cluster is six processes and their engines.
type cluster struct {
	*rig.Cluster
	t             *testing.T
	mysql         *engines.Server
	redis         *engines.Server
	kafka         *engines.KafkaCluster
	sales, orders []*rig.Node
}

// shared is what is started once for all tests of the package; each test has a database, a topic prefix and a Redis of its own.
type shared struct {
	binary string
	mysql  *engines.Server
	kafka  *engines.KafkaCluster
}

// newCluster starts everything and returns when every process is ready.
func newCluster(t *testing.T, e shared) *cluster {
	t.Helper()
	c := &cluster{t: t, mysql: e.mysql, kafka: e.kafka, redis: engines.Redis(t)}
	database := e.mysql.Database(t)
	processes := []rig.Process{{Name: "rest", Roles: "admin,timers,relay,sandbox"}}
	for i := range 3 {
		processes = append(processes, rig.Process{Name: fmt.Sprintf("sale-%d", i+1), Roles: "sale"})
	}
	for i := range 2 {
		processes = append(processes, rig.Process{Name: fmt.Sprintf("order-%d", i+1), Roles: "order"})
	}
	c.Cluster = rig.New(t, rig.Plan{Binary: e.binary, Processes: processes, Env: []string{
		"PENSTOCK_STOCK=" + database, "PENSTOCK_GATE=" + c.redis.URL(),
		"PENSTOCK_BUS=" + e.kafka.URL + "?topic-prefix=" + filepath.Base(database) + "-",
	}})
	c.sales, c.orders = c.Nodes[1:4], c.Nodes[4:]
	return c
}
