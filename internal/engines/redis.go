package engines

import (
	"context"
	"strconv"
	"testing"

	"penstock/internal/engines/launch"
)

// Redis starts a server with its append-only file synced once a second. args are redis-server's own ("--maxmemory",
// "10mb") and win over that.
func Redis(t testing.TB, args ...string) *Server {
	t.Helper()
	s := redis(t, ports(t, 1)[0], args...)
	s.wait(t)
	return s
}

// RedisTLS starts a server that also speaks TLS, at the address returned, with a certificate for host. clients is whether it wants
// one of a client, signed by the same authority.
func RedisTLS(t testing.TB, a *Authority, host string, clients bool) (s *Server, addr string) {
	t.Helper()
	cert, key := a.Issue(t, "redis", host)
	port, wants := ports(t, 1)[0], "no"
	if clients {
		wants = "yes"
	}
	s = Redis(t, "--tls-port", strconv.Itoa(port), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", a.CAFile, "--tls-auth-clients", wants)
	return s, launch.Loopback(port)
}

// RedisReplica starts a replica and returns when it follows the primary.
func RedisReplica(t testing.TB, primary *Server, args ...string) *Server {
	t.Helper()
	s := Redis(t, append(launch.ReplicaOf(primary.spec), args...)...)
	until(t, func(ctx context.Context) error { return launch.RedisLinked(ctx, s.Addr()) })
	return s
}

// Sentinel starts one that watches a primary with a replica, and returns when it knows both. It makes the replica the primary when
// the primary is dead for a second, and the primary a replica when it is back.
func Sentinel(t testing.TB, primary *Server) *Server {
	t.Helper()
	spec, err := launch.Sentinel(t.TempDir(), ports(t, 1)[0], primary.spec)
	Installed(t, err)
	s := begin(t, spec)
	s.wait(t)
	until(t, func(ctx context.Context) error { return launch.SentinelSees(ctx, s.Addr()) })
	return s
}

// RedisCluster starts three primaries that share the slots, and returns when each of them sees the cluster as whole. A node
// that is killed is noticed after two seconds.
func RedisCluster(t testing.TB) []*Server {
	t.Helper()
	const nodes = 3
	p := ports(t, 2*nodes)
	buses := p[nodes:]
	var servers []*Server
	var specs []launch.Spec
	for i := range nodes {
		s := redis(t, p[i], "--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port", strconv.Itoa(buses[i]))
		servers, specs = append(servers, s), append(specs, s.spec)
	}
	for _, s := range servers {
		s.wait(t)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	check(t, launch.JoinRedis(ctx, specs, buses))
	for _, s := range servers {
		until(t, func(ctx context.Context) error { return launch.RedisClusterReady(ctx, s.Addr(), nodes) })
	}
	return servers
}

func redis(t testing.TB, port int, args ...string) *Server {
	t.Helper()
	spec, err := launch.Redis(t.TempDir(), port, args...)
	Installed(t, err)
	return begin(t, spec)
}
