package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"penstock/internal/engines"
	"penstock/test/cluster/rig"
	"penstock/webhook/standard"
)

// receiver is the system of somebody else. It hangs when the first captured payment arrives, until the test lets it go on.
type receiver struct {
	*httptest.Server
	hangs, goOn chan struct{}

	mu       sync.Mutex
	verifier *standard.Verifier
	bodies   map[string]string // by webhook-id
	requests map[string]int
	order    []string // ids as they came first
	wrong    []string
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{hangs: make(chan struct{}), goOn: make(chan struct{}), bodies: map[string]string{}, requests: map[string]int{}}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) trust(t *testing.T, secret string) {
	s, err := standard.ParseSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.verifier, err = standard.NewVerifier([]standard.Secret{s}, standard.Options{}); err != nil {
		t.Fatal(err)
	}
}

// notice takes a request down and reports whether it is the one to hang on.
func (r *receiver) notice(h http.Header, body []byte) (hang bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id, err := r.verifier.Verify(h, body)
	var e event
	if err == nil {
		err = json.Unmarshal(body, &e)
	}
	if err != nil || e.ID != id || e.SpecVersion != "1.0" || e.Source == "" || e.Subject == "" || e.Time.IsZero() {
		r.wrong = append(r.wrong, fmt.Sprintf("%s: %v: %s", id, err, body))
		return false
	}
	if was, known := r.bodies[id]; !known {
		r.order = append(r.order, id)
		r.bodies[id] = string(body)
		hang = e.Type == "payment.captured" && !slices.ContainsFunc(r.order[:len(r.order)-1], func(id string) bool {
			return strings.Contains(r.bodies[id], `"type":"payment.captured"`)
		})
	} else if was != string(body) {
		r.wrong = append(r.wrong, fmt.Sprintf("%s came again as %s, was %s", id, body, was))
	}
	r.requests[id]++
	return hang
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	if r.notice(req.Header, body) {
		close(r.hangs)
		<-r.goOn
	}
	w.WriteHeader(http.StatusNoContent)
}

type event struct {
	SpecVersion, ID, Source, Type, Subject, PartitionKey string
	Time                                                 time.Time
}

// seen counts the events of each type and buyer, and lists the ids that came more than once.
func (r *receiver) seen() (count map[string]int, again []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	count = map[string]int{}
	for id, body := range r.bodies {
		var e event
		_ = json.Unmarshal([]byte(body), &e) // it was read before
		count[e.PartitionKey+" "+e.Type]++
		if r.requests[id] > 1 {
			again = append(again, id)
		}
	}
	return count, again
}

// buyer is one who buys over the router.
type buyer struct {
	t     *testing.T
	c     *rig.Cluster
	token string
}

func (b buyer) post(path, key string, body any) map[string]any {
	b.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		b.t.Fatal(err)
	}
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		req, err := http.NewRequest(http.MethodPost, b.c.URL+path, bytes.NewReader(text))
		if err != nil {
			b.t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+b.token)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", key)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			b.t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		res.Body.Close()
		var out map[string]any
		if err == nil && res.StatusCode < 300 {
			if err = json.Unmarshal(got, &out); err == nil {
				return out
			}
		}
		if time.Now().After(deadline) { // what is not executed or not known yet is asked again under its key
			b.t.Fatalf("POST %s: %d %s %v", path, res.StatusCode, got, err)
		}
	}
}

func (b buyer) buy() (order string) {
	b.t.Helper()
	out := b.post("/v1/sales/told/attempts", `"buy"`, map[string]any{"items": []map[string]any{{"sku": "sku-1", "quantity": 1}}})
	order, _ = out["order"].(string)
	if order == "" {
		b.t.Fatalf("no order: %v", out)
	}
	return order
}

