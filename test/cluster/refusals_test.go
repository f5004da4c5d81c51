package cluster

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"penstock/engine/mysql"
	"penstock/internal/engines"
	"penstock/test/cluster/rig"
)

// refused starts a server that must not start, and returns its exit code and what it said beside its log.
func refused(t *testing.T, binary string, env ...string) (code int, said string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "serve")
	cmd.Env = append(os.Environ(), append([]string{
		"PENSTOCK_DATA=" + t.TempDir(), "PENSTOCK_LISTEN_PUBLIC=127.0.0.1:0", "PENSTOCK_LISTEN_ADMIN=127.0.0.1:0",
		"PENSTOCK_LISTEN_PROBE=127.0.0.1:0", "PENSTOCK_LISTEN_SANDBOX=127.0.0.1:0",
	}, env...)...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err == nil || !errors.As(err, &exit) {
		t.Fatalf("it started, or could not be run: %v\n%s", err, out)
	}
	for line := range bytes.Lines(out) {
		if !bytes.HasPrefix(line, []byte("{")) {
			said += string(line)
		}
	}
	return exit.ExitCode(), said
}

// An engine that cannot be used is named at the start, with what is wrong and what to do, and with no password.
func TestStartSaysWhatIsWrongWithAnEngine(t *testing.T) {
	binary := rig.Binary(t)
	t.Run("MySQL", func(t *testing.T) { refusedByMySQL(t, binary) })
	t.Run("Redis", func(t *testing.T) { refusedByRedis(t, binary) })
	t.Run("Kafka", func(t *testing.T) { refusedByKafka(t, binary) })
}

// expect fails unless the server ended with exit code 3 and said every one of the words.
func expect(t *testing.T, binary, setting string, words ...string) {
	t.Helper()
	code, said := refused(t, binary, setting)
	if code != 3 {
		t.Errorf("%s: exit code %d, want 3", setting, code)
	}
	for _, w := range words {
		if !strings.Contains(said, w) {
			t.Errorf("%s: %q is not in:\n%s", setting, w, said)
		}
	}
	if strings.Contains(said, "hunter2") || strings.Contains(said, "goroutine ") {
		t.Errorf("%s: a password or a stack in:\n%s", setting, said)
	}
}

func refusedByMySQL(t *testing.T, binary string) {
	server := engines.MariaDB(t)
	whole, latin, newer := server.Database(t), server.Database(t), server.Database(t)
	cfg, err := mysql.Parse(whole)
	if err != nil {
		t.Fatal(err)
	}
	db, err := mysql.Open(t.Context(), cfg, mysql.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	name := func(url string) string { return url[strings.LastIndexByte(url, '/')+1:] }
	for _, q := range []string{
		"CREATE USER shop@'%' IDENTIFIED BY 'hunter2'", "GRANT SELECT ON " + name(whole) + ".* TO shop@'%'",
		"ALTER DATABASE " + name(latin) + " CHARACTER SET latin1",
	} {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	as := func(login, url string) string { return "PENSTOCK_STOCK=" + strings.Replace(url, "root@", login+"@", 1) }
	expect(t, binary, as("shop:hunter22", whole), "stock", "shop", "password")
	expect(t, binary, as("shop:hunter2", whole), "stock", "GRANT", "shop", name(whole))
	expect(t, binary, as("root", latin), "stock", name(latin), "latin1", "utf8mb4")
	expect(t, binary, as("root", whole+"_missing"), "stock", name(whole)+"_missing", "CREATE DATABASE")
	expect(t, binary, "PENSTOCK_STOCK=mysql://root@127.0.0.1:1/x", "stock", "127.0.0.1:1", "start it")

	// A release that knew more steps has written this schema.
	if err := mysql.Migrate(t.Context(), db, "stock", nil, nil); err != nil {
		t.Fatal(err)
	}
	if cfg, err = mysql.Parse(newer); err != nil {
		t.Fatal(err)
	}
	other, err := mysql.Open(t.Context(), cfg, mysql.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	steps := make([]string, 99)
	for i := range steps {
		steps[i] = "DO 1"
	}
	if err := mysql.Migrate(t.Context(), other, "stock", steps, nil); err != nil {
		t.Fatal(err)
	}
	expect(t, binary, as("root", newer), "stock", "release")
}

func refusedByRedis(t *testing.T, binary string) {
	locked := engines.Redis(t, "--requirepass", "hunter2")
	expect(t, binary, "PENSTOCK_GATE="+locked.URL(), "gate", "password")
	expect(t, binary, "PENSTOCK_GATE="+strings.Replace(locked.URL(), "redis://", "redis://:hunter22@", 1), "gate", "password")
	lame := engines.Redis(t, "--rename-command", "EVALSHA", "")
	expect(t, binary, "PENSTOCK_GATE="+lame.URL(), "gate", "EVALSHA")
}

func refusedByKafka(t *testing.T, binary string) {
	cluster := engines.Kafka(t, 1, engines.KafkaOptions{})
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.Nodes[0].Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	if _, err := admin.CreateTopic(t.Context(), 3, 1, nil, "stock"); err != nil {
		t.Fatal(err)
	}
	expect(t, binary, "PENSTOCK_BUS="+cluster.URL, "bus", "topic stock has 3 partitions, wanted 12")
	expect(t, binary, "PENSTOCK_BUS=kafka://127.0.0.1:1", "bus", "127.0.0.1:1", "cannot be reached")
}
