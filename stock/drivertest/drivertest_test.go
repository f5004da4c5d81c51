package drivertest

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// A correct driver passes the whole suite.
func TestCorrectDriverPasses(t *testing.T) { Run(t, memHarness("")) }

// recorder is a test that may fail without failing the test around it.
type recorder struct {
	testing.TB
	mu     sync.Mutex
	failed bool
	said   []string
}

func (r *recorder) record(fatal bool, text string) {
	r.mu.Lock()
	r.failed = true
	r.said = append(r.said, text)
	r.mu.Unlock()
	if fatal {
		runtime.Goexit()
	}
}

func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (r *recorder) Fail()                     { r.record(false, "fail") }
func (r *recorder) FailNow()                  { r.record(true, "fail now") }
func (r *recorder) Error(args ...any)         { r.record(false, fmt.Sprintln(args...)) }
func (r *recorder) Fatal(args ...any)         { r.record(true, fmt.Sprintln(args...)) }
func (r *recorder) Errorf(f string, a ...any) { r.record(false, fmt.Sprintf(f, a...)) }
func (r *recorder) Fatalf(f string, a ...any) { r.record(true, fmt.Sprintf(f, a...)) }
func (r *recorder) Logf(string, ...any)       {}
func (r *recorder) Log(...any)                {}

// fails runs a case and reports whether it failed.
func fails(t *testing.T, c Case, h Harness) bool {
	t.Helper()
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Check(r, h)
	}()
	<-done
	if r.failed {
		t.Logf("%s: %.300s", c.Name, strings.Join(r.said, "\n"))
	}
	return r.failed
}

func caseNamed(t *testing.T, cases []Case, name string) Case {
	t.Helper()
	for _, c := range cases {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("there is no case %q", name)
	return Case{}
}

// Each mistake a driver can make fails the case that is about it.
func TestDriverCasesCatchMistakes(t *testing.T) {
	t.Parallel()
	for mistake, name := range map[string]string{
		"keys fold case":                      "keys compare as bytes",
		"users lose trailing space":           "users compare as bytes",
		"key parts run together":              "parts of a key do not run together",
		"reads lose their duplicates":         "state answers reads index by index",
		"an ended context is ignored":         "a cancelled call writes nothing",
		"nil still takes a number":            "nil writes nothing",
		"stock versions are not checked":      "a broken guard writes nothing",
		"stock may go below zero":             "a broken guard writes nothing",
		"units are not counted":               "a broken guard writes nothing",
		"sale versions are not checked":       "a broken guard writes nothing",
		"a key may come twice in a batch":     "a broken guard writes nothing",
		"a pass may be used twice":            "a broken guard writes nothing",
		"passes are forgotten":                "a pass is used once",
		"moves are not checked":               "a broken guard writes nothing",
		"decisions run side by side":          "decisions run one at a time",
		"times lose their milliseconds":       "rows come back as written",
		"refusals use up allowances":          "rows come back as written",
		"a refusal is a claim":                "rows come back as written",
		"release keeps the allowance":         "moves change claim and allowance",
		"refund keeps the allowance":          "moves change claim and allowance",
		"due is late by one":                  "due lists held claims earliest first",
		"due goes by id":                      "due lists held claims earliest first",
		"due lists sold claims":               "due lists held claims earliest first",
		"unsent goes by id":                   "unsent lists the user's wins in order",
		"sent goes back":                      "unsent ends where the bus was acknowledged",
		"sent is one too far":                 "unsent ends where the bus was acknowledged",
		"the last id forgets refusals":        "the snapshot knows the highest id",
		"unsent lists refusals":               "unsent lists the user's wins in order",
		"an entry takes one number":           "the journal numbers every line",
		"the caller's attempt gets no number": "the journal numbers every line",
		"offers leave no key":                 "an offer's key is known",
		"acts are forgotten":                  "an act is found by its id",
		"acts may come twice":                 "a broken guard writes nothing",
		"pages overlap":                       "journal pages never lose or repeat",
		"a snapshot is two moments":           "a snapshot is one moment",
		"audit pages are off by one":          "the audit trail keeps its order",
		"reads wait for the writer":           "reads do not wait for the writer",
		"opening forgets allowances":          "everything survives reopening",
		"a crash loses the last entry":        "everything survives a crash",
		"a lost reply forgets keys":           "an unknown commit settles to one outcome",
		"close stops nothing":                 "close is idempotent and final",
		"positions count who has left":        "a waiting list is walked in order",
		"a join forgets its key":              "a waiting list is walked in order",
		"who has left still waits":            "a waiting list is walked in order",
		"the last comes first":                "a waiting list is walked in order",
		"lists of all skus are one":           "a waiting list is walked in order",
		"a big wish stops the list":           "a waiting list is walked in order",
		"the list does not know allowances":   "a waiting list is walked in order",
		"who waits is not counted":            "a broken list writes nothing",
		"an entry may be settled twice":       "a broken list writes nothing",
		"offers leave the entry waiting":      "a list's journal tells what happened",
	} {
		t.Run(mistake, func(t *testing.T) {
			t.Parallel()
			if !fails(t, caseNamed(t, DriverCases(), name), memHarness(mistake)) {
				t.Errorf("the case %q does not notice that %s", name, mistake)
			}
		})
	}
}

// TestMain tells rapid not to keep or shorten the failures that planted mistakes cause, and to look longer than it
// does by itself: with its 20 short runs of -short it missed a planted oversell two times in five.
func TestMain(m *testing.M) {
	flag.Parse()
	settings := map[string]string{"rapid.nofailfile": "true", "rapid.shrinktime": "0s", "rapid.checks": "200"}
	if testing.Short() { // where rapid takes a fifth of the checks and half the steps
		settings["rapid.checks"], settings["rapid.steps"] = "1000", "60"
	}
	for name, value := range settings {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
