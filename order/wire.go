package order

import (
	"strings"
	"time"
	"unicode/utf8"

	"penstock/internal/ident"
	store "penstock/order/driver"
)

// wire reads the one form of payload that package stock writes (this order of fields, no spaces, no escapes), because
// reading it with encoding/json costs half as much as writing the order. Whatever deviates is left to stock.ParseEvent; where
// wire reads a payload, the two agree.
type wire struct {
	raw  []byte
	text string
	pos  int
	bad  bool
}

// event is what an order needs of a stock.Event.
type event struct {
	id   ident.ID
	seed store.Seed
	at   int64
	why  string
}

// readEvent reads a payload; false means that it is not in the one form, or not an event.
func readEvent(payload []byte) (e event, ok bool) {
	w := wire{raw: payload, text: string(payload)}
	s := &e.seed
	w.skip(`{"order":"`)
	id, err := ident.Parse(w.upTo('"'))
	e.id = id
	w.skip(`,"user":"`)
	s.User = w.upTo('"')
	w.skip(`,"sale":"`)
	s.Sale = w.upTo('"')
	w.skip(`,"key":"`)
	s.Key = w.upTo('"')
	w.skip(`,"items":`)
	s.Items = w.items()
	w.skip(`,"amount":`)
	s.Amount = w.number()
	w.skip(`,"currency":"`)
	s.Currency = w.upTo('"')
	w.skip(`,"heldAt":"`)
	s.Created = w.time()
	w.skip(`,"payBefore":"`)
	s.PayBefore = w.time()
	w.skip(`,"releaseAt":"`)
	w.time()
	w.skip(`,"at":"`)
	e.at = w.time()
	if w.next(`,"why":"`) {
		e.why = w.upTo('"')
	}
	w.skip(`}`)
	return e, err == nil && !w.bad && w.pos == len(w.text) && s.User != "" && utf8.ValidString(w.text)
}

// next passes over p if it stands here.
func (w *wire) next(p string) bool {
	if w.bad || !strings.HasPrefix(w.text[w.pos:], p) {
		return false
	}
	w.pos += len(p)
	return true
}

// skip passes over p, which must stand here.
func (w *wire) skip(p string) {
	if !w.next(p) {
		w.bad = true
	}
}

// upTo returns the characters before the next end and passes over it. Characters that JSON would escape are not read.
func (w *wire) upTo(end byte) string {
	if w.bad {
		return ""
	}
	for i := w.pos; i < len(w.text); i++ {
		switch c := w.text[i]; {
		case c == end:
			s := w.text[w.pos:i]
			w.pos = i + 1
			return s
		case c < ' ' || c == '\\':
			w.bad = true
			return ""
		}
	}
	w.bad = true
	return ""
}

// number reads an integer of at most 18 digits.
func (w *wire) number() int64 {
	negative := w.next("-")
	start := w.pos
	var n int64
	for w.pos < len(w.text) && w.text[w.pos] >= '0' && w.text[w.pos] <= '9' {
		n = n*10 + int64(w.text[w.pos]-'0')
		w.pos++
	}
	digits := w.pos - start
	if digits == 0 || digits > 18 || digits > 1 && w.text[start] == '0' || negative && n == 0 {
		w.bad = true
	}
	if negative {
		return -n
	}
	return n
}

// time reads a moment and returns nanoseconds since 1970.
func (w *wire) time() int64 {
	start := w.pos
	w.upTo('"')
	if w.bad {
		return 0
	}
	var t time.Time
	if t.UnmarshalText(w.raw[start:w.pos-1]) != nil {
		w.bad = true
	}
	return t.UnixNano()
}

// items reads the lines and returns them as they stand.
func (w *wire) items() string {
	start := w.pos
	w.skip(`[`)
	for !w.bad {
		w.skip(`{"sku":"`)
		w.upTo('"')
		w.skip(`,"quantity":`)
		w.number()
		w.skip(`,"price":`)
		w.number()
		w.skip(`}`)
		if w.next(`]`) {
			break
		}
		w.skip(`,`)
	}
	if w.bad {
		return ""
	}
	return w.text[start:w.pos]
}
