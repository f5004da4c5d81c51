package partner

import (
	"time"

	"penstock/limit"
)

// Quota returns the most calls that the app may make in a minute or in a day, as far as it has a number of its own. The zero Rate
// leaves it to the rule for all apps.
func (a *Apps) Quota(app string, per time.Duration) limit.Rate {
	r := a.snap.Load().apps[app]
	switch {
	case r == nil:
	case per == time.Minute && r.PerMinute > 0:
		return limit.Rate{Calls: r.PerMinute, Per: per}
	case per == Day && r.PerDay > 0:
		return limit.Rate{Calls: r.PerDay, Per: per}
	}
	return limit.Rate{}
}

// Quotas are the numbers of their own of all apps as rules: one by the minute, one by the day, each if an app has one.
func (a *Apps) Quotas() []limit.Rule {
	var all []limit.Rule
	for _, q := range []struct {
		name string
		per  time.Duration
	}{{"app-quota-minute", time.Minute}, {"app-quota-day", Day}} {
		own := map[string]limit.Rate{}
		for id := range a.snap.Load().apps {
			if rate := a.Quota(id, q.per); !rate.Off() {
				own[id] = rate
			}
		}
		if len(own) > 0 {
			all = append(all, limit.Rule{Name: q.name, By: []limit.Dimension{limit.ByApp}, Overrides: own})
		}
	}
	return all
}

// Day is the longer period of quotas.
const Day = 24 * time.Hour
