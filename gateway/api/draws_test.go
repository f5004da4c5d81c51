package api

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"penstock/line/draw"
)

// A draw that is looked at again and again is written once for each of its versions, kept within bounds, and not sent again to who has it.
func TestDrawsAreWrittenOnce(t *testing.T) {
	t.Parallel()
	docs := func(sale string, state string, n int) draw.Documents {
		d := draw.Document{Version: 1, Sale: sale, SKU: "lamp", State: draw.Collecting, ClosesAt: "2026-01-01T00:00:00.000Z", Commitment: draw.Commit([]byte(sale)), Entrants: []string{}, Order: []int{}}
		if state == draw.Collecting {
			return draw.Documents{Draws: []draw.Document{d}}
		}
		var list []string
		for i := range n {
			list = append(list, draw.Entrant([]byte("salt"), fmt.Sprint(i)))
		}
		d.Close("2026-01-01T00:00:00.100Z", list)
		if state == draw.Drawn {
			if err := d.Draw([]byte(sale), "value"); err != nil {
				t.Fatal(err)
			}
		}
		return draw.Documents{Draws: []draw.Document{d}}
	}
	kept := &spelled{}
	versions := map[string]bool{}
	for _, all := range []draw.Documents{docs("a", draw.Collecting, 0), docs("a", draw.Closed, 10), docs("a", draw.Closed, 11), docs("a", draw.Drawn, 11), docs("b", draw.Drawn, 11)} {
		for range 3 {
			if got := kept.of(all.Draws[0].Sale, all.Version(), all); !bytes.Equal(got, all.Spell()) {
				t.Errorf("kept %s, want %s", got, all.Spell())
			}
		}
		versions[all.Version()] = true
	}
	if kept.made != 5 || len(versions) != 5 || len(kept.bodies) != 2 {
		t.Errorf("%d bodies were written for %d versions, %d are kept; want 5, 5, 2", kept.made, len(versions), len(kept.bodies))
	}
	for i := range 20 { // 7 MB each
		all := docs(fmt.Sprint("long", i), draw.Closed, 1)
		all.Draws[0].Entrants[0] = string(bytes.Repeat([]byte("0"), 7<<20))
		kept.of(all.Draws[0].Sale, all.Version(), all)
	}
	if sum := 0; kept.bytes > spelledMost+8<<20 || len(kept.bodies) > 11 {
		t.Errorf("%d bytes are kept in %d bodies", kept.bytes, len(kept.bodies))
	} else {
		for _, b := range kept.bodies {
			sum += len(b.body)
		}
		if sum != kept.bytes {
			t.Errorf("%d bytes are kept, %d are counted", sum, kept.bytes)
		}
	}

	h := setup(t)
	ask := func(tag string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "/v1/sales/flash/draw", nil)
		r.Header.Set("If-None-Match", tag)
		w := httptest.NewRecorder()
		h.public.ServeHTTP(w, r)
		return w
	}
	first := ask("")
	tag := first.Header().Get("ETag")
	if again := ask(tag); first.Code != http.StatusOK || tag == "" || again.Code != http.StatusNotModified || again.Body.Len() != 0 || again.Header().Get("ETag") != tag {
		t.Errorf("%d with the tag %s, then %d with %d bytes and %s", first.Code, tag, again.Code, again.Body.Len(), again.Header().Get("ETag"))
	}
	if other := ask(`"other"`); other.Code != http.StatusOK || other.Body.String() != first.Body.String() {
		t.Errorf("with another tag: %d %s", other.Code, other.Body)
	}
}
