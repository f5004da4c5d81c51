package gateway

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"penstock/breaker"
	"penstock/internal/clock"
	"penstock/limit"
	"penstock/shed"
	"penstock/stock"
)

// allStages is a policy in which every stage has something to do for attempts, as it is made from a file.
func allStages(b *testing.B) *Policy {
	b.Helper()
	set := func(rules ...limit.Rule) *limit.Set {
		s, err := limit.NewSet(rules, limit.SetOptions{})
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
	shedder, err := shed.New(shed.Options{})
	if err != nil {
		b.Fatal(err)
	}
	circuit, err := breaker.New(breaker.Options{})
	if err != nil {
		b.Fatal(err)
	}
	most := limit.Rate{Calls: limit.MaxCalls, Per: time.Second}
	r := Rule{
		Deny:    NewAddresses([]netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("198.51.100.0/24")}),
		Address: set(limit.Rule{Name: "ip", By: []limit.Dimension{limit.ByIP}, Rate: most}),
		Limits:  set(limit.Rule{Name: "user", By: []limit.Dimension{limit.ByUser}, Rate: most}, limit.Rule{Name: "api", By: []limit.Dimension{limit.ByAPI}, Rate: most}),
		APIs:    []string{"orders.write"}, Class: shed.Attempting, Shedder: shedder, Breaker: circuit,
	}
	return &Policy{Rule: func(string) Rule { return r }}
}

// noStages is one in which nothing is left on but the token.
func noStages() *Policy {
	return &Policy{Rule: func(string) Rule {
		return Rule{Off: StageTrace | StageBody | StageAddress | StageLists | StageIPLimit | StageApp | StageValidation | StageLimits | StageShedding | StageBreaker | StageLog}
	}}
}

// BenchmarkStages is what an attempt costs without a connection, with every stage and with none that can be off. The room answers
// at once. make bench has the two over connections (part chain).
func BenchmarkStages(b *testing.B) {
	for name, policy := range map[string]*Policy{"all": allStages(b), "token": noStages()} {
		b.Run(name, func(b *testing.B) {
			s := setup(b, Options{Attempts: instant{won(stock.Request{Sale: "flash", User: "ann", Key: "k1"})}}, nil)
			s.g.o.Observer, s.g.o.Clock = nobody{}, ticking{s.clock, time.Now()}
			if err := s.g.Use(policy); err != nil {
				b.Fatal(err)
			}
			body := strings.NewReader(oneItem)
			r := httptest.NewRequest("POST", "/v1/sales/flash/attempts", body)
			r.Header.Set("Authorization", "Bearer "+s.pass)
			r.Header.Set("Idempotency-Key", `"k1"`)
			w := &sink{header: http.Header{}}
			b.ReportAllocs()
			before := processor(b)
			for b.Loop() {
				body.Reset(oneItem)
				clear(w.header)
				s.g.ServeHTTP(w, r)
			}
			b.ReportMetric(float64(processor(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

// ticking costs what the real clock costs and stands where the passes are good.
type ticking struct {
	*clock.Fake
	begun time.Time
}

// Now returns the time of the tests.
func (t ticking) Now() time.Time { return start.Add(time.Since(t.begun)) }
