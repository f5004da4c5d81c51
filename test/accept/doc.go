// Package accept buys, pays, returns and breaks things through the public surface alone: the command line, HTTP and the data
// directory.
//
// It starts the real binary, built once. Cases that need nothing of their own share one server with the quotas off, each with
// its own sale and its own buyers, so that they run side by side; a case that kills, limits or configures starts its own.
// Moments are awaited by asking until the answer is there. Random cases print their seed; set ACCEPT_SEED to repeat one.
package accept
