// Package fault names the points where tests make things go wrong.
//
// Production code calls [Points.Hit] at each point; without a plan that is one nil check. A plan is set per instance, never
// globally, so that two Penstocks in one process can fail differently.
package fault

import "sync"

// Points is a set of named fault points. A nil *Points never fails.
type Points struct {
	mu    sync.Mutex
	plans map[string]func(hit int) error
	hits  map[string]int
}

// Set plans what happens at the named point: f gets the number of the hit, counted from 1, and returns the error to inject
// or nil. A nil f removes the plan.
func (p *Points) Set(name string, f func(hit int) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.plans == nil {
		p.plans, p.hits = map[string]func(int) error{}, map[string]int{}
	}
	p.hits[name] = 0
	if f == nil {
		delete(p.plans, name)
		return
	}
	p.plans[name] = f
}

// Hit returns the error planned for this passage of the named point, or nil.
func (p *Points) Hit(name string) error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	f := p.plans[name]
	if f == nil {
		p.mu.Unlock()
		return nil
	}
	p.hits[name]++
	n := p.hits[name]
	p.mu.Unlock()
	return f(n)
}
