package mysql_test

import (
	"testing"

	"penstock/engine/mysql"
	"penstock/internal/engines"
)

// Semi-synchronous replication is believed only while a replica is there to answer.
func TestSemiSync(t *testing.T) {
	t.Parallel()
	primary := engines.MariaDB(t, "--rpl-semi-sync-master-enabled=1", "--rpl-semi-sync-master-wait-point=AFTER_SYNC", "--rpl-semi-sync-master-timeout=200")
	db := bench{primary}.table(t, mysql.Options{})
	waits := func() bool {
		on, err := mysql.SemiSync(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		return on
	}
	if waits() {
		t.Fatal("it is on without a replica")
	}
	replica := engines.MariaDBReplica(t, primary, "--rpl-semi-sync-slave-enabled=1")
	eventually(t, "waiting for the replica", func() bool {
		exec(t, db, "UPDATE item SET n = 1")
		return waits()
	})
	replica.Kill(t)
	exec(t, db, "INSERT INTO item (id) VALUES ('a')")
	eventually(t, "the end of waiting", func() bool { return !waits() })
}
