package order

import (
	"testing"

	"penstock/order/shard"
)

// taker counts what it takes, and how often a read was open while it took.
type taker struct {
	b           *bundle
	bytes, open int
}

func (w *taker) Write(p []byte) (int, error) {
	w.bytes += len(p)
	for db := range shard.Databases {
		w.open += w.b.files.DB(db).R.Stats().InUse
	}
	return len(p), nil
}

// Whoever takes an export slowly holds no read open meanwhile, so that the log of the database can be copied back.
func TestExportsHoldNoRead(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	for range 100 {
		b.claims.win("u")
	}
	b.handle(b.claims.messages()...)
	w := &taker{b: b}
	if err := b.ExportOrders(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	if err := b.ExportEvents(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	if w.bytes < 100*200 || w.open != 0 {
		t.Errorf("%d bytes were taken, %d reads were open meanwhile", w.bytes, w.open)
	}
}
