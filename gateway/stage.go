package gateway

import "strings"

// Stage names a step of the chain that a policy may switch off for a route.
type Stage uint16

// Stages, in the order in which a call passes them. The log is written last, so it stands around all of them.
const (
	StageTrace Stage = 1 << iota
	StageBody
	StageAddress
	StageLists
	StageIPLimit
	StageToken
	StageApp
	StageValidation
	StageLimits
	StageShedding
	StageBreaker
	StageLog
)

var stageNames = [...]string{"trace", "body", "address", "lists", "ipLimit", "token", "app", "validation", "limits", "shedding", "breaker", "log"}

// StageNames returns the names of all stages in their order, as policies write them.
func StageNames() []string { return append([]string(nil), stageNames[:]...) }

// ParseStage returns the stage of a name.
func ParseStage(name string) (Stage, bool) {
	for i, n := range stageNames {
		if n == name {
			return 1 << i, true
		}
	}
	return 0, false
}

// Has reports whether s includes each stage of other.
func (s Stage) Has(other Stage) bool { return s&other == other }

// String returns the names that s includes.
func (s Stage) String() string {
	var all []string
	for i, n := range stageNames {
		if s.Has(1 << i) {
			all = append(all, n)
		}
	}
	return strings.Join(all, ",")
}

// stage is one step of the chain. It has either check, which refuses a call or lets it pass, or around, which sees the answer too.
type stage struct {
	name Stage // 0 cannot be switched off
	// on reports whether the stage has anything to do on a route; where it has not, it is no part of the route's chain.
	on     func(*plan) bool
	check  func(*Call) error
	around func(next Handler) Handler
	// say tells an operator what the stage would do to a call, and refuses as check would, without counting and without
	// executing; nil means that check itself does no more than that.
	say func(*Call) (string, error)
}

func always(*plan) bool { return true }

// wrap puts the stage in front of next.
func (s stage) wrap(next Handler) Handler {
	if s.around != nil {
		return s.around(next)
	}
	check := s.check
	return func(c *Call) {
		if err := check(c); err != nil {
			c.Fail(err)
			return
		}
		next(c)
	}
}
