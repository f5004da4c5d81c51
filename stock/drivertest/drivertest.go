// Package drivertest is the contract of the stock port in executable form.
//
// It promises that a driver passing [Run] decides and remembers exactly as package stock and package driver say, on its own
// and under package stock: rules, replay, conservation of units, limits, paging, reads beside a writer, reopening, crash and
// unknown commits. It does not measure speed and does not know any engine. Nothing here looks inside a driver.
//
// Every case is a plain function of a [testing.TB] and a [Harness], without sub-tests, so that the suite's own tests can run
// it against drivers with planted mistakes and see it fail. Cases open databases of their own and may run in parallel.
package drivertest

import (
	"testing"

	"penstock/internal/clock"
	"penstock/internal/fault"
	"penstock/stock/driver"
)

// Harness opens the databases of one engine. Its functions end the test on failure and close what they opened in its cleanup.
type Harness struct {
	// Open opens a fresh, empty database.
	Open func(t testing.TB, clk clock.Clock, f *fault.Points) driver.Driver
	// Reopen opens the data of old again; old was closed before.
	Reopen func(t testing.TB, old driver.Driver, clk clock.Clock, f *fault.Points) driver.Driver
	// Crash opens what the next process would find had this one died now. Old is idle and is abandoned without Close. Nil
	// means that the harness cannot do it.
	Crash func(t testing.TB, old driver.Driver, clk clock.Clock, f *fault.Points) driver.Driver
	// Tidy does now what the driver does now and then to closed sales. Nil means that there is no such thing.
	Tidy func(t testing.TB, drv driver.Driver)
	// FaultCommits names the fault points at which an error makes Decide return driver.ErrUnknown, whether or not the commit
	// happened. None means that the driver has no such point.
	FaultCommits []string

	// wrap lets the suite's own tests plant mistakes above the driver.
	wrap func(port) port
}

// Case is one property. Check reports through t only.
type Case struct {
	Name  string
	Check func(t testing.TB, h Harness)
}

// tidying is the case for drivers that tidy.
const tidying = "tidying closed sales changes no answer"

// Run checks every property on one engine, in parallel.
func Run(t *testing.T, h Harness) {
	groups := []struct {
		name  string
		cases []Case
	}{
		{"driver", DriverCases()},
		{"port", PortCases()},
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			for _, c := range g.cases {
				if c.Name == tidying && h.Tidy == nil {
					continue // there is no such thing here
				}
				t.Run(c.Name, func(t *testing.T) {
					t.Parallel()
					c.Check(t, h)
				})
			}
		})
	}
}

// DriverCases are the properties of driver.Driver alone.
func DriverCases() []Case {
	return []Case{
		{"a fresh database is empty", freshIsEmpty},
		{"state answers reads index by index", stateAlignsWithReads},
		{"a decision sees the one before", decisionSeesTheOneBefore},
		{"rows come back as written", rowsComeBackAsWritten},
		{"nil writes nothing", nilWritesNothing},
		{"a cancelled call writes nothing", cancelledWritesNothing},
		{"a broken guard writes nothing", brokenGuardWritesNothing},
		{"decisions run one at a time", decisionsRunOneAtATime},
		{"keys compare as bytes", keysCompareAsBytes},
		{"users compare as bytes", usersCompareAsBytes},
		{"sales and skus compare as bytes", salesAndSKUsCompareAsBytes},
		{"parts of a key do not run together", keyPartsDoNotRunTogether},
		{"a pass is used once", passIsUsedOnce},
		{"moves change claim and allowance", movesChangeClaimAndAllowance},
		{"due lists held claims earliest first", dueListsEarliestFirst},
		{"unsent lists the user's wins in order", unsentListsWinsInOrder},
		{"unsent ends where the bus was acknowledged", unsentEndsWhereAcknowledged},
		{"the snapshot knows the highest id", snapshotKnowsHighestID},
		{"an offer's key is known", offerKeyIsKnown},
		{"the journal numbers every line", journalNumbersEveryLine},
		{"the journal tells what happened", journalTellsWhatHappened},
		{"journal pages never lose or repeat", journalPagesNeverLoseOrRepeat},
		{"a journal reader beside writers misses nothing", journalReaderMissesNothing},
		{"a snapshot is one moment", snapshotIsOneMoment},
		{"the audit trail keeps its order", auditKeepsItsOrder},
		{"an act is found by its id", actIsFoundByID},
		{"reads do not wait for the writer", readsDoNotWait},
		{"everything survives reopening", everythingSurvivesReopening},
		{"everything survives a crash", everythingSurvivesACrash},
		{"an unknown commit settles to one outcome", unknownCommitSettles},
		{tidying, tidyingChangesNoAnswer},
		{"a waiting list is walked in order", listIsWalkedInOrder},
		{"a broken list writes nothing", brokenListWritesNothing},
		{"a list's journal tells what happened", listJournalTells},
		{"close is idempotent and final", closeIsIdempotentAndFinal},
	}
}
