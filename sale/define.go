package sale

import (
	"crypto/rand"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"penstock/errs"
	"penstock/stock/driver"
)

// Limits of a definition. Amounts stay far below what an int64 can add up.
const (
	maxItems  = 50
	maxPrice  = 1_000_000_000_000
	maxStock  = 1_000_000_000
	maxTitle  = 200
	maxSKU    = 64
	maxWindow = 30 * 24 * time.Hour
	maxGrace  = 24 * time.Hour
)

var (
	idForm       = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)
	currencyForm = regexp.MustCompile(`^[A-Z]{3}$`)
)

// findings collects what is wrong with a body.
type findings []errs.Field

func (f *findings) add(pointer, format string, args ...any) {
	*f = append(*f, errs.Field{Pointer: pointer, Detail: fmt.Sprintf(format, args...)})
}

func (f findings) err(what string) error {
	if len(f) == 0 {
		return nil
	}
	e := errs.New(errs.Invalid, "%s is not valid", what)
	e.Fields = f
	return e
}

// build checks a definition and returns the sale and the units offered per SKU.
func (s *Sales) build(d *Definition) (driver.Sale, map[string]int64, error) {
	var f findings
	if d.ID == "" {
		d.ID = "s" + strings.ToLower(rand.Text()[:12])
	} else if !idForm.MatchString(d.ID) {
		f.add("/id", "must be 1 to 64 letters, digits, '-' or '_', beginning with a letter or digit")
	}
	f.title("/title", d.Title)
	if d.StartsAt.IsZero() {
		f.add("/startsAt", "is required, for example 2026-11-11T00:00:00Z")
	}
	if !d.EndsAt.After(d.StartsAt) {
		f.add("/endsAt", "must be after startsAt")
	}
	if d.Admission == "" {
		d.Admission = driver.AdmitOpen
	}
	sale := driver.Sale{
		ID: d.ID, Title: d.Title, StartsAt: micro(d.StartsAt), EndsAt: micro(d.EndsAt), Admission: d.Admission, Window: s.opt.Window, Grace: s.opt.Grace,
		WaitingList: d.WaitingList,
	}
	f.line(&sale, d.Line)
	if d.PaymentWindowSeconds != 0 {
		sale.Window = f.seconds("/paymentWindowSeconds", d.PaymentWindowSeconds, 1, maxWindow)
	}
	if d.GraceSeconds != nil {
		sale.Grace = f.seconds("/graceSeconds", *d.GraceSeconds, 0, maxGrace)
	}
	offers := f.items(&sale, d.Items)
	return sale, offers, f.err("the sale")
}

func micro(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func (f *findings) title(pointer, title string) {
	if n := utf8.RuneCountInString(title); n == 0 || n > maxTitle || !utf8.ValidString(title) || strings.ContainsFunc(title, unicode.IsControl) {
		f.add(pointer, "must be 1 to %d characters without control characters", maxTitle)
	}
}

func (f *findings) seconds(pointer string, n, least int64, most time.Duration) time.Duration {
	if n < least || n > int64(most/time.Second) {
		f.add(pointer, "is %d, must be %d to %d", n, least, int64(most/time.Second))
		return 0
	}
	return time.Duration(n) * time.Second
}

func (f *findings) items(sale *driver.Sale, items []ItemDefinition) map[string]int64 {
	offers := map[string]int64{}
	if len(items) == 0 || len(items) > maxItems {
		f.add("/items", "must list 1 to %d items", maxItems)
	}
	for i, it := range items {
		at := fmt.Sprintf("/items/%d", i)
		_, twice := offers[it.SKU]
		switch {
		case it.SKU == "" || len(it.SKU) > maxSKU || !utf8.ValidString(it.SKU) || strings.ContainsFunc(it.SKU, unicode.IsControl):
			f.add(at+"/sku", "must be 1 to %d bytes without control characters", maxSKU)
		case twice:
			f.add(at+"/sku", "%q is listed twice", it.SKU)
		}
		f.title(at+"/title", it.Title)
		if it.Price < 0 || it.Price > maxPrice {
			f.add(at+"/price", "is %d, must be 0 to %d minor units", it.Price, int64(maxPrice))
		}
		if !currencyForm.MatchString(it.Currency) || it.Currency != items[0].Currency {
			f.add(at+"/currency", "must be three capital letters, for example CNY, and the same for every item of a sale")
		}
		if it.Stock < 0 || it.Stock > maxStock {
			f.add(at+"/stock", "is %d, must be 0 to %d", it.Stock, maxStock)
		}
		if it.LimitPerUser < 0 || it.LimitPerUser > maxStock {
			f.add(at+"/limitPerUser", "is %d, must be 0 (no limit) to %d", it.LimitPerUser, maxStock)
		}
		offers[it.SKU] = it.Stock
		sale.Items = append(sale.Items, driver.SaleItem{SKU: it.SKU, Title: it.Title, Price: it.Price, Currency: it.Currency, Limit: it.LimitPerUser})
	}
	return offers
}
