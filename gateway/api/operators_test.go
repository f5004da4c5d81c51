package api

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"penstock/errs"
)

// A change needs the version that was seen: without it 428, with another 412.
func TestPatchNeedsTheVersionSeen(t *testing.T) {
	t.Parallel()
	h := setup(t)
	patch := `PATCH /admin/v1/sales/flash {"title":"t"}`
	for sent, code := range map[string]errs.Code{"": errs.VersionRequired, "*": errs.VersionRequired, `"2"`: errs.VersionMismatch, `"x"`: errs.VersionMismatch, `W/"3"`: errs.VersionMismatch} {
		problem(t, h.ask(h.admin, "operator", patch, header("If-Match", sent)), code)
	}
	w := h.ask(h.admin, "operator", patch, header("If-Match", `"3"`))
	o := object(t, w, 200)
	if w.Header().Get("ETag") != `"3"` || o["version"] != 3.0 || o["stock"].([]any)[0].(map[string]any)["held"] != 1.0 {
		t.Errorf("%v %v", w.Header(), o)
	}
}

// Every act reaches its room with the operator's name and reason.
func TestActsAreSigned(t *testing.T) {
	t.Parallel()
	h := setup(t)
	for what, want := range map[string]string{
		`POST /admin/v1/sales/flash/actions {"action":"pause","reason":"r"}`:                                            "act root pause r",
		`POST /admin/v1/sales/flash/stock {"sku":"sku-1","delta":-2,"reason":"r"}`:                                      "offer root key-1 r",
		"POST " + adminOrder + `/fulfilment {"reason":"r"}`:                                                             "fulfil root r",
		"POST " + adminOrder + `/cancellation`:                                                                          "cancel /root cancelled by an operator",
		"POST " + adminOrder + `/refunds {"amount":5}`:                                                                  "refund /root key-1",
		`POST /admin/v1/dead-letters/7/replay {"reason":"r"}`:                                                           "replay root r",
		`POST /admin/v1/dead-letters/7/discard {"reason":"r"}`:                                                          "discard root r",
		`POST /admin/v1/dead-letters/7/edit {"payload":{"a":1},"type":"t","version":"2","reason":"r"}`:                  `edit root {"a":1} t2 r`,
		`POST /admin/v1/dead-letters/replay {"filter":{"reason":"no order"},"rate":5,"reason":"mended"}`:                `replay all root "no order" mended 5 0 0`,
		`POST /admin/v1/dead-letters/replay {"filter":{"reason":"no order"},"rate":5,"reason":"mended","cursor":"7-9"}`: `replay all root "no order" mended 5 7 9`,
		`POST /admin/v1/dead-letters/discard {"filter":{"topic":"stock"},"reason":"r"}`:                                 "discard all root stock r",
		`GET /admin/v1/dead-letters?topic=a&group=b&user=c&key=d&type=e&reason=f&from=2026-11-11T00:00:00Z`:             "letters abcdef",
		`POST /admin/v1/reconcile {"reason":"r"}`:                                                                       "repair root r",
		`GET /admin/v1/orders?cursor=c`:                                                                                 "list  c",
	} {
		if w := h.ask(h.admin, "operator", what); w.Code != 200 || h.rooms.last() != want {
			t.Errorf("%s: %d, the room saw %q, want %q", what, w.Code, h.rooms.last(), want)
		}
	}
}

// A page that lacks what some databases have says so.
func TestMissingDatabasesAreNamed(t *testing.T) {
	t.Parallel()
	h := setup(t)
	page := object(t, h.ask(h.admin, "operator", "GET /admin/v1/orders?cursor=half"), 200)
	if missing := page["missing"].([]any); len(page["items"].([]any)) != 1 || len(missing) != 2 || missing[0] != 2.0 || missing[1] != 5.0 {
		t.Errorf("page: %v", page)
	}
	if page = object(t, h.ask(h.admin, "operator", "GET /admin/v1/orders"), 200); page["missing"] != nil {
		t.Errorf("nothing is missing on this page: %v", page)
	}
}

