package stock

import (
	"strconv"

	"penstock/errs"
	"penstock/stock/driver"
)

// passKey is the key that an answer under a pass is bound to besides the caller's own; no buyer can send one. Keys are unique
// in the database, so that a pass binds one key, in whatever process it is shown.
func passKey(entry uint64) string { return "·pass:" + strconv.FormatUint(entry, 10) }

// spend binds the key of the pass, in the transaction that binds the caller's.
func (a *attempt) spend(w *work) {
	sale := w.sales[a.saleAt]
	rec := record(w, sale, driver.Key{Sale: a.key.Sale, User: a.key.User, Key: passKey(a.pass)}, a.items)
	rec.Body, rec.Reason, rec.SKU = a.body, errs.PassUsed, a.items[0].SKU
	rec.Amount, rec.State = 0, driver.None
	w.known[a.passAt] = rec
	w.changes.Attempts = append(w.changes.Attempts, rec)
}
