package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// line logs with f and returns the one line written, as text and decoded.
func line(t *testing.T, f func(*slog.Logger)) (string, map[string]any) {
	t.Helper()
	var b bytes.Buffer
	level := new(slog.LevelVar)
	level.Set(LevelTrace)
	f(NewLogger(&b, LogOptions{Service: "penstock", Version: "v1", Host: "h", Env: "test", Level: level}))
	var m map[string]any
	if err := json.Unmarshal(b.Bytes(), &m); err != nil {
		t.Fatalf("%v in %q", err, b.String())
	}
	return b.String(), m
}

// A line carries the fields of the specification under their exact names.
func TestLineHasTheNamedFields(t *testing.T) {
	t.Parallel()
	s, _ := ParseTraceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	ctx := WithLog(WithLog(s.Context(t.Context()), UserID("u1")), OrderID("42"))
	_, got := line(t, func(l *slog.Logger) { l.WarnContext(ctx, "slow", Took(1500*time.Microsecond)) })
	at, _ := got["@timestamp"].(string)
	if _, err := time.Parse(time.RFC3339Nano, at); err != nil {
		t.Errorf("@timestamp: %v", err)
	}
	delete(got, "@timestamp")
	want := map[string]any{"level": "warn", "message": "slow", "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331",
		"userId": "u1", "orderId": "42", "duration_ms": 1.5, "service": "penstock", "version": "v1", "host": "h", "env": "test"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// What the context carries stays at top level, also from a logger whose caller has opened a group.
func TestContextStaysAtTopLevelInGroups(t *testing.T) {
	t.Parallel()
	ctx := WithLog(t.Context(), UserID("u1"))
	_, got := line(t, func(l *slog.Logger) {
		l.With("room", "stock").WithGroup("batch").With("n", 3).InfoContext(ctx, "done", "took", 4)
	})
	if got["userId"] != "u1" || got["room"] != "stock" {
		t.Errorf("got %v", got)
	}
	if d := cmp.Diff(map[string]any{"n": 3.0, "took": 4.0}, got["batch"]); d != "" {
		t.Error(d)
	}
}

// Six levels have names, each reads back, and the least level can be moved while the logger is in use.
func TestLevels(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	level := new(slog.LevelVar)
	l := NewLogger(&b, LogOptions{Level: level})
	for _, name := range []string{"trace", "debug", "info", "warn", "error", "fatal"} {
		at, err := ParseLevel(strings.ToUpper(name))
		if err != nil || LevelName(at) != name {
			t.Errorf("%s reads as %v, %v", name, at, err)
		}
		level.Set(at)
		b.Reset()
		l.Log(t.Context(), at-1, "below")
		l.Log(t.Context(), at, "at")
		if got := b.String(); strings.Contains(got, "below") || !strings.Contains(got, `"level":"`+name+`"`) {
			t.Errorf("at %s: %s", name, got)
		}
	}
	if _, err := ParseLevel("loud"); err == nil {
		t.Error("loud is a level")
	}
}

type account struct {
	Name     string `json:"name"`
	Password string `json:"password"`
}

type resolving struct{}

func (resolving) LogValue() slog.Value { return slog.GroupValue(slog.String("Client_Secret", "hush")) }

// A secret never reaches the log: whatever the case of its key, however deep it lies, in whatever type, and also when it
// stands in plain text in the known forms of credentials.
func TestSecretsAreMasked(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(*slog.Logger){
		"key":             func(l *slog.Logger) { l.Info("m", "Authorization", "hush") },
		"part of a key":   func(l *slog.Logger) { l.Info("m", "x-access-TOKEN", "hush") },
		"number":          func(l *slog.Logger) { l.Info("m", "password", 7357, "x", "hush"[:0]) },
		"with":            func(l *slog.Logger) { l.With("cookie", "hush").Info("m") },
		"group":           func(l *slog.Logger) { l.Info("m", slog.Group("req", slog.Group("head", "Set-Cookie", "hush"))) },
		"group is secret": func(l *slog.Logger) { l.Info("m", slog.Group("secrets", "a", "hush")) },
		"open group":      func(l *slog.Logger) { l.WithGroup("token").Info("m", "value", "hush") },
		"header":          func(l *slog.Logger) { l.Info("m", "h", http.Header{"Authorization": {"hush"}, "Cookie": {"hush"}}) },
		"struct":          func(l *slog.Logger) { l.Info("m", "a", []account{{"x", "hush"}}) },
		"map in any":      func(l *slog.Logger) { l.Info("m", "a", map[string]any{"b": map[string]string{"SECRET": "hush"}}) },
		"raw json":        func(l *slog.Logger) { l.Info("m", "a", json.RawMessage(`{"token":"hush"}`)) },
		"log valuer":      func(l *slog.Logger) { l.Info("m", "a", resolving{}) },
		"bearer in text":  func(l *slog.Logger) { l.Info("sent Bearer hush") },
		"url in error":    func(l *slog.Logger) { l.Info("m", "err", errors.New("dial mysql://root:hush@db: refused")) },
		"jwt in text":     func(l *slog.Logger) { l.Info("m", "x", "got eyJhush.eyJhush.hush") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, _ := line(t, write)
			if strings.Contains(text, "hush") || strings.Contains(text, "7357") || !strings.Contains(text, masked) {
				t.Error(text)
			}
		})
	}
}

// What is no secret is written as it is.
func TestOrdinaryValuesAreNotTouched(t *testing.T) {
	t.Parallel()
	_, got := line(t, func(l *slog.Logger) {
		l.Info("bear with us", "big", int64(9007199254740993), "a", map[string]any{"n": int64(9007199254740993)}, "u", "http://h/p", "d", time.Second, "e", error(nil))
	})
	delete(got, "@timestamp")
	if got["message"] != "bear with us" || got["u"] != "http://h/p" {
		t.Errorf("got %v", got)
	}
	text, _ := line(t, func(l *slog.Logger) { l.Info("m", "a", map[string]any{"n": int64(9007199254740993)}) })
	if !strings.Contains(text, "9007199254740993") {
		t.Errorf("a large number lost its digits: %s", text)
	}
}

// Attributes given to one context do not leak into its siblings.
func TestContextsDoNotShareAttributes(t *testing.T) {
	t.Parallel()
	base := WithLog(context.Background(), slog.String("a", "1"), slog.String("b", "2"))
	one, two := WithLog(base, UserID("one")), WithLog(base, UserID("two"))
	_, got := line(t, func(l *slog.Logger) { l.InfoContext(one, "m") })
	_, other := line(t, func(l *slog.Logger) { l.InfoContext(two, "m") })
	if got["userId"] != "one" || other["userId"] != "two" {
		t.Errorf("got %v and %v", got["userId"], other["userId"])
	}
}
