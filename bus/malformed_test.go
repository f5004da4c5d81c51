package bus

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"penstock/bus/driver"
)

// A message that the engine calls malformed dies at once and is shown to no handler; the others of its wave get their own answers.
func TestMalformedDiesUnseen(t *testing.T) {
	h := &recorder{verdict: func(m driver.Message) error {
		if m.User == "bob" {
			return errors.New("not now")
		}
		return nil
	}}
	r := setup(t, Options{MaxRetries: -1}, h.handle)
	bad := message("", 1)
	bad.Headers = map[string]string{driver.HeaderMalformed: "it has no value"}
	r.log.Append(bad, message("ann", 1), message("bob", 1), message("cid", 1))
	r.drain()
	if d := cmp.Diff([]string{"ann-1", "bob-1", "cid-1"}, h.calls[0]); d != "" {
		t.Errorf("what the handler saw (-want +got):\n%s", d)
	}
	reasons := map[string]string{}
	for _, l := range r.letters() {
		reasons[l.Message.ID] = l.Reason
	}
	want := map[string]string{"-1": "poison: poison message: malformed: it has no value", "bob-1": "retries-exhausted: not now"}
	if d := cmp.Diff(want, reasons); d != "" {
		t.Errorf("dead letters (-want +got):\n%s", d)
	}
}

// A handler that answers wrongly beside a malformed message fails its own messages only, even when the count fits by chance.
func TestWrongNumberOfAnswersBesideMalformed(t *testing.T) {
	bad := message("", 1)
	bad.Headers = map[string]string{driver.HeaderMalformed: "no"}
	h := wellFormed(func(context.Context, []driver.Message) []error { return make([]error, 3) })
	for i, err := range h(t.Context(), []driver.Message{message("ann", 1), bad, message("bob", 1)}) {
		if err == nil || errors.Is(err, ErrPoison) != (i == 1) {
			t.Errorf("message %d: %v", i, err)
		}
	}
}
