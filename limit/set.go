package limit

import (
	"context"
	"fmt"
	"slices"

	"penstock/internal/clock"
	"penstock/limit/driver"
)

const (
	// maxRules is how many rules a list may have, maxTaken how many a set: the two quotas of apps have room beside any list.
	maxRules = 16
	maxTaken = maxRules + 2
	maxCells = driver.Parts + 1
)

// SetOptions tunes a [Set]. The zero value counts in this process alone.
type SetOptions struct {
	Clock clock.Clock
	// MaxKeys bounds the counters remembered at once for each rule; 0 means 131072.
	MaxKeys int
	// Shared counts for all instances together; nil means that this process counts alone.
	Shared driver.Driver
	// From is the set that the new one takes the place of: rules that are the same go on with their counts. Nil means none.
	From *Set
}

// Set is several rules that are taken all at once. Safe for concurrent use.
type Set struct {
	rules []*table
	order []int // places in rules, in the order in which they are locked
	opt   SetOptions
}

// NewSet returns a set of the rules. Errors name the rule and the field.
func NewSet(rules []Rule, o SetOptions) (*Set, error) {
	if err := validate(rules, maxTaken); err != nil {
		return nil, err
	}
	if o.MaxKeys < 0 {
		return nil, fmt.Errorf("option MaxKeys is %d: it must be 0 or more", o.MaxKeys)
	}
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	s := &Set{opt: o}
	s.opt.From = nil
	var last int64
	if o.From != nil {
		for _, t := range o.From.rules {
			last = max(last, t.order)
		}
	}
	for i, r := range rules {
		t := o.From.table(r, o)
		if t.order == 0 {
			last++
			t.order = last
		}
		s.rules, s.order = append(s.rules, t), append(s.order, i)
	}
	slices.SortFunc(s.order, func(a, b int) int { return s.rules[a].compare(s.rules[b]) })
	return s, nil
}

// Validate says what is wrong with a list of rules: a field of one, two of one name, or too many.
func Validate(rules []Rule) error { return validate(rules, maxRules) }

func validate(rules []Rule, most int) error {
	if len(rules) > most {
		return fmt.Errorf("limits: there are %d rules, at most %d are possible", len(rules), most)
	}
	seen := map[string]bool{}
	for _, r := range rules {
		if err := r.Validate(); err != nil {
			return err
		}
		if seen[r.Name] {
			return fmt.Errorf("limit %s: two rules have this name", r.Name)
		}
		seen[r.Name] = true
	}
	return nil
}

// Rules returns the rules, in order.
func (s *Set) Rules() []Rule {
	all := make([]Rule, len(s.rules))
	for i, t := range s.rules {
		all[i] = t.rule
	}
	return all
}

// Take asks for one call: it counts in each rule that applies if none of them refuses, else in none. With shared counters it
// waits for them, tens of milliseconds at most, or until ctx ends; then this instance decides with its share.
func (s *Set) Take(ctx context.Context, who Subject) Decision {
	var p picks
	var answers [maxTaken]driver.Answer
	if !s.pick(&p, &who) {
		return Decision{Allowed: true, Quotas: who.Into[:0]}
	}
	allowed, local := s.take(ctx, &p, &who, answers[:])
	d := s.decision(&p, answers[:], who.Into, allowed)
	d.Local = local
	if !allowed {
		s.refuse(d.Rule)
	}
	return d
}

// take asks the shared counters if there are any, else those of this process.
func (s *Set) take(ctx context.Context, p *picks, who *Subject, answers []driver.Answer) (allowed, local bool) {
	if s.opt.Shared == nil {
		return s.local(p, answers, 1, true), false
	}
	allowed, err := s.shared(ctx, p, who, answers)
	if err != nil {
		return s.local(p, answers, s.instances(), true), true
	}
	return allowed, false
}

// refuse counts a call that the rule has refused.
func (s *Set) refuse(rule string) {
	for _, t := range s.rules {
		if t.rule.Name == rule {
			t.refused.Add(1)
		}
	}
}

// Count is how many calls a rule has counted, and how many it has refused as the one that refuses longest.
type Count struct {
	Rule             string
	Allowed, Refused uint64
}

// Counts returns them, in order. They begin anew with a rule that changes.
func (s *Set) Counts() []Count {
	all := make([]Count, len(s.rules))
	for i, t := range s.rules {
		all[i] = Count{Rule: t.rule.Name, Allowed: t.counted(), Refused: t.refused.Load()}
	}
	return all
}

// Explain says what Take would say as far as this process knows, and counts nothing.
func (s *Set) Explain(who Subject) Decision {
	var p picks
	var answers [maxTaken]driver.Answer
	s.pick(&p, &who)
	allowed := s.local(&p, answers[:], 1, false)
	return s.decision(&p, answers[:], who.Into, allowed)
}

// Sweep forgets every idle counter of this process and returns how many are left. Calls sweep as they come; this is for when
// they have stopped coming.
func (s *Set) Sweep() (left int) {
	for _, t := range s.rules {
		left += t.sweep(s.opt.Clock.Now(), s.instances())
	}
	return left
}

func (s *Set) instances() int64 {
	if s.opt.Shared == nil {
		return 1
	}
	return int64(max(s.opt.Shared.Instances(), 1))
}

// shared asks the shared counters. What is allowed is noted in this process too.
func (s *Set) shared(ctx context.Context, p *picks, who *Subject, answers []driver.Answer) (bool, error) {
	asks := make([]driver.Ask, 0, len(s.rules))
	for i, t := range s.rules {
		if p[i].meter != nil {
			asks = append(asks, driver.Ask{Key: t.name(who), Plan: p[i].meter.plan})
		}
	}
	said := make([]driver.Answer, len(asks))
	if err := s.opt.Shared.Take(ctx, asks, said); err != nil {
		return false, err
	}
	allowed, at := true, 0
	for i := range s.rules {
		if p[i].meter != nil {
			answers[i] = said[at]
			allowed = allowed && said[at].Retry == 0
			at++
		}
	}
	if allowed {
		s.note(p)
	}
	return allowed, nil
}

// decision puts the answers of the rules together.
func (s *Set) decision(p *picks, answers []driver.Answer, into []Quota, allowed bool) Decision {
	d := Decision{Allowed: allowed, Quotas: into[:0]}
	for i, t := range s.rules {
		m, a := p[i].meter, &answers[i]
		if m == nil {
			continue
		}
		if a.Retry > d.RetryAfter {
			d.Rule, d.RetryAfter = t.rule.Name, a.Retry
		}
		q := Quota{Name: t.rule.Name, Remaining: a.Remaining, Reset: a.Reset}
		q.Limit, q.Window = m.whole()
		if allowed {
			d.Wait = max(d.Wait, a.Wait)
		} else if a.Retry == 0 {
			q.Remaining++ // this call did not count
		}
		d.Quotas = append(d.Quotas, q)
	}
	return d
}
