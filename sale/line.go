package sale

import (
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"penstock/errs"
	"penstock/stock"
	"penstock/stock/driver"
	"penstock/stock/gate"
)

// Bounds of a line.
const (
	maxReach     = 1000
	maxRate      = 1_000_000
	maxPassLife  = time.Hour
	maxProofBits = 30
	maxSource    = 200
)

// line checks how a line or a draw is to go.
func (f *findings) line(sale *driver.Sale, l *driver.LineRules) {
	switch sale.Admission {
	case driver.AdmitOpen:
		if l != nil {
			f.add("/line", "is for a sale whose admission is \"line\" or \"draw\"")
		}
		return
	case driver.AdmitLine, driver.AdmitDraw:
	default:
		f.add("/admission", "%q is none of \"open\", \"line\" and \"draw\"", sale.Admission)
		return
	}
	if sale.Admission == driver.AdmitDraw && (l == nil || l.PublicSource == "") {
		f.add("/line/publicSource", "a draw needs the name of a public value that will be known after the pot has closed, such as \"drand quicknet round 4711\": "+
			"without one, who knows the secret could try out lists of entrants until he likes the order")
	}
	if l == nil {
		return
	}
	own := *l
	f.within("/line/passSeconds", l.PassSeconds, int64(maxPassLife/time.Second))
	f.within("/line/awaySeconds", l.AwaySeconds, int64(maxPassLife/time.Second))
	f.within("/line/ratePerSecond", l.RatePerSecond, maxRate)
	if l.ProofBits < -1 || l.ProofBits > maxProofBits {
		f.add("/line/proofBits", "is %d, must be -1 (none) to %d", l.ProofBits, maxProofBits)
	}
	if !(l.Reach == 0 || l.Reach >= 1 && l.Reach <= maxReach) {
		f.add("/line/reach", "is %v, must be 1 to %d", l.Reach, maxReach)
	}
	if !utf8.ValidString(l.PublicSource) || len(l.PublicSource) > maxSource || strings.ContainsFunc(l.PublicSource, unicode.IsControl) {
		f.add("/line/publicSource", "must be at most %d bytes without control characters", maxSource)
	}
	if !l.ClosesAt.IsZero() {
		own.ClosesAt = l.ClosesAt.UTC().Truncate(time.Millisecond)
		if !l.ClosesAt.Before(sale.EndsAt) {
			f.add("/line/closesAt", "must be before endsAt")
		}
	}
	if sale.Admission == driver.AdmitLine && (!l.ClosesAt.IsZero() || l.PublicSource != "") {
		f.add("/line", "closesAt and publicSource are for a draw")
	}
	sale.Line = &own
}

func (f *findings) within(pointer string, n, most int64) {
	if n < 0 || n > most {
		f.add(pointer, "is %d, must be 0 (the default) to %d", n, most)
	}
}

// admitted says whether the attempt may be made in a sale that admits by a line or a draw: its pass is for its one SKU.
func admitted(doc *driver.Sale, r *stock.Request) bool {
	if doc == nil || doc.Admission == "" || doc.Admission == driver.AdmitOpen {
		return true
	}
	return r.Pass != 0 && len(r.Items) == 1 && r.Items[0].SKU == r.PassSKU
}

// outsider refuses an attempt without the pass that its sale asks for. The gate is not asked: one that counts for all processes
// would take a unit off for it. Only who may have had a pass costs a look-up.
func (s *Sales) outsider(ctx context.Context, now time.Time, doc *driver.Sale, r *stock.Request) (gate.Verdict, string) {
	v, stage := gate.Verdict{Say: gate.Ask, Answer: stock.Answer{State: stock.Lost, Reason: errs.PassRequired}}, stageLine
	if s.opt.Passed != nil && !s.opt.Passed(ctx, r.Sale, r.User) {
		v.Say = gate.Refuse
	}
	if refused, no := stock.Window(doc, now); no {
		v.Answer, stage = refused, stageGate
		return v, stage
	}
	for _, it := range r.Items {
		if l := s.gate.Level(r.Sale, it.SKU); l != nil && (doc.SoldOut || l.Available+l.Held == 0) {
			v.Answer, stage = stock.Answer{State: stock.Lost, Reason: errs.SoldOut, SKU: it.SKU}, stageGate
		}
	}
	return v, stage
}

// Ended says whether a sale takes no more attempts, for good.
func Ended(doc *driver.Sale, now time.Time) bool { return stateAt(doc, now) == Closed }
