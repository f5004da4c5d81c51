package check

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"

	"penstock/internal/ident"
)

// endless writes exports of n paid purchases, made up on the fly, so that the source costs no memory.
type endless struct {
	n   int
	ids []ident.ID
}

func newEndless(n int) *endless {
	e := &endless{n: n, ids: make([]ident.ID, n)}
	g := ident.NewGenerator(1, 0)
	for i := range e.ids {
		e.ids[i] = g.Next(opening.Add(time.Duration(i)*time.Microsecond), ident.SlotOf(user(i)))
	}
	return e
}

func user(i int) string { return fmt.Sprintf("buyer-%07d", i) }

const at = "2026-11-11T00:00:01.123456Z"

func (e *endless) write(_ context.Context, name string, to io.Writer) error {
	w := bufio.NewWriterSize(to, 64<<10)
	if name == "stock-ledger" {
		fmt.Fprintf(w, `{"seq":1,"sale":"s1","sku":"cup","delta":%d,"kind":"offer","ref":"","at":"%s"}`+"\n", e.n, at)
	}
	for i, id := range e.ids {
		switch name {
		case "claims":
			fmt.Fprintf(w, `{"attempt":"%d","order":"%d","user":"%s","sale":"s1","sku":"cup","quantity":1,"price":500,"currency":"EUR","key":"k-%d","state":"sold","at":"%s","payBefore":"2026-11-11T00:10:01Z","releaseAt":"2026-11-11T00:10:31Z"}`+"\n", id, id, user(i), i, at)
		case "stock-ledger":
			fmt.Fprintf(w, `{"seq":%d,"sale":"s1","sku":"cup","delta":-1,"kind":"hold","ref":"%d","at":"%s"}`+"\n", 2*i+2, id, at)
			fmt.Fprintf(w, `{"seq":%d,"sale":"s1","sku":"cup","delta":1,"kind":"sell","ref":"%d","at":"%s"}`+"\n", 2*i+3, id, at)
		case "orders":
			db, table := testRoute(id.Slot())
			fmt.Fprintf(w, `{"id":"%d","user":"%s","sale":"s1","key":"k-%d","items":[{"sku":"cup","quantity":1,"price":500}],"amount":500,"currency":"EUR","state":"paid","version":3,"createdAt":"%s","payBefore":"2026-11-11T00:10:01Z","refundedAmount":0,"shard":%d,"table":%d}`+"\n", id, user(i), i, at, db, table)
		case "order-events":
			for n, s := range []string{"", "accepted", "pending_payment"} {
				fmt.Fprintf(w, `{"order":"%d","n":%d,"at":"%s","from":"%s","to":"%s","why":""}`+"\n", id, n+1, at, s, []string{"accepted", "pending_payment", "paid"}[n])
			}
		case "payments":
			fmt.Fprintf(w, `{"id":"%d","order":"%d","provider":"sandbox","providerRef":"tx-%d","state":"captured","amount":500,"currency":"EUR","captured":500,"refunded":0,"late":false,"at":"%s"}`+"\n", i+1, id, i, at)
		}
	}
	return w.Flush()
}

func (e *endless) snapshot(context.Context) (Snapshot, error) {
	n := int64(e.n)
	return Snapshot{
		Sales: []Sale{{ID: "s1", StartsAt: opening, EndsAt: opening.Add(time.Hour), Items: []SaleItem{{"cup", 500, "EUR", 1}}}},
		Stock: []StockRow{{Sale: "s1", SKU: "cup", Offered: n, Sold: n}},
	}, nil
}

// BenchmarkClaims checks 100,000 paid purchases a round (about half of the time goes into making the lines); with
// -test.benchtime=1x and a larger count it measures memory.
func BenchmarkClaims(b *testing.B) {
	const n = 100_000
	e := newEndless(n)
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		w, _, err := read(b.Context(), Source{Export: e.write, Snapshot: e.snapshot}, &Options{Route: testRoute, Progress: func(string) {}}, nil, nil)
		if err != nil {
			b.Fatal(err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if rep := w.report(drainage{}, false, &Options{}); rep.Verdict != Pass {
			b.Fatal(rep.Text())
		}
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/claim")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/claim")
}
