package webhook

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"penstock/errs"
)

func known(o *Options) {
	o.Types = map[string][]string{"stock": {"stock.held", "stock.sold"}, "orders": {"order.paid"}}
}

// An endpoint may ask for types that there are, for a prefix of one and for all; the refusal of anything else names the legal ones.
// A change is held to the same.
func testTypes(t *testing.T, e engine) {
	w := begin(t, e, known)
	r := newReceiver(t, w.clk)
	for _, good := range []string{"stock.held", "stock.*", "order.*", "order.paid", "*"} {
		if _, _, err := w.Create(t.Context(), "op", Definition{URL: r.URL, Events: []string{good}}); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	refused := func(what string, err error) {
		t.Helper()
		bad, ok := errors.AsType[*errs.Error](err)
		if !ok || bad.Code != errs.Invalid || len(bad.Fields) != 1 || bad.Fields[0].Pointer != "/events/1" ||
			!strings.Contains(bad.Fields[0].Detail, "order.paid, stock.held, stock.sold") {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, bad := range []string{"stock.lost", "orders.*", "stock", "payment.*"} {
		_, _, err := w.Create(t.Context(), "op", Definition{URL: r.URL, Events: []string{"*", bad}})
		refused(bad, err)
	}
	ep := w.endpoint(r)
	_, err := w.Change(t.Context(), "op", ep.ID, "why", Change{Events: []string{"*", "order.lost"}})
	refused("a change", err)
}

// A topic is wanted while some endpoint asks for one of its types, be it disabled; an endpoint gets nothing of the time before it
// was created, and all after it.
func testWanted(t *testing.T, e engine) {
	w := begin(t, e, known)
	wanted := func(topic string, want bool) {
		t.Helper()
		if got, err := w.Wanted(t.Context(), topic); got != want || err != nil {
			t.Errorf("%s is wanted: %v, %v", topic, got, err)
		}
	}
	wanted("stock", false)
	wanted("orders", false)
	r := newReceiver(t, w.clk)
	w.clk.Advance(time.Minute)
	ep := w.endpoint(r, "stock.*")
	wanted("stock", true)
	wanted("orders", false)
	before, after := message(1, "ann", "stock.held"), message(2, "ann", "stock.held")
	after.At = w.clk.Now()
	w.say(before, message(3, "ann", "order.paid"), after)
	w.until(soon, "the later one is delivered", func() bool { return w.states(ep.ID)[Delivered] == 1 })
	if all := r.got(); len(all) != 1 || all[0].event.Subject != after.Key {
		t.Errorf("got %+v", all)
	}
	if _, err := w.Disable(t.Context(), "op", ep.ID, "holidays"); err != nil {
		t.Fatal(err)
	}
	wanted("stock", true)
	if err := w.Delete(t.Context(), "op", ep.ID, "gone"); err != nil {
		t.Fatal(err)
	}
	wanted("stock", false)
}

// The trail tells that an endpoint ends, once, before it does: while the trail cannot be written the endpoint stays and the delivery
// is made again. Several deliveries in flight that are all told to go end it once.
func testEnding(t *testing.T, e engine) {
	var refuse bool
	var w *world
	w = begin(t, e, func(o *Options) {
		record := o.Audit
		o.Audit = func(ctx context.Context, a Act) error {
			w.mu.Lock()
			no := refuse && a.Act == "webhook.disabled"
			w.mu.Unlock()
			if no {
				return errs.New(errs.ReducedCapacity, "the trail cannot be written")
			}
			return record(ctx, a)
		}
	})
	r := newReceiver(t, w.clk)
	ep := w.endpoint(r)
	r.set(func(rw http.ResponseWriter, _ got, _ int) { rw.WriteHeader(http.StatusGone) })
	w.mu.Lock()
	refuse = true
	w.mu.Unlock()
	w.say(message(1, "ann", "stock.held"), message(2, "bob", "stock.held"), message(3, "cem", "stock.held"))
	w.until(soon, "it was tried again and again", func() bool { return len(r.got()) > 6 })
	if ep := w.get(ep.ID); !ep.Enabled || ep.Health() == Disabled || w.told() != 0 {
		t.Errorf("disabled without a word in the trail: %+v", ep)
	}
	w.mu.Lock()
	refuse = false
	w.mu.Unlock()
	w.until(soon, "it is disabled", func() bool { now := w.get(ep.ID); return now.Health() == Disabled && w.told() > 0 })
	w.stopped(ep.ID)
	w.mu.Lock()
	defer w.mu.Unlock()
	ids := map[string]int{}
	for _, a := range w.acts {
		if a.Act == "webhook.disabled" {
			ids[a.ID]++
			if a.Who != "penstock" || a.Object != "webhook/"+ep.ID || !strings.Contains(a.Why, "410") || !strings.Contains(a.After, `"enabled":false`) {
				t.Errorf("the act %+v", a)
			}
		}
	}
	if len(ids) != 1 || len(w.disabled) != 1 {
		t.Errorf("acts by id %v, %d alerts", ids, len(w.disabled))
	}
}

// stopped waits until nothing of an endpoint is in flight.
func (w *world) stopped(endpoint string) {
	w.until(still, "nothing is in flight", func() bool {
		w.Hooks.mu.Lock()
		defer w.Hooks.mu.Unlock()
		return w.runners[endpoint] == nil
	})
}
