package line

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"penstock/stock/driver"
)

const fairSeed = 20261111

// arrival is a call that reaches the shop at a moment.
type arrival struct {
	at   time.Duration
	user string
}

// crowd is 600 users, 97 of 100 scripted: those call over 20 connections, ten times each, 5 ms away; people once, 300 ms away. Half of
// the scripted calls are of one account. Everybody decides to come at a moment of his own within the window.
func crowd(rng *rand.Rand, window time.Duration) (calls []arrival, people map[string]bool) {
	people = map[string]bool{}
	for i := range 600 {
		user, scripted := name(i), i >= 18
		people[user] = !scripted
		decides := time.Duration(rng.Int64N(int64(window)))
		if !scripted {
			calls = append(calls, arrival{decides + 300*time.Millisecond, user})
			continue
		}
		for range 10 {
			calls = append(calls, arrival{decides + 5*time.Millisecond + time.Duration(rng.Int64N(int64(time.Second))), user}, arrival{decides + 5*time.Millisecond, "hoarder"})
		}
	}
	slices.SortStableFunc(calls, func(a, b arrival) int { return int(a.at - b.at) })
	return calls, people
}

// chi is the chi-square of counts against their expectations.
func chi(got, want []float64) (x float64) {
	for i := range got {
		x += math.Pow(got[i]-want[i], 2) / want[i]
	}
	return x
}

// kendall is Kendall's tau of two orders of the same things, given as the places in one by the order of the other.
func kendall(places []int) float64 {
	concordant := 0
	for i := range places {
		for j := i + 1; j < len(places); j++ {
			if places[i] < places[j] {
				concordant++
			} else {
				concordant--
			}
		}
	}
	return float64(concordant) / (float64(len(places)) * float64(len(places)-1) / 2)
}

// In a draw, neither being close nor calling often nor being scripted gains: over ten draws the share of people among those who are
// drawn in front is their share of the accounts (chi-square), the account with half of all calls is there as often as anybody, and the
// order of arrival says nothing about the order drawn (Kendall's tau).
func TestDrawIsFair(t *testing.T) {
	t.Parallel()
	t.Logf("seed %d", fairSeed)
	rng := rand.New(rand.NewPCG(fairSeed, 1))
	const draws, front = 10, 100
	var inFront, peopleInFront, hoarder, tau float64
	for n := range draws {
		w := setupWith(t, onSQLite(), Options{Random: rand.NewChaCha8([32]byte{byte(n), 7})}, newShop(front, driver.AdmitDraw, &driver.LineRules{Reach: 100, AwaySeconds: 7200, PublicSource: "test"}))
		calls, people := crowd(rng, time.Hour-2*time.Second)
		ids := map[string]ID{}
		var arrived []string
		for _, c := range calls {
			if _, again := ids[c.user]; !again { // who has an entry gets it again: TestOnSQLite/joining
				ids[c.user] = w.joins(w.Lines, c.user).ID
				arrived = append(arrived, c.user)
			}
		}
		w.clk.Advance(time.Hour)
		if err := w.round(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.rounds(w.Lines, 20)
		if err := w.Give(t.Context(), "s", fmt.Sprint("value ", n)); err != nil {
			t.Fatal(err)
		}
		places := make([]int, len(arrived))
		for i, user := range arrived {
			places[i] = w.looks(w.Lines, user, ids[user]).Drawn
			if places[i] > front {
				continue
			}
			inFront++
			if people[user] {
				peopleInFront++
			}
			if user == "hoarder" {
				hoarder++
			}
		}
		tau += kendall(places) / draws
	}
	want := inFront * 18 / 601
	x := chi([]float64{peopleInFront, inFront - peopleInFront}, []float64{want, inFront - want})
	t.Logf("people: %.0f of %.0f in front, expected %.1f, chi-square %.2f; the account with half of the calls: %.0f of %d, expected %.1f; mean tau %.4f",
		peopleInFront, inFront, want, x, hoarder, draws, inFront/601, tau)
	if x > 10.83 { // exceeded by chance once in a thousand, one degree of freedom
		t.Errorf("the share of people is not their share of accounts: chi-square %.2f", x)
	}
	if hoarder > 6 { // 1.7 expected; more than 6 of 10 happen once in ten thousand
		t.Errorf("many calls gained: in front in %.0f of %d draws", hoarder, draws)
	}
	// One tau of 601 has a standard deviation of 0.027; the mean of ten 0.009.
	if math.Abs(tau) > 0.03 {
		t.Errorf("coming early gains: mean tau %.4f", tau)
	}
}

// In a line, the order of calls is the order in which calls reached the shop (Kendall's tau 1), whatever came in between: joining ten
// times gains nothing, and looking every 5 ms gains nothing over looking every 300 ms.
func TestLineIsFair(t *testing.T) {
	t.Parallel()
	t.Logf("seed %d", fairSeed)
	rng := rand.New(rand.NewPCG(fairSeed, 2))
	w := setup(t, onSQLite(), newShop(10_000, driver.AdmitLine, &driver.LineRules{RatePerSecond: 100, AwaySeconds: 7200}))
	calls, people := crowd(rng, time.Minute)
	ids, first := map[string]ID{}, []string{}
	for _, c := range calls {
		e := w.joins(w.Lines, c.user)
		if before, again := ids[c.user]; !again {
			ids[c.user] = e.ID
			first = append(first, c.user)
		} else if before != e.ID {
			t.Fatalf("%s gained a second entry", c.user)
		}
	}
	w.clk.Advance(time.Hour)
	admitted := map[string]time.Duration{}
	begun := w.clk.Now()
	for step := 0; len(admitted) < len(first) && step < 2000; step++ {
		w.clk.Advance(5 * time.Millisecond)
		if step%20 == 0 {
			if err := w.round(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for user, id := range ids {
			if _, done := admitted[user]; done || people[user] && step%60 != 0 {
				continue
			}
			if w.looks(w.Lines, user, id).State == "admitted" {
				admitted[user] = w.clk.Now().Sub(begun)
			}
		}
	}
	b := w.line("s", "lamp")
	places := make([]int, len(first))
	slowest := time.Duration(0)
	for i, user := range first {
		places[i] = int(ids[user].Seq)
		if people[user] {
			expected := time.Duration(float64(i) / 100 * float64(time.Second))
			slowest = max(slowest, admitted[user]-expected)
		}
	}
	tau := kendall(places)
	t.Logf("%d of %d admitted, tau %.4f, people at most %v behind their turn", len(admitted), len(first), tau, slowest)
	if tau != 1 || len(admitted) != len(first) || b.count[waiting] != 0 {
		t.Errorf("tau %.4f, %d of %d admitted", tau, len(admitted), len(first))
	}
	if slowest > time.Second { // a round, the burst at the start, and 300 ms between two looks
		t.Errorf("looking seldom cost %v", slowest)
	}
	w.fair(w.Lines)
}
