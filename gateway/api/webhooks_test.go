package api

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"penstock/errs"
	"penstock/webhook"
)

// hooksRoom has one endpoint, wh_1, with one delivery, 7.
type hooksRoom struct{ *rooms }

func (r hooksRoom) find(id string) (webhook.Endpoint, error) {
	if id != "wh_1" {
		return webhook.Endpoint{}, errs.New(errs.NotFound, "no such webhook endpoint or delivery")
	}
	return webhook.Endpoint{ID: id, URL: "https://example.com", Events: []string{"*"}, Enabled: true, Secrets: []webhook.SecretInfo{{CreatedAt: start}}, CreatedAt: start}, nil
}
func (r hooksRoom) List(context.Context) ([]webhook.Endpoint, error) {
	e, err := r.find("wh_1")
	return []webhook.Endpoint{e}, err
}
func (r hooksRoom) Get(_ context.Context, id string) (webhook.Endpoint, error) { return r.find(id) }
func (r hooksRoom) Create(_ context.Context, who string, d webhook.Definition) (webhook.Endpoint, string, error) {
	r.note(fmt.Sprint("hook ", who, " ", d))
	e, err := r.find("wh_1")
	return e, "whsec_new", err
}
func (r hooksRoom) act(what, who, id, why string) (webhook.Endpoint, error) {
	r.note(what + " " + who + " " + why)
	return r.find(id)
}
func (r hooksRoom) Change(_ context.Context, who, id, why string, c webhook.Change) (webhook.Endpoint, error) {
	rate := 0
	if c.Rate != nil {
		rate = *c.Rate
	}
	return r.act(fmt.Sprint("change ", rate), who, id, why)
}
func (r hooksRoom) Enable(_ context.Context, who, id, why string) (webhook.Endpoint, error) {
	return r.act("enable", who, id, why)
}
func (r hooksRoom) Disable(_ context.Context, who, id, why string) (webhook.Endpoint, error) {
	return r.act("disable", who, id, why)
}
func (r hooksRoom) Delete(_ context.Context, who, id, why string) error {
	_, err := r.act("delete", who, id, why)
	return err
}
func (r hooksRoom) Rotate(_ context.Context, who, id, why string, overlap time.Duration) (webhook.Endpoint, string, error) {
	e, err := r.act("rotate "+overlap.String(), who, id, why)
	return e, "whsec_next", err
}
func (r hooksRoom) Deliveries(_ context.Context, id string, state webhook.State, after int64, _ int) ([]webhook.Delivery, error) {
	r.note(fmt.Sprint("deliveries ", int(state), " ", after))
	_, err := r.find(id)
	return []webhook.Delivery{{Endpoint: id, Seq: 7, Event: "msg_7", State: webhook.GivenUp, At: start}}, err
}
func (r hooksRoom) Replay(_ context.Context, who, id string, seq int64, why string) (webhook.Delivery, error) {
	_, err := r.act(fmt.Sprint("replay ", seq), who, id, why)
	if err == nil && seq != 7 {
		err = errs.New(errs.NotFound, "no such webhook endpoint or delivery")
	}
	return webhook.Delivery{Seq: seq, State: webhook.Due, At: start}, err
}
func (r hooksRoom) ReplaySince(_ context.Context, who, id, why string, p webhook.Past) (int, error) {
	_, err := r.act(fmt.Sprint("since ", p.Since.Unix(), p.Delivered), who, id, why)
	return 3, err
}
func (r hooksRoom) Ping(_ context.Context, who, id, why string) (webhook.Pinged, error) {
	_, err := r.act("ping", who, id, why)
	return webhook.Pinged{Taken: true, Status: 204, Took: 1500 * time.Microsecond}, err
}

const hook1 = "/admin/v1/webhooks/wh_1"

// Every act on a webhook reaches its room with the operator's name and reason; a secret is in the answers that make one only.
func TestWebhookActs(t *testing.T) {
	t.Parallel()
	h := setup(t)
	for what, want := range map[string]string{
		`POST /admin/v1/webhooks {"url":"https://a.example","events":["stock.*"],"rate":5}`:        "hook root {https://a.example  [stock.*] 5 0}",
		`PATCH ` + hook1 + ` {"rate":3,"reason":"r"}`:                                              "change 3 root r",
		`DELETE ` + hook1 + `?reason=r`:                                                            "delete root r",
		`POST ` + hook1 + `/enable {"reason":"r"}`:                                                 "enable root r",
		`POST ` + hook1 + `/disable {"reason":"r"}`:                                                "disable root r",
		`POST ` + hook1 + `/rotate {"reason":"r"}`:                                                 "rotate 24h0m0s root r",
		`POST ` + hook1 + `/rotate {"overlapSeconds":0}`:                                           "rotate 0s root ",
		`POST ` + hook1 + `/ping {"reason":"r"}`:                                                   "ping root r",
		`GET ` + hook1 + `/deliveries?state=given-up&cursor=5`:                                     "deliveries 3 5",
		`GET ` + hook1 + `/deliveries`:                                                             "deliveries -1 0",
		`POST ` + hook1 + `/deliveries/7/replay {"reason":"r"}`:                                    "replay 7 root r",
		`POST ` + hook1 + `/replay {"since":"2026-11-11T00:00:00Z","delivered":true,"reason":"r"}`: "since 1794355200 true root r",
	} {
		w := h.ask(h.admin, "operator", what)
		if w.Code/100 != 2 || h.rooms.last() != want {
			t.Errorf("%s: %d, the room saw %q, want %q: %s", what, w.Code, h.rooms.last(), want, w.Body)
		}
		if makes := strings.Contains(want, "rotate") || strings.Contains(want, "hook"); strings.Contains(w.Body.String(), "whsec_") != makes {
			t.Errorf("%s: %s", what, w.Body)
		}
	}
	problem(t, h.ask(h.admin, "operator", "POST "+hook1+"/deliveries/x/replay"), errs.NotFound)
	problem(t, h.ask(h.admin, "operator", "GET /admin/v1/webhooks/wh_2/deliveries"), errs.NotFound)
	problem(t, h.ask(h.admin, "operator", `POST /admin/v1/webhooks {"url":"https://a.example"}`), errs.Invalid)
}
