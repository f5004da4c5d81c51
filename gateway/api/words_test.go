package api

import "testing"

// What the schema refuses is told in the words of the API: no layouts of times, no exponents.
func TestSchemaIsToldInOurWords(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		"expected number <= 2.592e+06":                                     "expected number <= 2592000",
		"invalid date/time for format 2006-01-02T15:04:05.999999999Z07:00": "must be a time such as 2026-11-11T20:00:00Z",
		"expected length >= 1":                                             "expected length >= 1",
	} {
		if got := inOurWords(message); got != want {
			t.Errorf("%q is told as %q, want %q", message, got, want)
		}
	}
}
