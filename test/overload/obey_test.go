package overload

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock/test/cluster/rig"
)

// hammer is the pause of a client that does not listen.
const hammer = 200 * time.Millisecond

// counter opens a process with a policy and enough buyers.
func counter(t *testing.T, policy string, buyers int) *shop {
	t.Helper()
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	if err := os.WriteFile(file, []byte("limits: []\n"+policy), 0o600); err != nil {
		t.Fatal(err)
	}
	c := rig.New(t, rig.Plan{Binary: rig.Binary(t), Processes: []rig.Process{{Name: "all", Roles: "all"}}, Env: []string{"PENSTOCK_GATEWAY_FILE=" + file}})
	s := &shop{Cluster: c, t: t, url: "http://" + c.Nodes[0].Addresses().Public}
	s.client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 1024}}
	t.Cleanup(s.client.CloseIdleConnections)
	s.tokens = c.Tokens(buyers)
	return s
}

// sale puts a sale on.
func (s *shop) sale(id string, stock int, opens time.Time) {
	s.t.Helper()
	code, body, err := s.Admin(http.MethodPost, "/admin/v1/sales", map[string]any{
		"id": id, "title": id, "startsAt": opens, "endsAt": opens.Add(time.Hour), "paymentWindowSeconds": 3600, "graceSeconds": 0,
		"items": []map[string]any{{"sku": "sku-1", "title": "one", "price": 199, "currency": "EUR", "stock": stock, "limitPerUser": 1}},
	})
	if err != nil || code/100 != 2 {
		s.t.Fatalf("create the sale: %d %s %v", code, body, err)
	}
}

// visit is what a buyer did: how many calls, how they ended, and how late a win was.
type visit struct {
	calls int
	won   bool
	after time.Duration
}

// buy attempts with one key until it has won, has a final answer and listens, or the time is over. Who obeys comes again when the
// answer says, and not at all when it does not say.
func (s *shop) buy(token, sale string, obeys bool, until time.Time) (v visit) {
	begun := time.Now()
	for time.Now().Before(until) {
		r := s.call(token, http.MethodPost, "/v1/sales/"+sale+"/attempts", `{"sku":"sku-1","quantity":1}`)
		v.calls++
		if r.status == http.StatusCreated {
			v.won, v.after = true, time.Since(begun)
			return v
		}
		if r.status >= 500 && r.status != http.StatusServiceUnavailable || r.status == 0 {
			s.t.Errorf("%d %s", r.status, r.body)
			return v
		}
		pause := hammer
		if obeys {
			n, err := strconv.Atoi(r.pause)
			if err != nil {
				return v
			}
			pause = time.Duration(n) * time.Second
			pause += time.Duration(rand.Float64() * float64(min(pause/4+time.Second/4, time.Second))) // as docs/answers.md asks
		}
		time.Sleep(min(pause, time.Until(until)))
	}
	return v
}

// crowd lets buyers loose and sums up.
func (s *shop) crowd(tokens []string, sale string, obeys bool, d time.Duration) (calls, won int64, worst time.Duration) {
	var c, w, late atomic.Int64
	until := time.Now().Add(d)
	var wg sync.WaitGroup
	for _, token := range tokens {
		wg.Go(func() {
			v := s.buy(token, sale, obeys, until)
			c.Add(int64(v.calls))
			if v.won {
				w.Add(1)
				for old := late.Load(); int64(v.after) > old && !late.CompareAndSwap(old, int64(v.after)); old = late.Load() {
				}
			}
		})
	}
	wg.Wait()
	return c.Load(), w.Load(), time.Duration(late.Load())
}

// Whoever does as the answers say makes a small part of the calls of one who asks five times a second, and gets no less: of what
// is sold out, held or not open yet, and where there is no capacity.
func TestObedienceCutsTheLoad(t *testing.T) {
	const buyers = 50
	s := counter(t, "", 6*buyers+2)
	s.sale("sold", 1, time.Now().Add(-time.Second))
	if err := s.sellOut("sold", s.tokens[6*buyers]); err != nil {
		t.Fatal(err)
	}
	s.sale("held", 1, time.Now().Add(-time.Second))
	if r := s.call(s.tokens[6*buyers], http.MethodPost, "/v1/sales/held/attempts", `{"sku":"sku-1","quantity":1}`); r.status != http.StatusCreated {
		t.Fatalf("%d %s", r.status, r.body)
	}
	d := length() + 4*time.Second
	var all sync.WaitGroup
	defer all.Wait()
	for n, c := range []contest{{"sold", 10, false}, {"held", 4, false}, {"opening", 3, true}} {
		all.Go(func() { s.compare(c, d, s.tokens[2*n*buyers:2*(n+1)*buyers]) })
	}
}

