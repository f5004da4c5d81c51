package stock

import (
	"context"
	"slices"
	"strings"

	"penstock/errs"
	"penstock/stock/driver"
)

// Void binds the key of r to a final no, errs.Conflict, so that an attempt under it that comes later takes nothing. A key that
// is bound already stays so, and its answer is returned. False means that there is no such sale, and so nothing to bind.
func (s *Stock) Void(ctx context.Context, r Request) (Answer, bool, error) {
	items := slices.SortedFunc(slices.Values(r.Items), func(x, y Item) int { return strings.Compare(x.SKU, y.SKU) })
	a := &attempt{stock: s, key: driver.Key{Sale: r.Sale, User: r.User, Key: r.Key}, body: hashItems(items), trace: r.Trace}
	there := false
	err := s.do(ctx, func(w *work) { a.keyAt, a.saleAt = w.needKey(a.key), w.needSale(r.Sale) }, func(w *work) error {
		sale := w.sales[a.saleAt]
		there = sale != nil
		if known := w.known[a.keyAt]; known != nil {
			there, a.answer = true, answerOf(known, true)
			return nil
		}
		if !there {
			return nil
		}
		a.items = slices.DeleteFunc(slices.Clone(items), func(it Item) bool { return item(sale, it.SKU) == nil })
		a.bind(w, sale, errs.Conflict, Answer{})
		return nil
	})
	return a.answer, there, err
}
