package redis_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"go.uber.org/goleak"

	"penstock/engine/redis"
	"penstock/internal/engines"
	"penstock/internal/faultproxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A URL that is wrong is told by its part with a valid example, and the password is in no message.
func TestParse(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"redis://127.0.0.1":                         "redis://127.0.0.1:6379",
		"redis://u:p%40ss@h:1/3?tls=true&ca=x.pem":  "redis://u:***@h:1/3?tls=true&ca=x.pem",
		"redis://:secret@h":                         "redis://:***@h:6379",
		"redis://a:1,b:2?cluster=true":              "redis://a:1,b:2?cluster=true",
		"redis://a:1?replica=b:2,[::1]:3&tls=false": "redis://a:1?replica=b:2,[::1]:3",
		"mysql://h":                                  `the scheme is "mysql", want redis or rediss`,
		"127.0.0.1:6379":                             `the scheme is "", want redis or rediss`,
		"redis://":                                   `the host is "", want host:port`,
		"redis://h:99999":                            `the host is "h:99999"`,
		"redis://h/zero":                             `the database is "zero"`,
		"redis://h/-1":                               `the database is "-1"`,
		"redis://secret@h":                           "has no password",
		"redis://a,b":                                "want cluster=true",
		"redis://h/1?cluster=true":                   "a cluster has only 0",
		"redis://h?cluster=maybe":                    `cluster is "maybe"`,
		"rediss://h:7?ca=a&cert=b&key=c":             "redis://h:7?tls=true&ca=a&cert=b&key=c",
		"rediss://h?tls=skip-verify":                 "redis://h:6379?tls=skip-verify",
		"rediss://h?tls=false":                       "rediss:// means TLS",
		"rediss://h?cert=x.pem":                      "no key that belongs to it",
		"rediss://h?key=x.pem":                       "no cert that it belongs to",
		"redis://h?cert=x.pem&key=y":                 "tls is not true",
		"redis://h:26379?master=shop":                "asks for Sentinel, which is not spoken",
		"redis+sentinel://h:26379":                   "want redis or rediss",
		"redis://h?tls=on":                           `tls is "on"`,
		"redis://h?ca=x.pem":                         "tls is not true",
		"redis://h?replica=:1":                       `the replica is ":1"`,
		"redis://u:secret%zz@h":                      "not percent-encoded",
		"redis://h?tsl=true":                         `no parameter "tsl"`,
		"redis://a:1,b:2?cluster=true&replica=c:3":   "a cluster tells its replicas itself",
		"redis://u:secret@h:port":                    `the host is "h:port"`,
		"redis://u:secret@h?replica=secretless:port": `the replica is "secretless:port"`,
	} {
		c, err := redis.Parse(raw)
		got := c.String()
		if err != nil {
			got = err.Error()
			if !strings.Contains(got, redis.Example) {
				t.Errorf("%s: no valid example in %q", raw, got)
			}
		}
		if (err == nil && got != want) || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", raw, got, want)
		}
		if shown := fmt.Sprintf("%v %+v %#v %v", c, c, c, err); strings.Contains(shown, "secret") && !strings.Contains(raw, "secretless") {
			t.Errorf("the password is shown: %s", shown)
		}
	}
}

func open(t *testing.T, url string, o redis.Options) (*redis.Client, error) {
	t.Helper()
	cfg, err := redis.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	o.Timeout, o.Dial = 500*time.Millisecond, 500*time.Millisecond
	c, err := redis.Open(t.Context(), cfg, o)
	if err == nil {
		t.Cleanup(c.Close)
	}
	return c, err
}

// What is wrong with a server is said at the start, by name, with what to do.
func TestWrongServerIsNamed(t *testing.T) {
	t.Parallel()
	plain := engines.Redis(t).Addr()
	guarded := engines.Redis(t)
	secured := guarded.Addr()
	tell(t, guarded, "ACL", "SETUSER", "poor", "on", ">pence", "~penstock:*", "+@all", "-evalsha")
	tell(t, guarded, "ACL", "SETUSER", "blind", "on", ">pence", "~other:*", "+@all")
	tell(t, guarded, "CONFIG", "SET", "requirepass", "sesame")
	renamed := engines.Redis(t, "--rename-command", "EVALSHA", "").Addr()
	for _, c := range []struct{ url, want string }{
		{"redis://" + plain, ""},
		{"redis://:sesame@" + secured, ""},
		{"redis://" + secured, "the server wants a password"},
		{"redis://:open@" + secured, "the user or the password is wrong"},
		{"redis://nobody:sesame@" + secured, "the user or the password is wrong"},
		{"redis://poor:pence@" + secured, "may not run EVALSHA"},
		{"redis://blind:pence@" + secured, "may not run SET on keys penstock:*"},
		{"redis://" + renamed, "the server has no command EVALSHA"},
		{"redis://" + plain + "/99", "no database 99"},
		{"redis://" + plain + "?cluster=true", "the server is no cluster"},
		{"redis://" + plain + "?tls=true", "are host, port and tls right"},
		{"redis://127.0.0.1:1", "is it running"},
	} {
		_, err := open(t, c.url, redis.Options{Commands: []string{"EVALSHA", "EVAL", "SET", "HSET", "INCR", "PUBLISH", "ZADD"}})
		switch {
		case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got %v, want %q", c.url, err, c.want)
		case err != nil && (strings.Contains(err.Error(), "sesame") || strings.Contains(err.Error(), "pence@")):
			t.Errorf("the password is in %v", err)
		}
	}
}

