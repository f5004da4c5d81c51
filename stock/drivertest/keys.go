package drivertest

import (
	"fmt"
	"strings"
	"testing"

	"penstock/stock/driver"
)

// lookalikes are pairwise different strings that some collation, normalisation, padding or number rule takes for equal.
var lookalikes = []string{
	"k", "K", "\u212a", "k ", " k", "k\t", "k\n", "k\x00", "k\x00k", "kk", "\u00e9", "e\u0301", "e", "E", "ß", "ss", "ſs", "ﬁ", "fi",
	"1", "01", "1.0", "1e0", "+1", "0", "-0", "true", "null", "NULL", "'", "''", `"`, `\`, `\\`, "%", "_", "\u200b", "\ufeff", "\u00ad",
	"a", "ａ", "а", "İ", "i", "I", "ı", "😀", "😁", strings.Repeat("k", 255), strings.Repeat("k", 254) + "K",
}

// checkDistinct binds a win for each key, one unit each, and finds each again under exactly its own key, allowances too, now
// and after reopening.
func checkDistinct(d *db, skus []string, keys []driver.Key, lineOf func(i int) driver.Line) {
	d.Helper()
	seen := map[string]bool{}
	for i, k := range keys {
		if !seen[k.Sale] {
			seen[k.Sale] = true
			offers := map[string]int64{}
			for _, sku := range skus {
				offers[sku] = int64(len(keys))
			}
			d.sale(k.Sale, offers)
		}
		if a := d.attempt(k); a != nil {
			d.Fatalf("key %+q is bound to %+q already", k, a.Key)
		}
		d.win(k, lineOf(i))
	}
	check := func() {
		r := &driver.Reads{}
		for i, k := range keys {
			r.Keys = append(r.Keys, k)
			r.Taken = append(r.Taken, driver.TakenRef{Sale: k.Sale, SKU: lineOf(i).SKU, User: k.User})
			if a := d.attempt(k); a == nil || a.Key != k {
				d.Errorf("looking up %+q finds %+v", k, a)
			}
		}
		want := map[driver.TakenRef]int64{}
		for _, ref := range r.Taken {
			want[ref]++
		}
		d.peek(r, func(st *driver.State) {
			for i, k := range keys {
				if a := st.Known[i]; a == nil || a.Key != k {
					d.Errorf("deciding on %+q finds %+v", k, a)
				}
				if ref := r.Taken[i]; st.Taken[i] != want[ref] {
					d.Errorf("allowance of %+q is %d, want %d", ref, st.Taken[i], want[ref])
				}
			}
		})
	}
	check()
	d.reopen()
	check()
}

// Keys are the same only when their bytes are.
func keysCompareAsBytes(t testing.TB, h Harness) {
	var keys []driver.Key
	for _, s := range lookalikes {
		keys = append(keys, driver.Key{Sale: "s", User: "u", Key: s})
	}
	checkDistinct(newDB(t, h), []string{"a"}, keys, func(int) driver.Line { return line("a", 1) })
}

// Users are the same only when their bytes are: in keys, allowances and lists of wins.
func usersCompareAsBytes(t testing.TB, h Harness) {
	d := newDB(t, h)
	var keys []driver.Key
	for _, s := range lookalikes {
		keys = append(keys, driver.Key{Sale: "s", User: s, Key: "k"})
	}
	checkDistinct(d, []string{"a"}, keys, func(int) driver.Line { return line("a", 1) })
	for _, k := range keys {
		if as := d.unsent(k.User); len(as) != 1 || as[0].Key != k {
			t.Errorf("user %+q has wins %+v, want the one under %+q", k.User, as, k)
		}
	}
}

// Sales and SKUs are the same only when their bytes are.
func salesAndSKUsCompareAsBytes(t testing.TB, h Harness) {
	d := newDB(t, h)
	names := lookalikes[:16]
	var keys []driver.Key
	for i, s := range names {
		keys = append(keys, driver.Key{Sale: s, User: "u", Key: fmt.Sprint("k", i)}, driver.Key{Sale: s, User: "u", Key: fmt.Sprint("k", i+1)})
	}
	checkDistinct(d, names, keys, func(i int) driver.Line { return line(names[i/2], 1) })
	for _, row := range d.snapshot().Stock {
		want := int64(0)
		if row.Sale == row.SKU {
			want = 2
		}
		if row.Held != want {
			t.Errorf("sku %+q of sale %+q holds %d, want %d", row.SKU, row.Sale, row.Held, want)
		}
	}
}

// Two keys whose parts join to the same text are two keys.
func keyPartsDoNotRunTogether(t testing.TB, h Harness) {
	var keys []driver.Key
	for _, sep := range []string{"", "/", "|", ":", ",", "\x00", "\x1f", "\n", " "} {
		keys = append(keys,
			driver.Key{Sale: "s", User: "x" + sep + "y", Key: "z"},
			driver.Key{Sale: "s", User: "x", Key: "y" + sep + "z"},
			driver.Key{Sale: "s" + sep + "x", User: "y", Key: "z"})
	}
	checkDistinct(newDB(t, h), []string{"a"}, keys, func(int) driver.Line { return line("a", 1) })
}
