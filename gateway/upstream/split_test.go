package upstream

import (
	"fmt"
	"math"
	"testing"
)

// sides returns how many of the users each side has, and who has which.
func sides(b *bench, n int) (counts map[string]int, who []string) {
	counts = map[string]int{}
	r := b.now().routeFor("/x")
	for i := range n {
		name := r.side(Caller{User: fmt.Sprintf("user-%d", i)}).name
		counts[name]++
		who = append(who, name)
	}
	return counts, who
}

func (s *Set) routeFor(pattern string) *route { return s.routes[pattern] }

// Users fall to the sides by their weights (chi-square, 1 degree of freedom, at 0.1 %), stay where they are, also over other
// routes and in other processes, and only as many move as a change of weights asks for.
func TestSplitsAreFairAndSticky(t *testing.T) {
	t.Parallel()
	const n = 20_000
	text := func(canary int) string {
		return fmt.Sprintf(`
upstreams: {stable: {targets: ["http://a"]}, canary: {targets: ["http://b"]}}
routes:
  - {match: "/x", split: [{upstream: stable, weight: %d}, {upstream: canary, weight: %d}]}
  - {match: "/y", split: [{upstream: stable, weight: %d}, {upstream: canary, weight: %d}]}
`, 100-canary, canary, 100-canary, canary)
	}
	for _, canary := range []int{1, 5, 30, 50} {
		b := setup(t, text(canary))
		counts, first := sides(b, n)
		want := float64(n*canary) / 100
		off := float64(counts["canary"]) - want
		chi := off*off/want + off*off/(n-want)
		t.Logf("canary %d %%: %d of %d, chi-square %.2f", canary, counts["canary"], n, chi)
		if chi > 10.83 {
			t.Errorf("canary %d %%: %d of %d", canary, counts["canary"], n)
		}
		b.use(text(canary))
		if _, again := sides(b, n); fmt.Sprint(again) != fmt.Sprint(first) {
			t.Error("users moved though the weights did not")
		}
		y := b.now().routeFor("/y")
		for i := range n {
			if y.side(Caller{User: fmt.Sprintf("user-%d", i)}).name != first[i] {
				t.Fatal("a user is on another side of another route")
			}
		}
		b.use(text(canary + 1))
		_, after := sides(b, n)
		moved := 0
		for i := range after {
			if after[i] != first[i] {
				moved++
			}
		}
		if math.Abs(float64(moved)-n/100) > n/200 {
			t.Errorf("%d of %d users moved for one percent", moved, n)
		}
	}
}