// contest is a sale at which obedient buyers and others try.
type contest struct {
	name  string
	least int64 // how many times as many calls the others make
	all   bool  // everybody wins
}

// compare lets half of the buyers obey and half of them hammer, at the same time. Where everybody wins they have a sale each.
func (s *shop) compare(c contest, d time.Duration, tokens []string) {
	half := len(tokens) / 2
	var calls, won [2]int64
	var worst [2]time.Duration
	var both sync.WaitGroup
	for i, obeys := range []bool{true, false} {
		sale := c.name
		if c.all {
			sale = fmt.Sprint(c.name, i)
			s.sale(sale, half, time.Now().Add(d-3*time.Second))
		}
		both.Go(func() { calls[i], won[i], worst[i] = s.crowd(tokens[i*half:(i+1)*half], sale, obeys, d) })
	}
	both.Wait()
	s.t.Logf("measured: %-8s %v, %d buyers: %.1f calls each who obey, %.1f who hammer (%.1f ×); %d and %d won, the last after %v and %v",
		c.name, d, half, float64(calls[0])/float64(half), float64(calls[1])/float64(half), float64(calls[1])/float64(calls[0]), won[0], won[1], worst[0].Round(10*time.Millisecond), worst[1].Round(10*time.Millisecond))
	if calls[1] < c.least*calls[0] {
		s.t.Errorf("%s: %d calls of the obedient, %d of the others", c.name, calls[0], calls[1])
	}
	if want := map[bool]int64{true: int64(half)}[c.all]; won[0] != want || won[1] != want {
		s.t.Errorf("%s: %d and %d won, want %d", c.name, won[0], won[1], want)
	}
}

// Where the capacity is for a few at a time, those who come again as told are all served, with a part of the calls. They are served
// later than a crowd of those who do not listen: who must be first stands in a line instead.
func TestObedienceUnderShedding(t *testing.T) {
	if !full() {
		t.Skip("not run: OVERLOAD=full runs it")
	}
	const buyers, rate = 150, 50
	s := counter(t, fmt.Sprintf("shedding: {capacity: %d, waiting: 16}\n", rate), 2*buyers+1)
	if err := s.Offer("flash", 2*buyers, time.Hour); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // what the waiting for the sale used of the capacity is back
	var calls, won [2]int64
	var worst [2]time.Duration
	for i, obeys := range []bool{true, false} {
		calls[i], won[i], worst[i] = s.crowd(s.tokens[i*buyers:(i+1)*buyers], "flash", obeys, 20*time.Second)
	}
	t.Logf("measured: shed, %d/s for %d buyers: %.1f calls each who obey, %.1f who hammer (%.1f ×); %d and %d won, the last after %v and %v",
		rate, buyers, float64(calls[0])/buyers, float64(calls[1])/buyers, float64(calls[1])/float64(calls[0]), won[0], won[1], worst[0].Round(10*time.Millisecond), worst[1].Round(10*time.Millisecond))
	if won[0] != buyers || won[1] != buyers || calls[1] < 2*calls[0] {
		t.Errorf("%v calls, %v won", calls, won)
	}
}

// sellOut buys the only unit of a sale and pays.
func (s *shop) sellOut(sale, token string) error {
	r := s.call(token, http.MethodPost, "/v1/sales/"+sale+"/attempts", `{"sku":"sku-1","quantity":1}`)
	_, rest, ok := strings.Cut(string(r.body), `"order":"`)
	order, _, _ := strings.Cut(rest, `"`)
	if r.status != http.StatusCreated || !ok {
		return fmt.Errorf("attempt: %d %s", r.status, r.body)
	}
	return s.pay(token, order)
}