// What operators read carries what they compute with.
func TestOperatorReads(t *testing.T) {
	t.Parallel()
	h := setup(t)
	item := func(path string) map[string]any {
		return object(t, h.ask(h.admin, "operator", "GET "+path), 200)["items"].([]any)[0].(map[string]any)
	}
	if s := item("/admin/v1/stock"); s["sale"] != "flash" || s["offered"] != 10.0 || s["available"] != 9.0 || s["withdrawn"] != 0.0 || s["version"] != 2.0 {
		t.Errorf("stock: %v", s)
	}
	if o := item("/admin/v1/orders"); o["user"] != "ann" || o["key"] != "k/1" || o["shard"] != 3.0 || o["table"] != 7.0 || o["id"] != "123456789012345678" {
		t.Errorf("order: %v", o)
	}
	if d := item("/admin/v1/dead-letters"); d["id"] != "7" || d["payload"] != "not json" || d["reason"] != "poison" {
		t.Errorf("dead letter: %v", d)
	}
	if a := item("/admin/v1/audit"); a["who"] != "root" || a["before"] != nil || a["after"].(map[string]any)["paused"] != true {
		t.Errorf("audit: %v", a)
	}
	if page := object(t, h.ask(h.admin, "operator", "GET /admin/v1/dead-letters?limit=1"), 200); page["next"] != "7" {
		t.Errorf("page: %v", page)
	}
	if page := object(t, h.ask(h.admin, "operator", "GET /admin/v1/dead-letters?cursor=7"), 200); len(page["items"].([]any)) != 0 || page["next"] != "" {
		t.Errorf("page: %v", page)
	}
	if d := object(t, h.ask(h.admin, "operator", "GET /admin/v1/drained"), 200); d["drained"] != true {
		t.Errorf("drained: %v", d)
	}
	h.rooms.drain["batch"] = 2
	if d := object(t, h.ask(h.admin, "operator", "GET /admin/v1/drained"), 200); d["drained"] != false || d["inFlight"].(map[string]any)["batch"] != 2.0 {
		t.Errorf("drained: %v", d)
	}
	problem(t, h.ask(h.admin, "operator", "GET /admin/v1/dead-letters/8"), errs.NotFound)
	problem(t, h.ask(h.admin, "operator", "GET /admin/v1/dead-letters/x"), errs.NotFound)
	problem(t, h.ask(h.admin, "operator", "GET /admin/v1/export/secrets"), errs.NotFound)
}

// Many letters are settled only by a filter or by saying "all"; a batch that is not the last says where to go on.
func TestManyLetters(t *testing.T) {
	t.Parallel()
	h := setup(t)
	for _, body := range []string{`{}`, `{"filter":{}}`, `{"all":true,"cursor":"x"}`, `{"all":true,"cursor":"1"}`} {
		problem(t, h.ask(h.admin, "operator", "POST /admin/v1/dead-letters/replay "+body), errs.Invalid)
	}
	first := object(t, h.ask(h.admin, "operator", `POST /admin/v1/dead-letters/replay {"all":true}`), 200)
	if first["settled"] != 2.0 || first["next"] != "7-9" || first["skipped"].([]any)[0].(map[string]any)["id"] != "6" {
		t.Errorf("first batch: %v", first)
	}
	if last := object(t, h.ask(h.admin, "operator", `POST /admin/v1/dead-letters/replay {"all":true,"cursor":"7-9"}`), 200); last["next"] != "" {
		t.Errorf("last batch: %v", last)
	}
	edited := object(t, h.ask(h.admin, "operator", `POST /admin/v1/dead-letters/7/edit {"payload":[1],"reason":"r"}`), 200)
	if edited["messageId"] != "edit-7" || edited["letter"].(map[string]any)["id"] != "7" {
		t.Errorf("edited: %v", edited)
	}
	problem(t, h.ask(h.admin, "operator", `POST /admin/v1/dead-letters/8/edit {"payload":{},"reason":"r"}`), errs.NotFound)
}

// An export that fails midway breaks its connection, so that it is never taken for a whole one; one that fails before its
// first byte is a problem; a whole one ends properly.
func TestExportIsWholeOrBroken(t *testing.T) {
	t.Parallel()
	h := setup(t)
	srv := httptest.NewServer(h.admin)
	defer srv.Close()
	get := func(export func(io.Writer) error) (int, string, error) {
		h.rooms.export = export
		r, err := http.NewRequest("GET", srv.URL+"/admin/v1/export/orders", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+h.tokens["operator"])
		res, err := srv.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		return res.StatusCode, string(body), err
	}
	line := strings.Repeat("x", 1000) + "\n"
	lines := func(n int, end error) func(io.Writer) error {
		return func(w io.Writer) error {
			for range n {
				if _, err := io.WriteString(w, line); err != nil {
					return err
				}
			}
			return end
		}
	}
	if status, body, err := get(lines(500, nil)); status != 200 || err != nil || len(body) != 500*len(line) {
		t.Errorf("whole: %d, %d bytes, %v", status, len(body), err)
	}
	if status, body, err := get(lines(500, errors.New("disk"))); status != 200 || err == nil {
		t.Errorf("broken midway: %d, %d bytes, read without error", status, len(body))
	}
	if status, body, err := get(lines(0, errors.New("disk"))); status != 500 || err != nil || strings.Contains(body, "disk") {
		t.Errorf("broken at once: %d %s, %v", status, body, err)
	}
}

