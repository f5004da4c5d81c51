package app

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"penstock/balance"
	"penstock/config"
	"penstock/engine/groupcommit"
	"penstock/internal/clock"
	"penstock/saga"
	"penstock/saga/participant"
	"penstock/sale"
	"penstock/stock/driver"
)

// Housekeeping removes a transaction once it has ended for longer than it is kept, and its participant elsewhere was called with
// the token that is configured for it.
func TestPrunesTransactions(t *testing.T) {
	t.Parallel()
	tokens := make(chan string, 10)
	there := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { tokens <- r.Header.Get("Authorization") }))
	t.Cleanup(there.Close)
	cfg := config.Default()
	cfg.Data = t.TempDir()
	cfg.Listen = config.Listen{Public: "127.0.0.1:0", Admin: "127.0.0.1:0", Probe: "127.0.0.1:0", Sandbox: "127.0.0.1:0"}
	cfg.Transactions.Participants = []config.Named{{Name: "shipping", URL: there.URL}}
	cfg.Transactions.Bearers = []config.Credential{{Name: "shipping", Token: "hunter2"}}
	a, err := New(t.Context(), cfg, Options{Log: io.Discard})
	if err == nil {
		err = a.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Stop(t.Context()) })
	_, _, err = a.sagas.Begin(t.Context(), saga.Spec{ID: "t", Branches: []saga.BranchSpec{{Name: "parcel", Participant: "shipping", Payload: json.RawMessage(`{}`)}}})
	if err == nil {
		_, err = a.sagas.Wait(t.Context(), "t")
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := <-tokens; got != "Bearer hunter2" {
		t.Errorf("the participant was shown %q", got)
	}
	count := func() (n int64) {
		all, err := a.sagas.Count(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return all[saga.Confirmed]
	}
	for keep, want := range map[time.Duration]int64{0: 1, time.Hour: 1} {
		a.cfg.Transactions.Keep = keep
		if err := a.pruneTransactions(t.Context()); err != nil || count() != want {
			t.Errorf("kept for %v: %d, %v", keep, count(), err)
		}
	}
	a.cfg.Transactions.Keep = time.Nanosecond
	if err := a.pruneTransactions(t.Context()); err != nil || count() != 0 {
		t.Errorf("kept for no time: %d, %v", count(), err)
	}
}

// Housekeeping forgets branches of a coordinator elsewhere that ended long ago, however short our own transactions are kept, and keeps
// the young ones.
func TestPrunesBarriers(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.Data = t.TempDir()
	cfg.Listen = config.Listen{Public: "127.0.0.1:0", Admin: "127.0.0.1:0", Probe: "127.0.0.1:0", Sandbox: "127.0.0.1:0"}
	cfg.Transactions.Keep = time.Hour
	for name, age := range map[string]time.Duration{"old": 8 * 24 * time.Hour, "young": 6 * 24 * time.Hour} {
		store, err := balance.OpenSQLite(t.Context(), filepath.Join(cfg.Data, "balances.db"), groupcommit.Options{})
		if err != nil {
			t.Fatal(err)
		}
		then := balance.New(store, balance.Options{Clock: clock.NewFake(time.Now().Add(-age))})
		err = balance.NewParticipant(then).Cancel(t.Context(), participant.Branch{Transaction: name, Name: "b", Payload: json.RawMessage(`{"user":"ann","currency":"EUR","amount":1}`)})
		if err = errors.Join(err, then.Close()); err != nil {
			t.Fatal(err)
		}
	}
	a, err := New(t.Context(), cfg, Options{Log: io.Discard})
	if err == nil {
		err = a.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Stop(t.Context()) })
	if err := a.pruneBarriers(t.Context()); err != nil {
		t.Fatal(err)
	}
	var left []string
	_, err = balance.NewParticipant(a.balances).Prune(t.Context(), time.Now(), 100, func(_ context.Context, tx string) (bool, error) {
		left = append(left, tx)
		return true, nil
	})
	if err != nil || len(left) != 1 || left[0] != "young" {
		t.Errorf("left are %v, %v", left, err)
	}
}

// A sale has its series of stock until it is over: a shop with a sale a day does not gather them, and its next sale has its own.
func TestSalesThatAreOverHaveNoSeries(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.Data = t.TempDir()
	cfg.Listen = config.Listen{Public: "127.0.0.1:0", Admin: "127.0.0.1:0", Probe: "127.0.0.1:0", Sandbox: "127.0.0.1:0"}
	a, err := New(t.Context(), cfg, Options{Log: io.Discard})
	if err == nil {
		err = a.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Stop(t.Context()) })
	for _, id := range []string{"over", "now", "next"} {
		def := sale.Definition{ID: id, Title: id, StartsAt: time.Now().Add(-time.Hour), EndsAt: time.Now().Add(time.Hour), Admission: driver.AdmitOpen, Items: []sale.ItemDefinition{{SKU: "a", Title: "A", Price: 1, Currency: "EUR", Stock: 7}}}
		if id == "next" {
			def.StartsAt = time.Now().Add(time.Minute)
		}
		if _, err := a.sales.Create(t.Context(), "op", def); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.sales.Act(t.Context(), "op", "over", sale.DoClose, "over"); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range a.stockLevels() {
		got = append(got, c.Sale)
	}
	if slices.Sort(got); !slices.Equal(got, []string{"next", "now"}) {
		t.Errorf("series of %v", got)
	}
}
