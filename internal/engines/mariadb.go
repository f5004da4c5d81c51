package engines

import (
	"context"
	"fmt"
	"testing"

	"penstock/internal/engines/launch"
)

// MariaDB starts a durable server whose user root has no password. args are mariadbd's own
// ("--rpl-semi-sync-master-enabled=1") and win over the durable settings.
func MariaDB(t testing.TB, args ...string) *Server {
	t.Helper()
	spec, err := launch.MariaDB(t.TempDir(), ports(t, 1)[0], args...)
	Installed(t, err)
	s := begin(t, spec)
	s.wait(t)
	return s
}

// MariaDBReplica starts a read-only replica with four applying threads, and returns when it has everything that the primary
// has. With "--rpl-semi-sync-slave-enabled=1" it acknowledges to a primary that asks for it.
func MariaDBReplica(t testing.TB, primary *Server, args ...string) *Server {
	t.Helper()
	s := MariaDB(t, append(launch.MariaDBReplicaArgs(), args...)...)
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	check(t, launch.Replicate(ctx, s.spec, primary.spec))
	until(t, func(ctx context.Context) error { return launch.Replicating(ctx, s.spec, primary.spec) })
	return s
}

// Database makes an empty utf8mb4 database with a name of its own on this server and returns its URL.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test%d", s.databases.Add(1))
	check(t, launch.CreateDatabase(t.Context(), s.Addr(), name))
	return s.URL() + "/" + name
}
