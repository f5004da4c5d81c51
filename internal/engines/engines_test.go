package engines

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"penstock/internal/engines/launch"
)

// A Redis answers where its URL says, keeps what it synced over a kill, and its replica has it too.
func TestRedis(t *testing.T) {
	t.Parallel()
	s := Redis(t, "--appendfsync", "always")
	replica := RedisReplica(t, s)
	say(t, s, "SET k v", "+OK")
	until(t, func(ctx context.Context) error { return launch.RedisLinked(ctx, replica.Addr()) })
	say(t, replica, "WAIT 0 0", "-ERR") // a replica says that it is one
	s.Kill(t)
	if _, err := launch.RedisCommand(t.Context(), s.Addr(), "PING"); err == nil {
		t.Fatal("a killed server answers")
	}
	s.Start(t)
	say(t, s, "GET k", "v")
	s.Pause(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if answer, err := launch.RedisCommand(ctx, s.Addr(), "PING"); err == nil {
		t.Fatalf("a paused server answers %q", answer)
	}
	s.Resume(t)
	say(t, s, "PING", "+PONG")
}

func say(t *testing.T, s *Server, command, want string) {
	t.Helper()
	answer, err := launch.RedisCommand(t.Context(), s.Addr(), command)
	if err != nil || !strings.HasPrefix(answer, want) {
		t.Fatalf("%s: %q, %v; want %q", command, answer, err, want)
	}
}

// Three primaries share the slots: a key's owner is one of them.
func TestRedisCluster(t *testing.T) {
	t.Parallel()
	owners := 0
	for _, s := range RedisCluster(t) {
		answer, err := launch.RedisCommand(t.Context(), s.Addr(), "SET k v")
		check(t, err)
		if answer == "+OK" {
			owners++
		} else if !strings.HasPrefix(answer, "-MOVED") {
			t.Errorf("SET: %q", answer)
		}
	}
	if owners != 1 {
		t.Errorf("%d nodes own the key", owners)
	}
}

// A MariaDB is durable over a kill, gives every caller a database of its own, and a semi-synchronous replica follows it.
func TestMariaDB(t *testing.T) {
	t.Parallel()
	s := MariaDB(t, "--rpl-semi-sync-master-enabled=1")
	replica := MariaDBReplica(t, s, "--rpl-semi-sync-slave-enabled=1")
	one, two := s.Database(t), s.Database(t)
	if one == two || !strings.HasPrefix(one, "mysql://root@127.0.0.1:") {
		t.Errorf("databases %s and %s", one, two)
	}
	db, err := launch.OpenMariaDB(s.Addr())
	check(t, err)
	t.Cleanup(func() { db.Close() })
	for _, q := range []string{"CREATE TABLE test1.t (a INT)", "INSERT INTO test1.t VALUES (7)"} {
		_, err := db.ExecContext(t.Context(), q)
		check(t, err)
	}
	var name, acknowledging string
	check(t, db.QueryRowContext(t.Context(), "SHOW STATUS LIKE 'Rpl_semi_sync_master_clients'").Scan(&name, &acknowledging))
	if acknowledging != "1" {
		t.Errorf("%s replicas acknowledge", acknowledging)
	}
	until(t, func(ctx context.Context) error { return launch.Replicating(ctx, replica.spec, s.spec) })
	seven(t, replica)
	s.Kill(t)
	s.Start(t)
	seven(t, s)
}

func seven(t *testing.T, s *Server) {
	t.Helper()
	db, err := launch.OpenMariaDB(s.Addr())
	check(t, err)
	defer db.Close()
	var got sql.NullInt64
	check(t, db.QueryRowContext(t.Context(), "SELECT MAX(a) FROM test1.t").Scan(&got))
	if got.Int64 != 7 {
		t.Errorf("%s has %v, want 7", s.Addr(), got)
	}
}

// A Kafka with TLS and SASL lets in who has the certificate's authority and the password, and nobody else; it keeps topics
// over a kill.
func TestKafka(t *testing.T) {
	t.Parallel()
	c := Kafka(t, 1, KafkaOptions{SASL: true, TLS: true})
	config, err := launch.ClientTLS(c.CAFile)
	check(t, err)
	client := func(password string) *kadm.Client {
		k, err := kgo.NewClient(kgo.SeedBrokers(c.Nodes[0].Addr()), kgo.DialTLSConfig(config),
			kgo.SASL(plain.Auth{User: c.User, Pass: password}.AsMechanism()), kgo.RetryTimeout(2*time.Second))
		check(t, err)
		t.Cleanup(k.Close)
		return kadm.NewClient(k)
	}
	if _, err := client("wrong").ListTopics(t.Context()); err == nil {
		t.Error("a wrong password is let in")
	}
	admin := client(c.Password)
	_, err = admin.CreateTopic(t.Context(), 12, -1, nil, "t")
	check(t, err)
	c.Nodes[0].Kill(t)
	c.Nodes[0].Start(t)
	until(t, func(ctx context.Context) error {
		topics, err := admin.ListTopics(ctx, "t")
		if err == nil && len(topics["t"].Partitions) != 12 {
			t.Fatalf("topic has %d partitions", len(topics["t"].Partitions))
		}
		return err
	})
}

// Of three nodes one may die: a topic made before is led by another, with two replicas in sync.
func TestKafkaCluster(t *testing.T) {
	t.Parallel()
	c := Kafka(t, 3, KafkaOptions{})
	k, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(strings.TrimPrefix(c.URL, "kafka://"), ",")...))
	check(t, err)
	t.Cleanup(k.Close)
	_, err = kadm.NewClient(k).CreateTopic(t.Context(), 3, -1, nil, "t")
	check(t, err)
	c.Nodes[1].Kill(t)
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	for p := range int32(3) {
		check(t, k.ProduceSync(ctx, &kgo.Record{Topic: "t", Partition: p, Value: []byte("v")}).FirstErr())
	}
}
