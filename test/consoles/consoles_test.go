package consoles

import (
	"fmt"
	"testing"
	"time"
)

const (
	pages = 1000
	slow  = 10 // of them read nothing until the end
	units = 20
)

// A thousand pages watch one sale. Every one is told its newest state, at most four times a second; those that read nothing are
// sent nothing that is old: what waits for them is what the kernel took before, and then the newest. When all have gone the process
// has no more goroutines, descriptors of connections and memory than before.
func TestThousandConsoles(t *testing.T) {
	h := open(t)
	h.offer(units)
	first := h.see() // what is made once, such as the tables of JSON, is there before the count
	go first.read()
	until(t, "the first page is told", func() bool { return first.held.Load() == 0 })
	first.close()
	var before holdings
	until(t, "the first page is forgotten", func() bool {
		now := held(t)
		same := now.goroutines == before.goroutines && now.sockets == before.sockets
		before = now
		return same
	})

	begun := time.Now()
	all := make([]*page, pages)
	for i := range all {
		all[i] = h.see()
		if i >= slow {
			go all[i].read()
		}
	}
	readers := all[slow:]
	showing := func(n int64) func() bool {
		return func() bool {
			for _, p := range readers {
				if p.held.Load() != n {
					return false
				}
			}
			return true
		}
	}
	until(t, "every page shows the sale", showing(0))
	opened := time.Since(begun)
	for i := range units {
		h.buy(fmt.Sprint("buyer-", i))
	}
	bought := time.Now()
	until(t, "every page shows the last unit held", showing(units))
	t.Logf("measured: %d pages opened and told in %v; all showed the last unit %v after it was sold", pages, opened.Round(time.Millisecond), time.Since(bought).Round(time.Millisecond))

	during := held(t)
	most := int64(0)
	for _, p := range readers {
		most = max(most, p.told.Load())
	}
	if bound := int64(4*time.Since(begun).Seconds()) + 2; most > bound {
		t.Errorf("a page was told %d times in %v", most, time.Since(begun))
	}
	for _, p := range all[:slow] { // they wake up
		go p.read()
	}
	for _, p := range all[:slow] {
		until(t, "who read nothing shows the last unit", func() bool { return p.held.Load() == units })
		if n := p.told.Load(); n > most+1 {
			t.Errorf("who read nothing was told %d times, the others at most %d", n, most)
		}
	}
	for _, p := range all {
		p.close()
	}
	all, readers = nil, nil
	var after holdings
	until(t, "goroutines and sockets are as before", func() bool {
		after = held(t)
		return after.goroutines <= before.goroutines && after.sockets <= before.sockets
	})
	t.Logf("measured: goroutines %d, %d, %d; sockets %d, %d, %d; heap %d, %d, %d KiB (before, during, after; both ends of each connection)",
		before.goroutines, during.goroutines, after.goroutines, before.sockets, during.sockets, after.sockets,
		before.heap>>10, during.heap>>10, after.heap>>10)
	if grown := after.heap - before.heap; grown > 4<<20 {
		t.Errorf("%d KiB of heap are left", grown>>10)
	}
}

// close ends the page and waits until it has been read to its end.
func (p *page) close() {
	_ = p.conn.Close() // its reader sees the end
	<-p.done
}
