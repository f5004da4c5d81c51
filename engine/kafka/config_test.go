package kafka

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A URL means what it says; what is shown of it has no password.
func TestParse(t *testing.T) {
	for raw, want := range map[string]struct {
		brokers []string
		shown   string
	}{
		"kafka://a": {[]string{"a:9092"}, "kafka://a:9092"},
		"kafka://a:1,b,[::1]:3?replicas=2&topic-prefix=x.": {[]string{"a:1", "b:9092", "[::1]:3"},
			"kafka://a:1,b:9092,[::1]:3?replicas=2&topic-prefix=x."},
		"kafka://me:s%40cr%25t@a:1?ca=/x.pem":         {[]string{"a:1"}, "kafka://me:***@a:1?ca=%2Fx.pem&tls=true"},
		"kafka://me:with@at@a:1/?tls=true&tls=false":  {[]string{"a:1"}, "kafka://me:***@a:1"},
		" kafka://[::1]?tls=true ":                    {[]string{"[::1]:9092"}, "kafka://[::1]:9092?tls=true"},
		strings.ReplaceAll(Example, "password", "pw"): {[]string{"kafka1:9092", "kafka2:9092", "kafka3:9092"}, "kafka://user:***@kafka1:9092,kafka2:9092,kafka3:9092?ca=%2Fetc%2Fpenstock%2Fkafka-ca.pem&replicas=3&tls=true&topic-prefix=shop."},
	} {
		c, err := Parse(raw)
		if err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		if d := cmp.Diff(want.brokers, c.Brokers()); d != "" || c.String() != want.shown {
			t.Errorf("%s is shown as %s; brokers (-want +got):\n%s", raw, c, d)
		}
	}
	c, err := Parse("kafka://me:s%40cr%25t@a:1")
	if err != nil || c.user != "me" || c.password != "s@cr%t" {
		t.Errorf("credentials %q %q, %v", c.user, c.password, err)
	}
}

// Each mistake is named, with a valid example and without the password.
func TestParseErrors(t *testing.T) {
	for raw, want := range map[string]string{
		"":                              "must begin with kafka://",
		"redis://a":                     "must begin with kafka://",
		"kafka://":                      "names no broker",
		"kafka://a,,b":                  "a comma too many",
		"kafka://a:x":                   `port "x" of broker "a:x"`,
		"kafka://a:70000":               `port "70000"`,
		"kafka://:9092":                 "not of the form host:port",
		"kafka://a/topic":               "/topic means nothing here",
		"kafka://a#x":                   "part after #",
		"kafka://me@a":                  "user me has no password",
		"kafka://:hunter2@a":            "names no user",
		"kafka://me:hunter2%zz@a":       "begins no %XX",
		"kafka://me:hunter2@a?tls=yes":  "tls=yes is neither true nor false",
		"kafka://a?ca=":                 "ca= names no file",
		"kafka://a?ca=/x&tls=false":     "no use with tls=false",
		"kafka://a?topic-prefix=a%20b":  "topic-prefix=a b",
		"kafka://a?replicas=0":          "replicas=0",
		"kafka://me:hunter2@a?acks=1":   "parameter acks is unknown",
		"kafka://me:hunter2@a?x=%zz":    "key=value",
		"kafka:/me:hunter2@a":           "must begin with kafka://",
		"kafka://me:hunter2@a:9092,b:x": `port "x"`,
	} {
		_, err := Parse(raw)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), Example) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s gave %v, wanted %q", raw, err, want)
		}
	}
}
