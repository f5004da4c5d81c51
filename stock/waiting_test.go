package stock_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"penstock/stock"
	"penstock/stock/driver"
)

// The message about a claim says which entry of a waiting list it was made for, and says nothing of the kind about any other.
func TestMessageNamesTheEntry(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{"wait:17": "17", "k": "", "await:17": ""} {
		a := &driver.Attempt{ID: 1 << 40, Key: driver.Key{Sale: "s", User: "u", Key: key}, Lines: []driver.Line{{SKU: "a", Quantity: 1}}}
		payload, err := json.Marshal(stock.EventOf(a, time.Unix(0, 0), ""))
		if err != nil {
			t.Fatal(err)
		}
		e, _, err := stock.ParseEvent(payload)
		if err != nil || e.Entry != want || strings.Contains(string(payload), `"entry"`) != (want != "") {
			t.Errorf("key %q: %s, %v, want entry %q", key, payload, err, want)
		}
	}
}
