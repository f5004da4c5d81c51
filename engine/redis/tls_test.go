package redis_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"penstock/engine/redis"
	"penstock/internal/engines"
)

// A session is encrypted for a server that the URL's authority vouches for, with the client's certificate where it is wanted, and what
// keeps the two sides apart is said by name with what to do: it is no server that is away and may come back.
func TestTLS(t *testing.T) {
	t.Parallel()
	a, stranger := engines.NewAuthority(t), engines.NewAuthority(t)
	plain, open1 := engines.RedisTLS(t, a, "127.0.0.1", false)
	_, strict := engines.RedisTLS(t, a, "127.0.0.1", true)
	_, other := engines.RedisTLS(t, a, "192.0.2.7", false)
	cert, key := a.Issue(t, "client", "")
	wrong, wrongKey := stranger.Issue(t, "client", "")
	ca := "?ca=" + a.CAFile
	for _, c := range []struct{ url, want string }{
		{"rediss://" + open1 + ca, ""},
		{"rediss://" + open1 + "?tls=skip-verify", ""},
		{"redis://" + open1 + ca + "&tls=true", ""},
		{"redis://" + open1 + ca + "&tls=true&replica=" + strict, ""},
		{"rediss://" + strict + ca + "&cert=" + cert + "&key=" + key, ""},
		{"rediss://" + open1 + "?ca=" + stranger.CAFile, "not signed by the authority in ca=" + stranger.CAFile},
		{"rediss://" + open1, "not signed by the authority in ca=(the system's)"},
		{"rediss://" + open1 + "?replica=" + strict, "not signed by the authority in ca=(the system's)"},
		{"rediss://" + other + ca, "is for another name"},
		{"rediss://" + strict + ca, "wants a client's certificate"},
		{"rediss://" + strict + ca + "&cert=" + wrong + "&key=" + wrongKey, "does not take the certificate in cert=" + wrong},
		{"rediss://" + open1 + ca + "&cert=" + cert + "&key=" + wrongKey, "the key that belongs to it"},
		{"rediss://" + open1 + "?ca=" + key, "holds no certificate"},
		{"rediss://" + open1 + "?ca=/nowhere", "open /nowhere"},
	} {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			trusts(t, c.url, c.want)
		})
	}
	for _, url := range []string{"rediss://" + plain.Addr() + ca, "redis://" + open1} {
		if _, err := open(t, url, redis.Options{}); err == nil || !strings.Contains(err.Error(), "are host, port and tls right") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// trusts opens a URL and wants the error, or a client that works.
func trusts(t *testing.T, url, want string) {
	t.Helper()
	cfg, err := redis.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	client, err := redis.Open(t.Context(), cfg, redis.Options{Late: true, Dial: 20 * time.Second})
	if err == nil {
		defer client.Close()
	}
	switch {
	case want != "" && (err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, redis.ErrUnreachable)):
		t.Errorf("%s: got %v, want %q", url, err, want)
	case want == "" && err != nil:
		t.Errorf("%s: %v", url, err)
	case want == "":
		within(t, time.Minute, "it works", func() bool { _, err := client.Redis(); return err == nil })
	}
}