// The event stream shows changes once and in order, begins with the present for who comes back, ends with the drain, and is
// bounded per user.
func TestEventStream(t *testing.T) {
	t.Parallel()
	h := setup(t, func(d *Deps) { d.StreamsPerUser = 1 })
	srv := h.serve(t)
	open := func() *http.Response { return h.listen(t, srv, "123456789012345678:0") }
	res := open()
	defer res.Body.Close()
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %v", res.StatusCode, res.Header)
	}
	in := bufio.NewScanner(res.Body)
	next := func() string {
		for in.Scan() {
			if id, ok := strings.CutPrefix(in.Text(), "id: "); ok {
				return id
			}
		}
		return "end"
	}
	change := func(version int64) {
		o := theOrder()
		o.Version = version
		h.rooms.events <- o
	}
	if id := next(); id != "123456789012345678:1" {
		t.Errorf("the present is %s", id)
	}
	for _, v := range []int64{1, 3, 2, 4} {
		change(v)
	}
	for _, want := range []string{"123456789012345678:3", "123456789012345678:4"} {
		if id := next(); id != want {
			t.Errorf("got %s, want %s", id, want)
		}
	}
	second := open()
	second.Body.Close()
	if second.StatusCode != 429 {
		t.Errorf("a second stream of the user: %d", second.StatusCode)
	}
	h.drain.Begin()
	if id := next(); id != "end" {
		t.Errorf("after the drain began: %s", id)
	}
	for deadline := time.Now().Add(60 * time.Second); h.rooms.last() != "unsubscribe ann"; {
		if time.Now().After(deadline) {
			t.Fatalf("the subscription was not ended: %q", h.rooms.last())
		}
	}
}

// A stream ends with the token it was opened by.
func TestEventStreamEndsWithItsToken(t *testing.T) {
	t.Parallel()
	h := setup(t)
	res := h.listen(t, h.serve(t), "")
	first := make([]byte, 3)
	if _, err := io.ReadFull(res.Body, first); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { _, err := io.Copy(io.Discard, res.Body); done <- err }()
	for {
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("the stream did not end properly: %v", err)
			}
			return
		default:
			h.clock.Advance(time.Minute)
		}
	}
}

// Probes answer 200 or a 503 problem; readiness alone turns false with the drain; profiles are there only when switched on.
func TestProbes(t *testing.T) {
	t.Parallel()
	h := setup(t)
	paths := []string{"GET /health/live", "GET /health/startup", "GET /health/ready"}
	for _, p := range append(paths, "GET /metrics") {
		if w := h.ask(h.probe, "", p); w.Code != 200 {
			t.Errorf("%s: %d %s", p, w.Code, w.Body)
		}
	}
	h.rooms.live = errors.New("recovering")
	for _, p := range paths {
		if got := problem(t, h.ask(h.probe, "", p), errs.ReducedCapacity); got["detail"] != "recovering" {
			t.Errorf("%s: %v", p, got)
		}
	}
	h.rooms.live = nil
	h.drain.Begin()
	problem(t, h.ask(h.probe, "", "GET /health/ready"), errs.ReducedCapacity)
	if w := h.ask(h.probe, "", "GET /health/live"); w.Code != 200 {
		t.Errorf("alive while draining: %d", w.Code)
	}
	problem(t, h.ask(h.probe, "", "GET /debug/pprof/heap"), errs.NotFound)
	on := setup(t, func(d *Deps) { d.Pprof = true })
	if w := on.ask(on.probe, "", "GET /debug/pprof/heap?debug=1"); w.Code != 200 {
		t.Errorf("switched on: %d", w.Code)
	}
	for _, name := range []string{"cmdline", "nothing", "heap%2F..", "@x?seconds=1"} {
		problem(t, on.ask(on.probe, "", "GET /debug/pprof/"+name), errs.NotFound)
	}
	for _, seconds := range []string{"0", "-1", "x", "1e9", "99999999999"} {
		problem(t, on.ask(on.probe, "", "GET /debug/pprof/heap?seconds="+seconds), errs.Invalid)
	}
}
