package gateway

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"penstock/errs"
	"penstock/stock"
	"penstock/stock/driver"
)

// timeLayout ends at milliseconds, so that a time that came back from a database is written as it was the first time, and as
// the other calls write it.
const timeLayout = "2006-01-02T15:04:05.999Z"

// details are what the problems of the attempt path say.
var details = map[errs.Code]string{
	errs.SoldOut:         "sold out: nothing is free and nothing is held",
	errs.LimitReached:    "you would have more of this SKU in this sale than one buyer may; this is final for this key",
	errs.StockHeld:       "nothing is free now, but unpaid holds exist; the same key may be tried again",
	errs.NotEnoughLeft:   "fewer units are left than were asked for",
	errs.KeyInProgress:   "a call with this key is running; ask again for its answer",
	errs.KeyReused:       "this key was used for another body",
	errs.PassRequired:    "the sale admits by a line or a draw: join it, and attempt with the pass of your entry, for its SKU alone; not executed",
	errs.PassUsed:        "the pass was used with another key; not executed",
	errs.SaleNotOpen:     "the sale has not begun",
	errs.SaleClosed:      "the sale has ended",
	errs.SalePaused:      "the sale is paused; the same key may be tried again",
	errs.QuotaExceeded:   "too many attempts in a short time; not executed",
	errs.ReducedCapacity: "the server cannot take this attempt now; not executed",
	errs.NotFound:        "there is no such sale",
	errs.Invalid:         "the sale does not sell this",
	errs.Internal:        "something went wrong on our side",
}

// answer writes one of the three answers, using b as memory, and returns the memory.
func (g *Gateway) answer(c *Call, key string, a stock.Answer, b []byte) []byte {
	if a.Replayed {
		c.set("Idempotency-Replayed", "true")
	}
	switch {
	case a.State == stock.Unknown:
		return g.unknown(c, key, a, b)
	case a.State == stock.Won && a.Attempt != nil:
		b = append(AppendWon(b, a.Attempt), '\n')
		c.set("Content-Type", "application/json")
		c.WriteHeader(http.StatusCreated)
		_, _ = c.Write(b) // a winner who has gone asks again with the key
		return b
	}
	b = g.lost(c, key, a, b)
	c.sendProblem(a.Reason, b)
	return b
}

func (g *Gateway) unknown(c *Call, key string, a stock.Answer, b []byte) []byte {
	c.Code = errs.Unknown
	c.set("Content-Type", "application/json")
	c.set("Location", AttemptPath(c.Sale, key))
	c.set("Retry-After", g.retryAfter(a.RetryAfter))
	b = append(appendString(append(b, `{"state":"unknown","attempt":`...), key), '}', '\n')
	c.WriteHeader(http.StatusAccepted)
	_, _ = c.Write(b)
	return b
}

// lost writes the problem. A no that is bound to its key is made from what is stored, so that it reads the same for ever;
// one that binds nothing says in addition what is known now, and which request it answered.
func (g *Gateway) lost(c *Call, key string, a stock.Answer, b []byte) []byte {
	detail, known := details[a.Reason]
	if !known || a.Reason == errs.Internal {
		g.o.Logger.Error("an attempt ended without a reason of its own", "reason", string(a.Reason), "state", a.State.String(), "traceId", c.TraceID)
		a.Reason, a.Attempt, detail = errs.Internal, nil, details[errs.Internal]
	}
	c.comeAgain(a.Reason, a.RetryAfter)
	b = c.beginProblem(b, a.Reason, detail)
	b = appendString(append(b, `,"instance":`...), AttemptPath(c.Sale, key))
	if a.Attempt != nil && a.Reason != errs.KeyReused {
		b = append(append(append(b, `,"attempt":"`...), a.Attempt.ID.String()...), `","final":true}`...)
		return append(b, '\n')
	}
	b = appendString(append(b, `,"requestId":`...), c.RequestID)
	b = appendExecuted(b, a.Reason)
	if a.SKU != "" {
		b = appendString(append(b, `,"sku":`...), a.SKU)
	}
	if a.SKU != "" && a.Reason != errs.Invalid {
		b = appendInt(append(b, `,"left":`...), a.Left)
	}
	if a.Reason == errs.PassRequired {
		b = appendString(append(b, `,"join":`...), salesPrefix+url.PathEscape(c.Sale)+"/line")
	}
	if !a.OpensAt.IsZero() {
		b = appendTime(append(b, `,"opensAt":`...), a.OpensAt)
	}
	if rate := g.o.Attempt; a.Reason == errs.QuotaExceeded && !rate.Off() {
		c.set("Ratelimit-Policy", `"attempt";q=`+strconv.Itoa(rate.Calls)+";w="+strconv.FormatInt(seconds(rate.Per), 10))
		c.set("Ratelimit", `"attempt";r=0;t=`+strconv.FormatInt(seconds(a.RetryAfter), 10))
	}
	return append(b, '}', '\n')
}

// AppendWon writes the body of a won answer. It depends on what is stored and on nothing else.
func AppendWon(b []byte, a *driver.Attempt) []byte {
	b = append(b, `{"state":"won","attempt":"`...)
	b = appendInt(b, int64(a.ID))
	b = append(b, `","order":"`...)
	b = appendInt(b, int64(a.ID))
	b = append(b, `","items":[`...)
	for i, l := range a.Lines {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(append(b, `{"sku":`...), l.SKU)
		b = appendInt(append(b, `,"quantity":`...), l.Quantity)
		b = append(appendInt(append(b, `,"price":`...), l.Price), '}')
	}
	b = appendInt(append(b, `],"amount":`...), a.Amount)
	b = appendString(append(b, `,"currency":`...), a.Currency)
	return append(appendTime(append(b, `,"payBefore":`...), a.PayBefore), '}')
}

func appendTime(b []byte, t time.Time) []byte {
	return append(t.UTC().AppendFormat(append(b, '"'), timeLayout), '"')
}

// AttemptPath is where the answer bound to a key can be asked for.
func AttemptPath(sale, key string) string {
	return salesPrefix + url.PathEscape(sale) + attemptsSuffix + "/" + url.PathEscape(key)
}
