package memorycache

import (
	"context"
	"fmt"
	"testing"
	"time"

	"penstock/cache/driver"
	"penstock/cache/drivertest"
)

// The store in memory keeps the contract of the port.
func TestConformance(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	drivertest.Run(t, func(testing.TB) driver.Driver { return s })
}

// Whatever is put in, the entries stay within their bytes, and ended leases and marks do not pile up.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := open(t, Options{Bytes: 1 << 20})
	for i := range 20_000 {
		key, token := fmt.Sprint("k:", i), fmt.Sprint("t", i)
		_, _, _ = s.Begin(ctx, key, token, time.Minute)
		_, _ = s.Fill(ctx, key, token, make([]byte, 1000), time.Minute)
		_, _, _ = s.Begin(ctx, key+"x", token, time.Nanosecond)
		_ = s.Mark(ctx, "space", key, time.Nanosecond)
	}
	if n := s.Bytes(); n > 1<<20 {
		t.Errorf("entries hold %d bytes, want at most %d", n, 1<<20)
	}
	if len(s.leases.m) > 1024 || len(s.marks.m) > 1024 {
		t.Errorf("%d leases and %d marks are left, want them swept", len(s.leases.m), len(s.marks.m))
	}
}

func open(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