// A memory policy that throws keys away is a warning, a replica is refused, and probes leave nothing behind.
func TestCheck(t *testing.T) {
	t.Parallel()
	s := engines.Redis(t, "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru", "--repl-diskless-sync-delay", "0")
	c, err := open(t, s.URL(), redis.Options{Commands: []string{"SET", "HSET", "INCR"}})
	if err != nil {
		t.Fatal(err)
	}
	if w := c.Info().Warnings; len(w) != 1 || !strings.Contains(w[0], "allkeys-lru") {
		t.Errorf("warnings %q", w)
	}
	r, err := c.Redis()
	if err != nil {
		t.Fatal(err)
	}
	within(t, 60*time.Second, "the probes expire", func() bool {
		n, err := r.Do(t.Context(), r.B().Dbsize().Build()).AsInt64()
		return err == nil && n == 0
	})
	replica := engines.RedisReplica(t, s)
	if _, err = open(t, replica.URL(), redis.Options{}); err == nil || !strings.Contains(err.Error(), "is a replica") {
		t.Errorf("a replica: %v", err)
	}
}

// A cluster is found by one of its nodes.
func TestCluster(t *testing.T) {
	t.Parallel()
	c, err := open(t, engines.RedisCluster(t)[1].URL()+"?cluster=true", redis.Options{Commands: []string{"SET", "MGET"}})
	if err != nil {
		t.Fatal(err)
	}
	if !c.Info().Cluster {
		t.Error("not seen as a cluster")
	}
}

// A client that may be late is given while nobody is there, says so, and works when the server is.
func TestLate(t *testing.T) {
	t.Parallel()
	p := faultproxy.New(t, engines.Redis(t).Addr())
	p.Refuse()
	c, err := open(t, "redis://"+p.Addr(), redis.Options{Late: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = c.Redis(); !errors.Is(err, redis.ErrUnreachable) {
		t.Errorf("before the server: %v", err)
	}
	p.Pass()
	within(t, 60*time.Second, "it works", func() bool { _, err := c.Redis(); return err == nil })
}

// While no server is the primary, as in the middle of a failover, a client that may be late is given, and works when one is.
func TestLateInAFailover(t *testing.T) {
	t.Parallel()
	a := engines.Redis(t)
	b := engines.RedisReplica(t, a)
	a.Kill(t)
	c, err := open(t, a.URL()+"?replica="+b.Addr(), redis.Options{Late: true})
	if err != nil {
		t.Fatal(err)
	}
	tell(t, b, "REPLICAOF", "NO", "ONE")
	within(t, 60*time.Second, "it works", func() bool { _, err := c.Redis(); return err == nil })
}

// The primary is found among the standbys, again when the roles change while connections live.
func TestPrimaryMoves(t *testing.T) {
	t.Parallel()
	a := engines.Redis(t, "--repl-diskless-sync-delay", "0")
	b := engines.RedisReplica(t, a)
	c, err := open(t, b.URL()+"?replica="+a.Addr(), redis.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Redis()
	if err != nil {
		t.Fatal(err)
	}
	set := func(v string) error { return r.Do(context.Background(), r.B().Set().Key("k").Value(v).Build()).Error() }
	if err = set("1"); err != nil {
		t.Fatal(err)
	}
	tell(t, b, "REPLICAOF", "NO", "ONE")
	host, port, _ := strings.Cut(b.Addr(), ":")
	tell(t, a, "REPLICAOF", host, port)
	within(t, 60*time.Second, "writes reach the new primary", func() bool { return set("2") == nil })
}

// When Sentinel makes the standby the primary, writes follow by themselves, and stay there when the old primary is back as its replica.
// A Sentinel in the URL in place of the servers is named.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	a := engines.Redis(t)
	b := engines.RedisReplica(t, a)
	sentinel := engines.Sentinel(t, a)
	c, err := open(t, a.URL()+"?replica="+b.Addr(), redis.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Redis()
	if err != nil {
		t.Fatal(err)
	}
	set := func() bool { return r.Do(context.Background(), r.B().Set().Key("k").Value("v").Build()).Error() == nil }
	a.Kill(t)
	within(t, 60*time.Second, "writes reach the new primary", set)
	a.Start(t)
	host, port, err := net.SplitHostPort(b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	tell(t, a, "REPLICAOF", host, port) // as Sentinel does in its own time, which may be a minute on a busy machine
	within(t, 60*time.Second, "the old primary is a replica", func() bool {
		_, err := open(t, a.URL(), redis.Options{})
		return err != nil && strings.Contains(err.Error(), "is a replica")
	})
	within(t, 60*time.Second, "writes go on", set)
	for _, url := range []string{sentinel.URL(), sentinel.URL() + "?replica=" + b.Addr()} {
		if _, err = open(t, strings.Replace(url, b.Addr(), sentinel.Addr(), 1), redis.Options{Late: true}); err == nil || !strings.Contains(err.Error(), "is it a Sentinel?") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func tell(t *testing.T, s *engines.Server, args ...string) {
	t.Helper()
	direct, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.Addr()}, DisableCache: true, ForceSingleClient: true})
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close()
	if err = direct.Do(t.Context(), direct.B().Arbitrary(args...).Build()).Error(); err != nil {
		t.Fatal(err)
	}
}

func within(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, what)
		}
		<-time.After(10 * time.Millisecond)
	}
}
