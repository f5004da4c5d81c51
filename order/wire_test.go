package order

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"penstock/bus"
	busdriver "penstock/bus/driver"
	"penstock/internal/clock"
	"penstock/stock"
	"penstock/stock/driver"
)

// A payload read the short way and the same payload read by encoding/json give the same event; no payload panics, and one that
// is no event is poison.
func FuzzPayload(f *testing.F) {
	cl := newClaims(clock.NewFake(time.Date(2026, 11, 11, 0, 0, 0, 1, time.UTC)))
	a := cl.win("用户")
	a.Lines[1].SKU = "plain"
	good := message(stock.EventSold, a, a.At).Payload
	a.Why = stock.WhyExpired
	for _, p := range []string{
		string(good), string(message(stock.EventReleased, a, a.At).Payload), "", "{}", "null", string(good[:len(good)-1]), string(good) + " ",
		strings.Replace(string(good), `"quantity":1`, `"quantity":01`, 1), strings.Replace(string(good), `"amount":`, `"amount":-`, 1),
		strings.Replace(string(good), "plain", `pl\u0061in`, 1), strings.Replace(string(good), "plain", "pl\xffain", 1),
		strings.Replace(string(good), `T00`, `T0`, 1), strings.Replace(string(good), "Z", "+08:00", 2),
	} {
		f.Add([]byte(p))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		slow, id, err := stock.ParseEvent(payload)
		if e, ok := readEvent(payload); ok {
			if err != nil {
				t.Fatalf("read a payload that encoding/json refuses: %v", err)
			}
			want := eventOf(slow, id)
			var items []driver.Line
			if err := json.Unmarshal([]byte(e.seed.Items), &items); err != nil || lines(items) != want.seed.Items {
				t.Fatalf("items are %s, not %s (%v)", e.seed.Items, want.seed.Items, err)
			}
			e.seed.Items = want.seed.Items
			if d := cmp.Diff(want, e, cmp.AllowUnexported(event{})); d != "" {
				t.Fatal(d)
			}
		}
		var c change
		got := c.read(&busdriver.Message{Type: stock.EventHeld, Payload: payload}, 1)
		if (err != nil) != errors.Is(got, bus.ErrPoison) || (got == nil) != (err == nil) {
			t.Fatalf("an event that parses with %v is read with %v", err, got)
		}
	})
}

// What package stock writes is read the short way.
func TestStockPayloadsAreReadTheShortWay(t *testing.T) {
	t.Parallel()
	cl := newClaims(clock.NewFake(time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC)))
	a := cl.win("u-1")
	a.Lines[1].SKU = `case "9"`
	if _, ok := readEvent(message(stock.EventHeld, a, a.At).Payload); ok {
		t.Error("a SKU with an escaped character was read the short way")
	}
	a.Lines = a.Lines[:1]
	for _, kind := range []string{stock.EventHeld, stock.EventSold, stock.EventReleased} {
		if _, ok := readEvent(message(kind, a, a.At).Payload); !ok {
			t.Errorf("%s was not read", kind)
		}
		a.Why = stock.WhyCancelled
	}
}

// Items written by hand are what encoding/json writes.
func TestLinesAreJSON(t *testing.T) {
	t.Parallel()
	cl := newClaims(clock.NewFake(time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC)))
	a := cl.win("u-1")
	for _, sku := range []string{"plain", "", `q"uote`, "用户", "<&>", "nl\n", "bad\xff", "\u2028"} {
		a.Lines[0].SKU = sku
		want, err := json.Marshal(a.Lines)
		if err != nil || lines(a.Lines) != string(want) {
			t.Errorf("lines(%q) = %s, want %s (%v)", sku, lines(a.Lines), want, err)
		}
	}
}
