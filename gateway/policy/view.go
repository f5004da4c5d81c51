package policy

import (
	"penstock/breaker"
	"penstock/gateway"
	"penstock/limit"
	"penstock/shed"
)

// PolicyView is the policy in use as operators see it: what the file and the defaults make together.
type PolicyView struct {
	Status
	Limits   []limit.Rule           `json:"limits"`
	Routes   []RouteView            `json:"routes"`
	Breakers map[string]BreakerView `json:"breakers"`
	Shedding *SheddingView          `json:"shedding,omitempty"`
}

// RouteView is how one route passes the chain.
type RouteView struct {
	Route   string   `json:"route"`
	Access  string   `json:"access"`
	Off     []string `json:"off"`
	Class   string   `json:"class"`
	APIs    []string `json:"apis"`
	Limits  []string `json:"limits"`
	Breaker string   `json:"breaker,omitempty"`
	MaxBody int64    `json:"maxBody,omitempty"`
	Allow   []string `json:"allow"`
	Deny    []string `json:"deny"`
}

// BreakerView is a breaker with its settings.
type BreakerView struct {
	Breaker
	State  breaker.State `json:"state"`
	Forced bool          `json:"forced"`
}

// SheddingView is the shedder with its settings; counts are by class, since the settings were changed last.
type SheddingView struct {
	Shedding
	Limit   int64             `json:"limit"`
	Running int64             `json:"running"`
	Queued  int64             `json:"queued"`
	Passed  map[string]uint64 `json:"passed"`
	Refused map[string]uint64 `json:"refused"`
}

// View returns the policy in use.
func (l *Live) View() PolicyView {
	l.mu.Lock()
	b, status := l.now, l.status
	l.mu.Unlock()
	v := PolicyView{Status: status, Limits: append([]limit.Rule{}, b.rules...), Breakers: map[string]BreakerView{}, Routes: []RouteView{}}
	for _, name := range sorted(b.routes) {
		v.Routes = append(v.Routes, b.view(name))
	}
	for name, br := range b.breakers {
		v.Breakers[name] = BreakerView{Breaker: b.file.Breakers[name], State: br.State(), Forced: br.Forced()}
	}
	v.Shedding = sheddingView(b.shedding, b.shedder.State())
	return v
}

func sheddingView(s Shedding, now shed.State) *SheddingView {
	v := &SheddingView{Shedding: s, Limit: now.Limit, Running: now.Running, Queued: now.Waiting, Passed: map[string]uint64{}, Refused: map[string]uint64{}}
	for class, n := range now.Passed {
		v.Passed[class.String()] = n
	}
	for class, n := range now.Refused {
		v.Refused[class.String()] = n
	}
	return v
}

func (b *built) view(route string) RouteView {
	r := b.policy.Rule(route)
	v := RouteView{Route: route, Access: b.routes[route].String(), Off: []string{}, Class: r.Class.String(), APIs: append([]string{}, r.APIs...),
		Limits: []string{}, MaxBody: r.MaxBody, Allow: r.Allow.Networks(), Deny: r.Deny.Networks()}
	for _, name := range gateway.StageNames() {
		if stage, _ := gateway.ParseStage(name); r.Off.Has(stage) {
			v.Off = append(v.Off, name)
		}
	}
	for _, rule := range b.rules {
		if b.applies(rule, route) {
			v.Limits = append(v.Limits, rule.Name)
		}
	}
	for name, br := range b.breakers {
		if gateway.Breaker(br) == r.Breaker {
			v.Breaker = name
		}
	}
	return v
}
