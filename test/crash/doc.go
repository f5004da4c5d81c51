// Package crash kills, starves and unplugs the real binary and asks whether it kept its word.
//
// It knows Penstock only from outside: the command line, HTTP and the exports. Buyers log every call before it is sent and
// after it is answered; the verdict comes from their log and the export, and then from penstock check. What a case needs and
// the machine lacks (strace, mounting as root) makes it say so and skip; with CI=true, strace may not be missing.
//
// Every case prints its seed; set CRASH_SEED to repeat one. Moments are counted in answers, not in time, where that is
// possible.
package crash