// What buyers do reaches an endpoint as exactly the documented events, signed: a purchase with its payment and refunds, one that
// is cancelled, one whose payment fails. The process that delivers is killed while a delivery hangs; another one makes it again,
// under the same id, and nothing is missing of what happened meanwhile.
func TestWebhooksOfACluster(t *testing.T) {
	kafka := engines.Kafka(t, 1, engines.KafkaOptions{})
	database := engines.MariaDB(t).Database(t)
	c := rig.New(t, rig.Plan{Binary: rig.Binary(t), Processes: []rig.Process{
		{Name: "rest", Roles: "admin,timers,sandbox"}, {Name: "sale", Roles: "sale"}, {Name: "order", Roles: "order"}, {Name: "relay", Roles: "relay"},
	}, Env: []string{
		"PENSTOCK_STOCK=" + database, "PENSTOCK_BUS=" + kafka.URL + "?topic-prefix=" + filepath.Base(database) + "-",
		"PENSTOCK_WEBHOOKS_KEY=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "PENSTOCK_WEBHOOKS_ALLOWINSECURE=true", "PENSTOCK_WEBHOOKS_ALLOWPRIVATE=true",
	}})
	r := newReceiver(t)
	code, body, err := c.Admin(http.MethodPost, "/admin/v1/webhooks", map[string]any{"url": r.URL, "events": []string{"*"}})
	if err != nil || code != http.StatusCreated {
		t.Fatalf("create the endpoint: %d %s %v", code, body, err)
	}
	var made struct{ Secret string }
	if err := json.Unmarshal(body, &made); err != nil {
		t.Fatal(err)
	}
	r.trust(t, made.Secret)
	if err := c.Offer("told", 10, 10*time.Minute); err != nil {
		t.Fatal(err)
	}
	tokens := c.Tokens(3)
	ann, bob, cem := buyer{t, c, tokens[0]}, buyer{t, c, tokens[1]}, buyer{t, c, tokens[2]}

	order := ann.buy()
	ann.post("/v1/orders/"+order+"/payments", `"pay"`, map[string]any{"method": "sandbox"})
	select {
	case <-r.hangs:
	case <-time.After(60 * time.Second):
		t.Fatal("no captured payment arrives")
	}
	c.Node("relay").Kill()
	close(r.goOn)
	began := time.Now()
	ann.post("/v1/orders/"+order+"/refunds", `"a part"`, map[string]any{"amount": 50, "reason": "a scratch"})
	ann.post("/v1/orders/"+order+"/refunds", `"the rest"`, map[string]any{"returnStock": true, "reason": "came back"})
	bob.post("/v1/orders/"+bob.buy()+"/cancellation", `"no"`, map[string]any{})
	cem.post("/v1/orders/"+cem.buy()+"/payments", `"pay"`, map[string]any{"method": "sandbox", "outcome": "fail"})
	waits(t, c)
	c.Node("relay").Start(t)

	want := map[string]int{
		"buyer-1 stock.held": 1, "buyer-1 payment.captured": 1, "buyer-1 stock.sold": 1, "buyer-1 order.paid": 1, "buyer-1 payment.refunded": 2,
		"buyer-1 stock.released": 1, "buyer-1 order.refunded": 1, "buyer-1 order.refund_completed": 2,
		"buyer-2 stock.held": 1, "buyer-2 stock.released": 1, "buyer-2 order.cancelled": 1,
		"buyer-3 stock.held": 1, "buyer-3 payment.failed": 1,
	}
	count, again := r.seen()
	for deadline := time.Now().Add(90 * time.Second); !maps.Equal(count, want) && time.Now().Before(deadline); count, again = r.seen() {
		time.Sleep(50 * time.Millisecond)
	}
	took := time.Since(began)
	if !maps.Equal(count, want) {
		t.Errorf("events %v, want %v", count, want)
	}
	r.mu.Lock()
	for _, w := range r.wrong {
		t.Error(w)
	}
	r.mu.Unlock()
	if len(again) == 0 {
		t.Error("nothing came twice, though the process died while it delivered")
	}
	drainedOutboxes(t, c)
	documented(t, want)
	t.Logf("measured: %v from the kill to the last event; %d ids came more than once", took.Round(time.Millisecond), len(again))
}

// lag is what the operators are shown of an outbox.
type lag struct {
	Source        string
	Waiting       int64
	OldestSeconds float64
}

// lags are those of all outboxes, by name.
func lags(t *testing.T, c *rig.Cluster) map[string]lag {
	t.Helper()
	code, body, err := c.Admin(http.MethodGet, "/admin/v1/drained", nil)
	var out struct{ Outboxes []lag }
	if err == nil {
		err = json.Unmarshal(body, &out)
	}
	if err != nil || code != http.StatusOK || len(out.Outboxes) != 3 {
		t.Fatalf("the outboxes: %d %s %v", code, body, err)
	}
	all := map[string]lag{}
	for _, o := range out.Outboxes {
		all[o.Source] = o
	}
	return all
}

// waits fails unless what was published while nobody relays is shown to wait, and to grow old.
func waits(t *testing.T, c *rig.Cluster) {
	t.Helper()
	all := lags(t, c)
	if all["payments/payments"].Waiting < 2 || all["orders_0/orders"].Waiting < 1 || all["stock"].Waiting < 2 {
		t.Errorf("nobody relays, and this waits: %v", all)
	}
	for deadline := time.Now().Add(60 * time.Second); lags(t, c)["payments/payments"].OldestSeconds <= all["payments/payments"].OldestSeconds; {
		if time.Now().After(deadline) {
			t.Fatalf("what waits does not grow old: %v, then %v", all, lags(t, c))
		}
	}
}

// drainedOutboxes waits until every outbox is shown with nothing waiting.
func drainedOutboxes(t *testing.T, c *rig.Cluster) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		left := int64(0)
		for _, o := range lags(t, c) {
			left += o.Waiting
		}
		if left == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the outboxes: %v", lags(t, c))
		}
	}
}

// documented fails for a type that the page for receivers does not name.
func documented(t *testing.T, seen map[string]int) {
	t.Helper()
	page, err := os.ReadFile("../../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	for who := range seen {
		if _, kind, _ := strings.Cut(who, " "); !bytes.Contains(page, []byte("`"+kind+"`")) {
			t.Errorf("%s is not documented", kind)
		}
	}
}
