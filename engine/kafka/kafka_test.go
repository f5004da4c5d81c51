package kafka

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"penstock/internal/engines"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// try opens a URL and returns the cluster, closed with the test, or what is wrong.
func try(t *testing.T, raw string) (*Cluster, error) {
	t.Helper()
	cfg, err := Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Open(t.Context(), cfg, Options{StartTimeout: 10 * time.Second})
	if err == nil {
		t.Cleanup(c.Close)
	}
	return c, err
}

func refused(t *testing.T, raw string, wants ...string) {
	t.Helper()
	_, err := try(t, raw)
	if err == nil {
		t.Errorf("%s was let in", raw)
		return
	}
	for _, want := range wants {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nlacks %q", raw, err, want)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error tells the password: %v", err)
	}
}

// A broker with TLS and SASL lets in who comes as it should, and each other way is refused by name with what to do.
func TestSecure(t *testing.T) {
	c := engines.Kafka(t, 1, engines.KafkaOptions{SASL: true, TLS: true})
	addr := strings.TrimPrefix(c.URL, "kafka://")
	right := url.UserPassword(c.User, c.Password).String()
	wrongCA := filepath.Join(t.TempDir(), "wrong.pem")
	if err := os.WriteFile(wrongCA, []byte(otherAuthority), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := try(t, "kafka://"+right+"@"+addr+"?ca="+c.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.Ensure(t.Context(), Topic{Name: "t", Partitions: 12}); err != nil {
		t.Fatal(err)
	}
	client, err := in.Client()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("x")}).FirstErr(); err != nil {
		t.Errorf("produce over SASL and TLS: %v", err)
	}
	refused(t, "kafka://"+c.User+":hunter2@"+addr+"?ca="+c.CAFile, "user "+c.User+" or the password was refused", "before the @")
	refused(t, "kafka://"+addr+"?ca="+c.CAFile, "hung up", "user:password@ if it wants SASL/PLAIN")
	refused(t, "kafka://"+right+"@"+addr, "hung up", "tls=true if it wants TLS")
	refused(t, "kafka://"+right+"@"+addr+"?tls=true", "not signed by the authority in ca=(the system's)")
	refused(t, "kafka://"+right+"@"+addr+"?ca="+wrongCA, "not signed by the authority in ca="+wrongCA)
	refused(t, "kafka://"+right+"@"+addr+"?ca=/does/not/exist", "ca=/does/not/exist cannot be read")
	refused(t, "kafka://"+right+"@"+addr+"?ca="+c.Nodes[0].Dir()+"/server.properties", "certificate in PEM form")
}

// A plain broker says what is asked too much of it; topics are made, checked, and refused by name.
func TestPlain(t *testing.T) {
	c := engines.Kafka(t, 1, engines.KafkaOptions{})
	addr := strings.TrimPrefix(c.URL, "kafka://")
	refused(t, "kafka://127.0.0.1:1", "127.0.0.1:1: it cannot be reached", "refused", "start it or name another broker")
	refused(t, "kafka://"+addr+"?tls=true", "tls=false")
	refused(t, "kafka://me:hunter2@"+addr, "does not do SASL/PLAIN")
	if _, err := try(t, "kafka://127.0.0.1:1,"+addr); err != nil {
		t.Errorf("one broker of two is enough: %v", err)
	}
	in, err := try(t, c.URL+"?topic-prefix=shop.")
	if err != nil {
		t.Fatal(err)
	}
	warnings, err := in.Ensure(t.Context(), Topic{Name: "stock", Partitions: 12, Retention: time.Hour})
	if err != nil || len(warnings) != 2 || !strings.Contains(warnings[0], "topic shop.stock has 1 replicas") ||
		!strings.Contains(warnings[1], "min.insync.replicas=1") {
		t.Errorf("a new topic on one broker gave %q, %v", warnings, err)
	}
	made, err := in.Admin().DescribeTopicConfigs(t.Context(), "shop.stock")
	if err != nil || setting(made, "retention.ms") != "3600000" {
		t.Errorf("retention of the topic is %s, %v", setting(made, "retention.ms"), err)
	}
	if again, err := in.Ensure(t.Context(), Topic{Name: "stock", Partitions: 12}); err != nil || len(again) != 2 {
		t.Errorf("the same topic again gave %q, %v", again, err)
	}
	_, err = in.Ensure(t.Context(), Topic{Name: "stock", Partitions: 3})
	if err == nil || !strings.Contains(err.Error(), "topic shop.stock has 12 partitions, wanted 3") || !strings.Contains(err.Error(), "topic-prefix=") {
		t.Errorf("another number of partitions gave %v", err)
	}
	three, err := try(t, c.URL+"?replicas=3")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := three.Ensure(t.Context(), Topic{Name: "t", Partitions: 12}); err == nil || !strings.Contains(err.Error(), "set replicas=1") {
		t.Errorf("three replicas on one broker gave %v", err)
	}
}

func setting(configs kadm.ResourceConfigs, key string) string {
	for _, r := range configs {
		for _, s := range r.Configs {
			if s.Key == key {
				return s.MaybeValue()
			}
		}
	}
	return ""
}

// A broker that takes connections and never answers is said to be silent, within the time.
func TestSilent(t *testing.T) {
	l := listen(t)
	cfg, err := Parse("kafka://" + l)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(context.Background(), cfg, Options{StartTimeout: 300 * time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "no answer within 300ms") {
		t.Errorf("a silent broker gave %v", err)
	}
}

// A broker that wants a client's certificate gets the one that the URL names, beside user and password; without it, and with a
// stranger's, it is said.
func TestClientCertificate(t *testing.T) {
	a, stranger := engines.NewAuthority(t), engines.NewAuthority(t)
	c := engines.Kafka(t, 1, engines.KafkaOptions{SASL: true, TLS: true, Clients: a})
	url := "kafka://" + url.UserPassword(c.User, c.Password).String() + "@" + strings.TrimPrefix(c.URL, "kafka://") + "?ca=" + c.CAFile
	cert, key := a.Issue(t, "client", "")
	if _, err := try(t, url+"&cert="+cert+"&key="+key); err != nil {
		t.Fatal(err)
	}
	refused(t, url, "wants a client's certificate", "cert=FILE&key=FILE")
	cert, key = stranger.Issue(t, "client", "")
	refused(t, url+"&cert="+cert+"&key="+key, "does not take the certificate in cert="+cert)
}
