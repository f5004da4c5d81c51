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

// Day is the longer period of quotas.
const Day = 24 * time.Hour
