package limit

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

// A list of rules is as long as it may be written, and the quotas of apps, of which there are two, have room beside it: an operator
// who gives an app a quota must not make the policy unusable. All of them are taken together.
func TestRoomForQuotas(t *testing.T) {
	t.Parallel()
	var rules []Rule
	for i := range 18 {
		rules = append(rules, Rule{Name: "r" + strconv.Itoa(i), Rate: Rate{Calls: 2 + i/17, Per: time.Minute}})
	}
	if err := Validate(rules[:16]); err != nil {
		t.Error(err)
	}
	if err := Validate(rules[:17]); err == nil || !strings.Contains(err.Error(), "at most 16") {
		t.Errorf("17 rules: %v", err)
	}
	if _, err := NewSet(append(rules, Rule{Name: "more", Rate: Rate{Calls: 1, Per: time.Minute}}), SetOptions{}); err == nil {
		t.Error("a set of 19 rules")
	}
	s, err := NewSet(rules, SetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if d := s.Take(t.Context(), Subject{}); d.Allowed != (i < 2) || len(d.Quotas) != 18 {
			t.Errorf("call %d: %+v", i, d)
		}
	}
}
