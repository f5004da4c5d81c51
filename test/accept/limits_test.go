package accept

import (
	"fmt"
	"testing"
)

// One address has its quota whatever the buyer writes into forwarding headers; a refused call says when to come again and that
// it was not executed; operators are not counted.
func TestAddressQuotaIgnoresForwardedHeaders(t *testing.T) {
	t.Parallel()
	s := own(t, "PENSTOCK_LIMITS_IP=5/m")
	var last answer
	for i := range 8 {
		last = s.public("GET", "/v1/sales", "", nil, "X-Forwarded-For", fmt.Sprint("10.0.0.", i), "Forwarded", fmt.Sprint("for=10.0.1.", i), "X-Real-IP", fmt.Sprint("10.0.2.", i))
		if want := map[bool]int{true: 200, false: 429}[i < 5]; last.status != want {
			t.Fatalf("call %d: %v, want %d", i, last, want)
		}
	}
	last.is(t, "over the quota", 429, "quota-exceeded")
	if last.json()["executed"] != false || last.header.Get("Retry-After") == "" || last.header.Get("RateLimit") == "" || last.header.Get("RateLimit-Policy") == "" {
		t.Errorf("the refusal lacks something: %v %v", last, last.header)
	}
	s.admin("GET", "/admin/v1/stock", nil).is(t, "operator", 200, "")
}

// Behind a trusted proxy each buyer's address has its own quota, in whatever form it is written, and what a buyer puts in front
// of it does not count.
func TestTrustedProxyNamesTheBuyer(t *testing.T) {
	t.Parallel()
	s := own(t, "PENSTOCK_LIMITS_IP=2/m", "PENSTOCK_TRUSTEDPROXIES=127.0.0.0/8")
	for i, c := range []struct {
		from string
		want int
	}{
		{"10.0.0.1", 200}, {"10.0.0.2", 200}, {"10.0.0.1", 200}, {"10.0.0.1", 429}, {"6.6.6.6, 10.0.0.1", 429},
		{"::ffff:10.0.0.1", 429}, {"10.0.0.1, 127.0.0.1", 429}, {"10.0.0.1:5000", 429}, {"10.0.0.2", 200}, {"10.0.0.2", 429},
	} {
		if a := s.public("GET", "/v1/sales", "", nil, "X-Forwarded-For", c.from); a.status != c.want {
			t.Errorf("call %d from %s: %v, want %d", i, c.from, a, c.want)
		}
	}
}

// A buyer who clicks too fast is refused without being executed, his key stays free, and a click that was decided is told
// again however fast it comes.
func TestThrottleBindsNothing(t *testing.T) {
	t.Parallel()
	s := own(t, "PENSTOCK_LIMITS_IP=off", "PENSTOCK_LIMITS_ATTEMPT=1/h")
	sale, user := s.sale(t, definition(item(9, 9))), s.token(t, "fast")
	order := s.attempt(sale, user, "k1", one(1)).is(t, "first", 201, "").text("order")
	slow := s.attempt(sale, user, "k2", one(1)).is(t, "too fast", 429, "quota-exceeded")
	if slow.json()["executed"] != false || slow.header.Get("Retry-After") == "" {
		t.Errorf("the refusal lacks something: %v %v", slow, slow.header)
	}
	s.public("GET", "/v1/sales/"+sale+"/attempts/k2", user, nil).is(t, "its key", 404, "not-found")
	if got := s.attempt(sale, user, "k1", one(1)).is(t, "the first again", 201, "").text("order"); got != order {
		t.Errorf("the replay names order %s, want %s", got, order)
	}
}
